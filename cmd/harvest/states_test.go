package main

import (
	"fmt"
	"html"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fault "github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
)

// states bring a watch that is in sync, or begins, into a state of the table in docs/operations.md.
var states = map[string]func(w *watched){
	"in sync":      func(w *watched) { w.vault.SetConfig("", "jwt-nomad", nil); w.start(); w.trusts() }, // no foreign key
	"cluster dead": func(w *watched) { w.start(); w.trusts(); w.nomad.Inject(fault.Drop()); w.nomad.Region("").Touch() },
	"Vault sealed": func(w *watched) { w.start(); w.trusts(); w.vault.Seal() },
	"token revoked": func(w *watched) {
		w.start()
		w.trusts()
		token, err := os.ReadFile(w.token)
		require.NoError(w.t, err)
		w.vault.Revoke(string(token))
	},
	"turnover refused": func(w *watched) {
		w.start()
		w.trusts()
		w.nomad.Region("").Clear()
		w.gets("/insync", http.StatusServiceUnavailable, "no_keys")
		w.nomad.Region("").Rotate("EdDSA")
	},
	"just started, cluster silent": func(w *watched) {
		silence := make(chan struct{})
		w.t.Cleanup(func() { close(silence) })
		w.nomad.Inject(fault.Hold(silence))
		w.start()
	},
	"in sync, token may not write": func(w *watched) { w.start(); w.trusts(); w.mayOnlyRead() },
	"new key, token may not write": func(w *watched) { w.start(); w.trusts(); w.mayOnlyRead(); w.nomad.Region("").Rotate("EdDSA") },
}

// mayOnlyRead begins the watch again, with a token that lacks "update".
func (w *watched) mayOnlyRead() {
	w.stop()
	w.token = fixture.File(w.t, w.vault.Token("", fakevault.Grants{"auth/jwt-nomad/config": {"read"}, "sys/capabilities-self": {"update"}}))
	w.start()
	w.logged("keys can't be written")
	w.gets("/insync", http.StatusOK, "^in sync$")
}

// TestStates holds each cell of the table in docs/operations.md.
func TestStates(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	rules, err := os.ReadFile("../../examples/prometheus/harvest.rules.yml")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(page), "\n### States\n")
	require.True(t, ok)
	table, _, _ = strings.Cut(table, "\n### ")
	tests := map[string]func(*testing.T){}
	for _, row := range regexp.MustCompile(`(?m)^\| (.*) \|$`).FindAllStringSubmatch(table, -1)[2:] {
		cells := strings.Split(row[1], " | ")
		require.Len(t, cells, 8, row[1])
		require.Contains(t, states, cells[0])
		tests[cells[0]] = func(t *testing.T) { holdState(t, cells, string(rules)) }
	}
	assert.Len(t, tests, len(states))
	atOnce(t, tests)
}

func holdState(t *testing.T, cells []string, rules string) {
	w := newWatched(t)
	states[cells[0]](w)
	for i, path := range []string{"/healthz", "/readyz", "/insync"} {
		status, word, _ := strings.Cut(cells[1+i], " ")
		w.gets(path, map[string]int{"200": 200, "503": 503}[status], regexp.QuoteMeta(strings.Trim(word, "`")))
	}
	var words []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[4], -1) {
		words = append(words, regexp.QuoteMeta(html.EscapeString(m[1])))
	}
	w.gets("/", 200, ">[^<]*("+strings.Join(words, "|")+")")
	metric := regexp.MustCompile("^`(\\w+)(?:\\{(.*)\\})?` ?(\\d*)$").FindStringSubmatch(cells[5])
	require.NotNil(t, metric, cells[5])
	value := metric[3]
	if value == "" {
		value = "[1-9]\\d*"
	}
	w.gets("/metrics", 200, fmt.Sprintf(`^%s\{.*%s.*\} %s$`, metric[1], regexp.QuoteMeta(metric[2]), value))
	if code := cells[6]; code != "–" {
		got := run(t.Context(), []string{"harvest", "sync", "-config", w.config, "-timeout", "20s"}, process{
			stdin: strings.NewReader(""), stdout: new(fixture.Log), stderr: new(fixture.Log), getenv: func(string) string { return "" }, now: time.Now,
		})
		assert.Equal(t, code, fmt.Sprint(got))
	}
	if cells[7] != "–" {
		assert.Contains(t, rules, "- alert: "+strings.Trim(cells[7], "`")+"\n")
	}
}

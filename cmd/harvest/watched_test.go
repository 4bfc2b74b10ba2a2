package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
)

// longPatience outlasts a source that is silent, which is given 20 seconds.
const longPatience = 40 * time.Second

// watched is a harvest watch of one cluster and one mount, in this process.
type watched struct {
	t      *testing.T
	nomad  *fakenomad.Server
	vault  *fakevault.Server
	token  string // name of the file
	more   string // of the configuration
	listen string
	config string // its file
	log    *fixture.Log
	stop   func()
}

// newWatched starts servers; start begins to watch.
func newWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{t: t, nomad: fakenomad.New(t), vault: fakevault.New(t)}
	foreign, err := pemOf(fakenomad.NewKey("EdDSA")) // so that the cluster's keys could go
	require.NoError(t, err)
	w.vault.Enable("", "jwt-nomad", "jwt")
	require.NoError(t, w.vault.WriteConfig("", "jwt-nomad", map[string]any{"jwt_validation_pubkeys": []string{foreign}}))
	w.token = fixture.File(t, w.newToken())
	return w
}

func (w *watched) newToken() string {
	return w.vault.Token("", fakevault.Grants{"auth/jwt-nomad/config": {"read", "update"}})
}

// start watches until the test ends.
func (w *watched) start() {
	w.t.Helper()
	config := filepath.Join(w.t.TempDir(), "harvest.hcl")
	w.config = config
	require.NoError(w.t, os.WriteFile(config, fmt.Appendf(nil, `
cluster "one" { address = %q }
vault "main" {
  address = %q
  auth "token_file" { path = %q }
}
mount "jwt-nomad" {
  vault    = "main"
  clusters = ["one"]
  settle   = "500ms"
}
%s`, w.nomad.URL, w.vault.URL, w.token, w.more), 0o600))
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	log := new(fixture.Log)
	w.log = log
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"harvest", "watch", "-config", config, "-listen", "127.0.0.1:0", "-resync", "1s"}, process{
			stdin: strings.NewReader(""), stdout: log, stderr: log, getenv: func(string) string { return "" }, now: time.Now,
		})
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		assert.Zero(w.t, <-code, log.String())
		assert.NotContains(w.t, log.String(), "hvs.", "a token was logged")
	})
	w.t.Cleanup(w.stop)
	w.listen = w.logged(`serving the status page, metrics and health" address=(\S+)`)[1]
}

// until waits for a condition.
func (w *watched) until(what string, condition func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(longPatience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			require.FailNow(w.t, "never "+what, w.log.String())
		}
	}
}

// logged waits for a line of the log.
func (w *watched) logged(pattern string) (match []string) {
	w.t.Helper()
	line := regexp.MustCompile("(?m)" + pattern)
	w.until("logged: "+pattern, func() bool {
		match = line.FindStringSubmatch(w.log.String())
		return match != nil
	})
	return match
}

// gets waits for a page with that status and content.
func (w *watched) gets(path string, status int, pattern string) {
	w.t.Helper()
	content := regexp.MustCompile("(?m)" + pattern)
	w.until(fmt.Sprintf("%s: %d %s", path, status, pattern), func() bool {
		response, err := http.Get("http://" + w.listen + path)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		var body bytes.Buffer
		_, err = body.ReadFrom(response.Body)
		return err == nil && response.StatusCode == status && content.Match(body.Bytes())
	})
}

func (w *watched) kids() []string {
	var kids []string
	for _, element := range w.vault.Keys("", "jwt-nomad") {
		if m := regexp.MustCompile(`kid="([^"]*)"`).FindStringSubmatch(element); m != nil {
			kids = append(kids, m[1])
		}
	}
	return kids
}

// trusts waits until the mount trusts just what the cluster publishes.
func (w *watched) trusts() {
	w.t.Helper()
	var want []string
	for _, k := range w.nomad.Region("").Keys() {
		want = append(want, k.ID)
	}
	w.until("in sync", func() bool { return assert.ElementsMatch(new(testing.T), want, w.kids()) })
}

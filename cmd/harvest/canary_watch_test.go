package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/session"
	"github.com/jwksharvest/harvest/internal/vaultauth"
	"github.com/jwksharvest/harvest/vaultsync"
)

// minedWatch is a harvest watch in a process of its own.
type minedWatch struct {
	*coalmine
	cmd    *exec.Cmd
	listen string
	log    fixture.Log
}

func (m *coalmine) watch(t *testing.T) *minedWatch {
	t.Helper()
	w := &minedWatch{coalmine: m, cmd: m.command(t, "watch", "-config", m.file("harvest.hcl"), "-listen", "127.0.0.1:0", "-resync", "1s", "-log-level", "debug")}
	w.cmd.Stdout, w.cmd.Stderr = &w.log, &w.log
	require.NoError(t, w.cmd.Start())
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	w.listen = "http://" + w.until(t, `msg="serving the status page, metrics and health" address=(\S+)`)[1]
	for _, path := range mines {
		w.until(t, `msg="mount synced" mount="`+path+` `)
	}
	return w
}

// until returns what the log has by now that matches a pattern.
func (w *minedWatch) until(t *testing.T, pattern string) []string {
	t.Helper()
	var found []string
	require.Eventually(t, func() bool {
		found = regexp.MustCompile(pattern).FindStringSubmatch(w.log.String())
		return found != nil
	}, patience, 5*time.Millisecond, pattern)
	return found
}

// pages returns what -listen serves.
func (w *minedWatch) pages(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, page := range []string{"/metrics", "/readyz", "/insync", "/healthz", "/debug/vars", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/requests", "/favicon.ico", "/"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.listen+page, nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, response.Body.Close())
		require.NoError(t, err)
		all.Write(body)
		switch {
		case page == "/":
			assert.Equal(t, http.StatusOK, response.StatusCode, page)
		case strings.HasPrefix(page, "/debug"), page == "/favicon.ico":
			assert.Equal(t, http.StatusNotFound, response.StatusCode, page)
		}
	}
	return all.String()
}

// TestWatchCanaries: through failures, logins, reloads and a dump of every goroutine, a
// watch shows no credential in its log or on its pages.
func TestWatchCanaries(t *testing.T) {
	t.Parallel()
	w := newCoalmine(t).watch(t)
	pages := w.pages(t)
	each := func(fault fakehttp.Fault, pattern string) {
		w.vault.ClearFaults()
		w.vault.Inject(fault)
		for _, path := range mines {
			w.until(t, fmt.Sprintf(pattern, path))
		}
		pages += w.pages(t)
	}
	each(fakehttp.On("GET", "/config", echo(500, "")), `msg="mount not in sync; retrying" mount="%s .*status 500: token`)
	each(fakehttp.On("GET", "/config", echo(403, "")), `msg="mount not in sync; retrying" mount="%s .*kind=forbidden`)
	w.vault.ClearFaults()
	w.vault.Inject(fakehttp.On("PUT", "/login", echo(400, "")))
	w.vault.Inject(fakehttp.On("GET", "/lookup-self", echo(500, "")))
	w.vault.Inject(fakehttp.On("GET", "/config", echo(403, "")))
	for _, name := range mines {
		w.until(t, `level=ERROR msg="no token for Vault; retrying" vault="`+name+` .*(Vault answered 400|status 500)`)
	}
	pages += w.pages(t)

	text, err := os.ReadFile(w.file("harvest.hcl"))
	require.NoError(t, err)
	w.write(t, w.file("harvest.hcl"), "vault {\n  token = \""+w.canaries["VAULT_TOKEN"]+"\"\n"+string(text))
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGHUP))
	w.until(t, "was not reloaded")
	w.vault.ClearFaults()
	w.write(t, w.file("harvest.hcl"), strings.ReplaceAll(string(text), `settle = "40ms"`, `settle = "50ms"`))
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGHUP))
	w.until(t, `msg="the configuration was reloaded"`)
	pages += w.pages(t)

	require.NoError(t, w.cmd.Process.Signal(syscall.SIGQUIT))
	require.Error(t, w.cmd.Wait())
	w.seen()
	require.Contains(t, w.log.String(), "goroutine ")
	w.check(t, "the log", w.log.String())
	w.check(t, "a page", pages)
	assert.NotContains(t, pages, "cmdline")
}

// TestPanicCanaries: a panic in the middle of everything shows no credential.
func TestPanicCanaries(t *testing.T) {
	for _, level := range []string{"single", "all", "system"} {
		m := newCoalmine(t)
		m.env["GOTRACEBACK"], m.env[panicVariable] = level, "1"
		code, out := m.process(t, "sync", "-config", m.file("harvest.hcl"), "-log-level", "debug", "-metrics-textfile", m.file("x.prom"))
		require.NotEqual(t, exitOK, code)
		require.Contains(t, out, "panic: ")
		require.Contains(t, out, "goroutine ")
		m.checkFiles(t, m.dir+"/x.prom")
	}
}

// TestFormatCanaries: what holds a credential, or could come to, prints none.
func TestFormatCanaries(t *testing.T) {
	noVault(t)
	m := newCoalmine(t)
	cfg, err := config.Load(m.file("harvest.hcl"))
	require.NoError(t, err)
	t.Setenv("VAULT_TOKEN", m.env["VAULT_TOKEN"])
	values := []any{cfg, *cfg}
	for _, v := range cfg.Vaults {
		k, err := vaultauth.NewKeeper(v, os.Getenv, slog.New(slog.DiscardHandler), func(err error) { assert.NoError(t, err) })
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var kept sync.WaitGroup
		kept.Go(func() { k.Run(ctx) })
		<-k.Tried()
		cancel()
		kept.Wait()
		require.NotEmpty(t, k.Client().Token())
		m.canaries["token of "+v.Name] = k.Client().Token()
		values = append(values, v, k, vaultsync.NewMount(k.Client(), "by-env"), vaultauth.JWTLogin{TokenFile: m.file("jwt")})
	}
	opened := session.Open(t.Context(), cfg, session.Options{})
	defer opened.Close()
	values = append(values, opened, *opened, opened.Mounts)
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			m.check(t, fmt.Sprintf("%s of %T", verb, v), fmt.Sprintf(verb, v))
		}
	}
}

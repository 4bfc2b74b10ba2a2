package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// source always publishes one key.
type source struct{ key jwks.Key }

func (source) RegionName() string { return "" }

func (s source) Fetch(context.Context) (*jwks.Set, error) {
	return &jwks.Set{Keys: []jwks.Key{s.key}}, nil
}

// loggedIn has a token from the beginning.
type loggedIn struct {
	client *api.Client
	tried  chan struct{}
	ended  chan struct{} // closed when Run ends
}

func (l *loggedIn) Name() string           { return "vault" }
func (l *loggedIn) Client() *api.Client    { return l.client }
func (l *loggedIn) Tried() <-chan struct{} { return l.tried }
func (l *loggedIn) Report(error)           {}

func (l *loggedIn) Run(ctx context.Context) {
	<-ctx.Done()
	close(l.ended)
}

// world is a Vault with two mounts, and the configuration of a daemon that trusts a cluster of its
// own on each.
type world struct {
	vault  *fakevault.Server
	cfg    config.Config
	logins []*loggedIn // as they were made
	log    fixture.Log
	d      *Daemon
}

// newWorld returns a world whose daemon had its first syncs.
func newWorld(t *testing.T, changes ...func(*config.Config)) *world {
	t.Helper()
	w := &world{vault: fakevault.New(t)}
	w.cfg.Vaults = make([]config.Vault, 1)
	for _, name := range []string{"a", "b"} {
		key := fakenomad.NewKey("EdDSA")
		s := source{jwks.Key{KeyID: name, Algorithms: []string{"EdDSA"}, Public: key.Public()}}
		w.vault.Enable("", name, "jwt")
		w.cfg.Clusters = append(w.cfg.Clusters, config.Cluster{Name: name, Document: s})
		w.cfg.Mounts = append(w.cfg.Mounts, config.Mount{Path: name, Clusters: []string{name}, Options: vaultsync.Options{Settle: 100 * time.Millisecond}})
	}
	w.d = New(Options{
		Log: slog.New(slog.NewTextHandler(&w.log, nil)), Now: time.Now, Watch: vaultsync.WatchOptions{Resync: time.Hour},
		Hint: func(error) string { return "look there" },
	})
	w.d.newLogin = func(v config.Vault, _ func(error)) (login, error) {
		if v.Name == "refused" {
			return nil, errors.New("no CA")
		}
		l := &loggedIn{client: w.vault.Client(), tried: make(chan struct{}), ended: make(chan struct{})}
		close(l.tried)
		w.logins = append(w.logins, l)
		return l, nil
	}
	for _, change := range changes {
		change(&w.cfg)
	}
	t.Cleanup(w.d.Stop)
	require.NoError(t, w.d.Use(t.Context(), &w.cfg))
	<-w.d.Settled()
	return w
}

// changed returns the configuration with a change.
func (w *world) changed(change func(*config.Config)) *config.Config {
	cfg := w.cfg
	cfg.Clusters, cfg.Vaults, cfg.Mounts = slices.Clone(cfg.Clusters), slices.Clone(cfg.Vaults), slices.Clone(cfg.Mounts)
	change(&cfg)
	return &cfg
}

// TestUse: a reload ends and begins what differs, and nothing else.
func TestUse(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*config.Config)
		want   string
		logins int // that were made, in all
	}{
		"nothing":   {func(*config.Config) {}, "watches_kept=2 watches_started=0 watches_ended=0", 1},
		"a mount":   {func(c *config.Config) { c.Mounts[1].Options.MaxKeys = 9 }, "watches_kept=1 watches_started=1 watches_ended=1", 1},
		"a cluster": {func(c *config.Config) { c.Clusters[0].AllowPlaintext = true }, "watches_kept=1 watches_started=1 watches_ended=1", 1},
		"a cluster's file": {func(c *config.Config) {
			require.NoError(t, os.WriteFile(filepath.Join(c.Clusters[0].TLS.CAPath, "ca.pem"), []byte("new"), 0o600))
		}, "watches_kept=1 watches_started=1 watches_ended=1", 1},
		"a Vault": {func(c *config.Config) { c.Vaults[0].Name = "other" }, "watches_kept=0 watches_started=2 watches_ended=2", 2},
		"a Vault's file": {func(c *config.Config) {
			require.NoError(t, os.WriteFile(c.Vaults[0].TLS.CACert, []byte("new"), 0o600))
		}, "watches_kept=0 watches_started=2 watches_ended=2", 2},
		"one less":      {func(c *config.Config) { c.Mounts = c.Mounts[:1] }, "mounts=1 watches_kept=1 watches_started=0 watches_ended=1", 1},
		"joined by one": {func(c *config.Config) { c.Mounts[0].Clusters = []string{"a", "b"} }, "watches_kept=0 watches_started=1 watches_ended=2", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *config.Config) {
				c.Clusters[0].TLS.CAPath, c.Vaults[0].TLS.CACert = t.TempDir(), filepath.Join(t.TempDir(), "ca.pem")
			})
			require.NoError(t, w.d.Use(t.Context(), w.changed(test.change)))
			require.Contains(t, w.log.String(), test.want)
			require.Len(t, w.logins, test.logins)
			for _, old := range w.logins[:test.logins-1] {
				<-old.ended
			}
			w.d.Stop()
			<-w.logins[test.logins-1].ended
		})
	}
}

// TestUseRefused: a configuration that can't be used changes nothing.
func TestUseRefused(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"a login":   func(c *config.Config) { c.Vaults[0].Name = "refused" },
		"a cluster": func(c *config.Config) { c.Clusters[0].Name, c.Mounts[0].Clusters = "a b", []string{"a b"} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			before := w.d.groups
			require.Error(t, w.d.Use(t.Context(), w.changed(change)))
			assert.Equal(t, before, w.d.groups)
			for _, g := range w.d.groups {
				select {
				case <-g.done:
					assert.Fail(t, "a watch ended")
				default:
				}
			}
		})
	}
}

// TestReload: systemd hears of each state; after a hangup the next configuration is used, or the
// log tells why not.
func TestReload(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	heard := func() string {
		state := make([]byte, 100)
		n, err := socket.Read(state)
		require.NoError(t, err)
		first, _, _ := strings.Cut(string(state[:n]), "\n")
		return first
	}
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	hangup, ended := make(chan os.Signal), make(chan error)
	next := make(chan error, 1)
	go func() {
		ended <- w.d.Run(ctx, hangup, func() (*config.Config, error) { return w.changed(func(*config.Config) {}), <-next })
	}()
	assert.Equal(t, "READY=1", heard())
	for _, err := range []error{errors.Join(errors.New("first"), errors.New("second\x1b")), nil} {
		next <- err
		hangup <- os.Interrupt
		assert.Equal(t, "RELOADING=1", heard())
		assert.Equal(t, "READY=1", heard())
	}
	cancel()
	require.NoError(t, <-ended)
	assert.Equal(t, "STOPPING=1", heard())
	for _, line := range []string{
		"msg=watching mounts=2 clusters=2", `stays in force" error=first`, `stays in force" error=second\x1b`, `msg="the configuration was reloaded"`,
		"msg=stopping",
	} {
		assert.Contains(t, w.log.String(), line)
	}
}

// TestHealth: a daemon is ready once each mount was tried, whatever came of it; whether they are in
// sync is another question.
func TestHealth(t *testing.T) {
	w := newWorld(t)
	get := func(d *Daemon, path string) (int, string) {
		answer := httptest.NewRecorder()
		handler := pages(d.board, monitor.NewRegistry(d.board, monitor.Build{}), "0.1.0", time.Now)
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return answer.Code, answer.Body.String()
	}
	code, body := get(w.d, "/readyz")
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "ready\n", body)
	code, body = get(w.d, "/insync")
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "in sync\n", body)
	for _, name := range []string{"a", "b"} {
		assert.Len(t, w.vault.Keys("", name), 1)
	}

	w = newWorld(t, func(c *config.Config) { c.Mounts[1].Path = "none" })
	code, body = get(w.d, "/insync")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Regexp(t, `^mount none at \S+: no_mount\n$`, body)
	for _, path := range []string{"/readyz", "/healthz"} {
		code, _ = get(w.d, path)
		assert.Equal(t, http.StatusOK, code, path)
	}
	assert.Contains(t, w.log.String(), `hint="look there"`)
}

// TestHasTokens: a group waits for each login's first try, and not for long for a silent one.
func TestHasTokens(t *testing.T) {
	tried := make(chan struct{})
	close(tried)
	groupOf := func(logins ...*loggedIn) *group {
		g := &group{logins: map[vaultsync.MountID]login{}}
		for i, l := range logins {
			g.logins[vaultsync.MountID{Path: fmt.Sprint(i)}] = l
		}
		return g
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		assert.True(t, groupOf(&loggedIn{tried: tried}, &loggedIn{tried: tried}).hasTokens(t.Context()))
		assert.Zero(t, time.Since(began))
		assert.True(t, groupOf(&loggedIn{tried: tried}, &loggedIn{}).hasTokens(t.Context()))
		assert.Equal(t, maxToken, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		assert.False(t, groupOf(&loggedIn{}).hasTokens(ctx), "there is nothing to begin with")
	})
}

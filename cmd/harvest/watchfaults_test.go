package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fault "github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
)

// atOnce runs subtests side by side, however few processors there are: they wait, mostly.
func atOnce(t *testing.T, tests map[string]func(*testing.T)) {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, 6)
	for name, test := range tests {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			t.Run(name, test)
		})
	}
}

// TestWatchFaults: whatever a cluster or Vault answers in the place of what it should (the
// library's tests have more of each kind), the log says what happened and what comes next, once; a
// metric counts it; no key goes; and when the fault is over, what changed meanwhile is trusted
// without anybody's doing.
func TestWatchFaults(t *testing.T) {
	t.Parallel() // it waits most of the time
	atOnce(t, map[string]func(*testing.T){"cluster": clusterFaults, "silent cluster": silentCluster, "Vault": vaultFaults, "silent Vault": silentVault})
}

func clusterFaults(t *testing.T) {
	tests := map[string]func(*testing.T){}
	halfABody := func(w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"keys":[`))
	}
	for name, test := range map[string]struct {
		fault     fault.Fault
		kind, why string
	}{
		"500":           {fault.Answer(500, "text/plain", "boom\x1b[2J"), "status", `500 Internal Server Error: boom`},
		"HTML":          {fault.Answer(200, "text/html", "<html>down for maintenance"), "malformed", `an HTML page instead of JSON: is this the address`},
		"half a body":   {halfABody, "unreachable", `the reply broke off before its end`},
		"a private key": {fault.Answer(200, "application/json", `{"keys":[{"kty":"oct","k":"AAAA"}]}`), "private_key", `private key material`},
	} {
		tests[name] = func(t *testing.T) {
			w := newWatched(t)
			w.start()
			w.trusts()
			w.gets("/insync", 200, "in sync")
			w.nomad.Inject(fault.On("GET", "jwks.json", test.fault))
			w.nomad.Region("").Touch() // ends the query that is held
			w.clusterFails(test.kind, test.why)
			w.gets("/insync", 503, `^cluster one: `+test.kind+`$`)
			w.gets("/readyz", 200, "ready")
			w.nomad.ClearFaults()
			w.clusterRecovers()
		}
	}
	atOnce(t, tests)
}

// silentCluster is one without even a refusal, from the start on.
func silentCluster(t *testing.T) {
	w := newWatched(t)
	w.start()
	w.trusts()
	w.stop()
	silence := make(chan struct{})
	w.nomad.Inject(fault.Hold(silence))
	w.start()
	w.clusterFails("timeout", `no reply within 20s`)
	assert.NotContains(t, w.log.String(), "no answer yet", "a cluster that isn't heard of yet hasn't failed")
	w.gets("/insync", 503, `^cluster one: timeout$`)
	close(silence)
	w.clusterRecovers()
}

// clusterFails wants a failure to be told, and a key that the cluster makes now not to be
// trusted, nor one that is to go.
func (w *watched) clusterFails(kind, why string) {
	w.t.Helper()
	before := w.kids()
	require.Len(w.t, before, 1)
	w.logged(`level=WARN msg="cluster not read; its trusted keys stay, and it is asked again" cluster=one region="" kind=` + kind + ` error=".*` + why)
	w.nomad.Region("").Rotate("EdDSA")
	w.gets("/metrics", 200, `^harvest_errors_total\{cluster="one",kind="`+kind+`",mount="",namespace="",region="",vault=""\} [1-9]`)
	assert.Equal(w.t, before, w.kids(), "nothing is removed, and nothing unread added")
	assert.NotContains(w.t, w.log.String(), "\x1b")
}

func (w *watched) clusterRecovers() {
	w.t.Helper()
	w.trusts()
	w.logged(`level=INFO msg="cluster read again" cluster=one`)
	w.gets("/insync", 200, "in sync")
	assert.Equal(w.t, 1, strings.Count(w.log.String(), "cluster not read"), "told of once, however often it is asked:\n%s", w.log)
}

// vaultFaults: the cluster is read all the while.
func vaultFaults(t *testing.T) {
	tests := map[string]func(*testing.T){}
	inject := func(f fault.Fault) func(w *watched) func() {
		return func(w *watched) func() {
			w.vault.Inject(f)
			return w.vault.ClearFaults
		}
	}
	for name, test := range map[string]struct {
		fault     func(w *watched) (end func())
		kind, why string
	}{
		"sealed": {func(w *watched) func() { w.vault.Seal(); return w.vault.Unseal }, "sealed", `Vault is sealed \(503\): nothing was changed; it has to be unsealed`},
		"token revoked": {func(w *watched) func() {
			token, err := os.ReadFile(w.token)
			require.NoError(w.t, err)
			w.vault.Revoke(string(token))
			return func() { fixture.Replace(w.t, w.token, w.newToken()) }
		}, "forbidden", `permission denied`},
		"mount gone": {func(w *watched) func() {
			w.vault.Disable("", "jwt-nomad")
			return func() { w.vault.Enable("", "jwt-nomad", "jwt") }
		}, "no_mount", "create it with `vault auth enable -path=jwt-nomad jwt`"},
		"429":  {inject(fault.Status(429, "rate limit quota exceeded")), "status", `Vault limits the rate of requests \(429\); try again later, or raise the quota for auth/jwt-nomad/config`},
		"HTML": {inject(fault.Answer(200, "text/html", "<html>down for maintenance")), "malformed", `Vault's answer can't be read`},
		"no write": {inject(fault.On("PUT", "config", fault.Status(503, "read-only"))), "status",
			`gave up after 10 tries: Vault failed with status 503: read-only`},
	} {
		tests[name] = func(t *testing.T) {
			w := newWatched(t)
			w.start()
			w.trusts()
			w.gets("/insync", 200, "in sync")
			before := w.kids()

			end := test.fault(w)
			w.nomad.Region("").Rotate("EdDSA")
			w.logged(`level=ERROR msg="mount not in sync; retrying" mount="jwt-nomad at \S+" kind=` + test.kind + ` error=".*` + test.why)
			w.gets("/metrics", 200, `^harvest_errors_total\{cluster="",kind="`+test.kind+`",mount="jwt-nomad",namespace="",region="",vault="http://\S+"\} [1-9]`)
			w.gets("/metrics", 200, `^harvest_keys_published\{cluster="one",region=""\} 2`)
			w.gets("/insync", 503, `^mount jwt-nomad at \S+: `+test.kind+`$`)
			w.gets("/readyz", 200, "ready")
			if after := w.kids(); len(after) > 0 { // not Vault's own loss
				assert.Equal(t, before, after, "nothing is removed")
			}
			end()
			w.logged(`level=INFO msg="mount synced again" mount="jwt-nomad at \S+" after=`)
			w.trusts()
			w.gets("/insync", 200, "in sync")
			assert.Len(t, regexp.MustCompile("mount not in sync.* kind="+test.kind).FindAllString(w.log.String(), -1), 1, "told of once, however often it is tried:\n%s", w.log)
		}
	}
	atOnce(t, tests)
}

// silentVault is one that doesn't answer a login, beside another that does: health is served
// all the while, and the other's mounts are kept. The silent one is made good afterwards.
func silentVault(t *testing.T) {
	w := newWatched(t)
	silent := fakevault.New(t)
	silence := make(chan struct{})
	silent.Enable("", "jwt-silent", "jwt")
	silent.Inject(fault.Hold(silence))
	w.more = fmt.Sprintf(`
vault "silent" {
  address = %q
  auth "token_file" { path = %q }
}
mount "jwt-silent" {
  vault    = "silent"
  clusters = ["one"]
}
`, silent.URL, fixture.File(t, silent.Token("", fakevault.Grants{"auth/jwt-silent/config": {"read", "update"}})))
	w.start()
	w.gets("/healthz", 200, "ok")
	w.trusts()
	assert.NotContains(t, w.log.String(), "no token for Vault", "the other's login is still under way")
	w.gets("/readyz", 503, `^mount jwt-silent at \S+: not tried yet$`)
	close(silence)
	w.gets("/insync", 200, "in sync")
	assert.Len(t, silent.Keys("", "jwt-silent"), 1)
}

//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
)

// logged waits for a line of a watcher's log.
func (w *watcher) logged(t *testing.T, pattern string) {
	t.Helper()
	line := regexp.MustCompile("(?m)" + pattern)
	require.Eventually(t, func() bool { return line.MatchString(w.stderr.String()) }, 60*time.Second, 10*time.Millisecond, "never logged: %s", pattern)
}

// forget clears the log, so that the next fault's lines are its own.
func (w *watcher) forget() { w.stderr.Reset() }

// A Nomad server that crashes and comes back, and one that is restored from a snapshot.
func TestWatchNomadFaults(t *testing.T) {
	n, err := lab.StartNomad(t.Context(), lab.NomadOptions{Region: "durable", Durable: true})
	require.NoError(t, err)
	t.Cleanup(n.Stop)
	c := enable(t, vault, "jwt-durable", nil)
	w := watch(t, "-cluster", "durable", "-nomad-address", n.Address, "-mount", "jwt-durable")
	same := func(want []string) func([]string) bool {
		return func(kids []string) bool { return slices.Equal(kids, want) }
	}
	await(t, c, "jwt-durable", "durable", same(published(t, n)))

	// Gone: its keys stay. Back: it is read again, and a rotation is followed.
	before := published(t, n)
	n.Kill()
	w.logged(t, `level=WARN msg="cluster not read; its trusted keys stay, and it is asked again" cluster=durable .*kind=unreachable .*connection refused \(nothing listens there`)
	assert.Equal(t, before, kids(t, c, "jwt-durable", "durable", ""))
	require.NoError(t, n.Restart(t.Context()))
	require.Equal(t, before, published(t, n))
	w.logged(t, `level=INFO msg="cluster read again" cluster=durable`)
	_, err = n.RotateKey(t.Context())
	require.NoError(t, err)
	await(t, c, "jwt-durable", "durable", same(published(t, n)))

	// Restored: the index goes back, and the watch finds its way from there.
	snapshot, err := n.Snapshot(t.Context())
	require.NoError(t, err)
	index := jwksIndex(t, n)
	lost, err := n.RotateKey(t.Context())
	require.NoError(t, err)
	await(t, c, "jwt-durable", "durable", has(lost))
	<-time.After(1500 * time.Millisecond) // a reply is trusted to be newer than a key only a second after it
	require.NoError(t, n.Restore(t.Context(), snapshot))
	require.Equal(t, index, jwksIndex(t, n), "the index went backwards")
	require.NotContains(t, published(t, n), lost)
	_, err = n.RotateKey(t.Context())
	require.NoError(t, err)
	await(t, c, "jwt-durable", "durable", same(published(t, n)))
	assert.NotContains(t, w.stderr.String(), "turnover")
}

func jwksIndex(t *testing.T, n *lab.Nomad) string {
	t.Helper()
	index := get(t.Context(), n.Address+"/.well-known/jwks.json").Header.Get("X-Nomad-Index")
	require.NotEmpty(t, index)
	return index
}

// A Vault that limits requests, revokes the token, and comes back empty with other tokens.
func TestWatchVaultFaults(t *testing.T) {
	v, err := lab.StartVault(t.Context(), lab.VaultOptions{})
	require.NoError(t, err)
	t.Cleanup(v.Stop)
	c := enable(t, v, "jwt-away", nil)
	policy := `path "auth/jwt-away/config" { capabilities = ["read", "update"] }`
	newToken := func() string {
		require.NoError(t, c.Sys().PutPolicy("harvest", policy))
		token, err := c.Logical().Write("auth/token/create", map[string]any{"policies": []string{"harvest"}})
		require.NoError(t, err)
		return token.Auth.ClientToken
	}
	token := newToken()
	tokenFile := filepath.Join(t.TempDir(), "token")
	put := func(text string) {
		require.NoError(t, os.WriteFile(tokenFile+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(tokenFile+".new", tokenFile))
	}
	put(token)
	w := watch(t, "-config", configFile(t, fmt.Sprintf(`
cluster "eu-west" { address = %q }
vault {
  address = %q
  auth "token_file" { path = %q }
}
mount "jwt-away" { clusters = ["eu-west"] }
`, west.Address, v.Address, tokenFile)), "-resync", "1s", "-listen", "127.0.0.1:0")
	rotate := func() string {
		id, err := west.RotateKey(t.Context())
		require.NoError(t, err)
		return id
	}
	recovers := func(id string) {
		w.logged(t, `level=INFO msg="mount synced again"`)
		await(t, c, "jwt-away", "eu-west", has(id))
		w.forget()
	}
	first := published(t, west)
	await(t, c, "jwt-away", "eu-west", func(kids []string) bool { return slices.Equal(kids, first) })
	listen := regexp.MustCompile(`address=(\S+)`).FindStringSubmatch(w.stderr.String())[1]

	_, err = c.Logical().Write("sys/quotas/rate-limit/harvest", map[string]any{"path": "auth/jwt-away", "rate": 1, "interval": "1h"})
	require.NoError(t, err)
	id := rotate()
	w.logged(t, `level=ERROR msg="mount not in sync; retrying" .*kind=status .*Vault limits the rate of requests \(429\)`)
	_, err = c.Logical().Delete("sys/quotas/rate-limit/harvest")
	require.NoError(t, err)
	recovers(id)

	require.NoError(t, c.Auth().Token().RevokeTree(token))
	id = rotate()
	w.logged(t, `level=ERROR msg="mount not in sync; retrying" .*kind=forbidden .*permission denied`)
	put(newToken())
	recovers(id)

	v.Kill()
	id = rotate()
	w.logged(t, `level=ERROR msg="mount not in sync; retrying" .*kind=unreachable .*Vault can't be reached`)
	require.NoError(t, v.Restart(t.Context()))
	w.logged(t, `kind=login .*Vault`) // the token isn't known there
	c = enable(t, v, "jwt-away", nil)
	put(newToken())
	recovers(id)

	drop(t, west, append(first, id)...)
	for kind, line := range map[string]string{
		"status": `mount="jwt-away"`, "forbidden": `mount="jwt-away"`, "unreachable": `mount="jwt-away"`, "login": `mount=""`,
	} {
		assert.Regexp(t, `harvest_errors_total\{cluster="",kind="`+kind+`",`+line, page(t, listen, "/metrics"))
	}
	require.Eventually(t, func() bool { return page(t, listen, "/insync") == "in sync\n" }, 20*time.Second, 20*time.Millisecond)
	for _, secret := range []string{token, v.RootToken} {
		assert.NotContains(t, w.stderr.String(), secret)
	}
}

func page(t *testing.T, address, path string) string {
	t.Helper()
	response, err := http.Get("http://" + address + path)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

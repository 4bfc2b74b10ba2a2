//go:build e2e

package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/lab"
)

// A standby forwards to the active node, or sends its client there; without an active node
// it can do neither.
func TestStandby(t *testing.T) {
	const mount = "jwt-standby"
	active, err := lab.StartVault(t.Context(), lab.VaultOptions{Raft: true, Audit: true})
	require.NoError(t, err)
	t.Cleanup(active.Stop)
	standby, err := lab.StartVault(t.Context(), lab.VaultOptions{Join: active})
	require.NoError(t, err)
	t.Cleanup(standby.Stop)
	require.Equal(t, http.StatusTooManyRequests, get(t.Context(), standby.Address+"/v1/sys/health").StatusCode, "it is no standby")

	c := enable(t, active, mount, map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}, "default_role": "nomad-workloads"})
	settings := besides(readConfig(t, c, mount))
	stays := fakenomad.NewKey("EdDSA")
	sync := func(address string) (result, string) {
		key := fakenomad.NewKey("EdDSA")
		r := harvest(t, []string{"VAULT_ADDR=" + address, "VAULT_TOKEN=" + active.RootToken, "VAULT_MAX_RETRIES=0"},
			"sync", "-cluster", "edge", "-jwks-file", jwksFile(t, stays, key), "-mount", mount, "-settle", "200ms", "-timeout", "20s")
		assert.NotContains(t, r.stdout+r.stderr, active.RootToken)
		return r, key.ID
	}
	written := func(id string) {
		t.Helper()
		assert.ElementsMatch(t, []string{stays.ID, id}, kids(t, c, mount, "edge", ""))
		assert.Equal(t, settings, besides(readConfig(t, c, mount)))
	}

	t.Run("forwards", func(t *testing.T) {
		r, id := sync(standby.Address)
		require.Equal(t, 0, r.code)
		written(id)
	})
	t.Run("redirects", func(t *testing.T) {
		needsAudit(t, active)
		target, err := url.Parse(standby.Address)
		require.NoError(t, err)
		var redirects atomic.Int64
		front := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Header.Set("X-Vault-No-Request-Forwarding", "true")
			},
			ModifyResponse: func(r *http.Response) error {
				if r.StatusCode == http.StatusTemporaryRedirect {
					redirects.Add(1)
				}
				return nil
			},
		})
		t.Cleanup(front.Close)
		require.NoError(t, active.ResetAudit())
		r, id := sync(front.URL)
		require.Equal(t, 0, r.code)
		written(id)
		assert.GreaterOrEqual(t, redirects.Load(), int64(3), "the standby forwarded")
		audit, err := active.Audit()
		require.NoError(t, err)
		writes := 0
		for _, e := range audit {
			if e.Path == "auth/"+mount+"/config" && e.Operation != "read" {
				writes++
			}
		}
		assert.Equal(t, 1, writes, "a write that is redirected is carried out once")
	})
	t.Run("without an active node", func(t *testing.T) {
		active.Kill()
		r, _ := sync(standby.Address)
		require.Equal(t, 1, r.code)
		assert.Contains(t, r.stderr, "harvest: mount "+mount+" at "+standby.Address)
		assert.Empty(t, r.stdout, "each failure is told once")
	})
}

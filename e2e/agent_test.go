//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/lab"
)

// By way of a real Vault Agent and a real Vault Proxy, which add a token of their own, everything
// works without a token; the environment's goes nowhere.
func TestThroughAgent(t *testing.T) {
	fixture.Needs(t, vault.HasProxy(t.Context()), "the server's command has no proxy, and its agent takes no token from a file")
	for _, kind := range []string{"agent", "proxy"} {
		t.Run(kind, func(t *testing.T) {
			path := "jwt-" + kind
			c := enable(t, vault, path, nil)
			r := harvest(t, nil, "policy", "-roles", "-mount", path)
			require.Equal(t, 0, r.code)
			require.NoError(t, c.Sys().PutPolicy(path, r.stdout))
			granted, err := c.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{path}})
			require.NoError(t, err)
			token := granted.Auth.ClientToken
			agent, err := vault.StartAgent(t.Context(), kind, token)
			require.NoError(t, err)
			t.Cleanup(agent.Stop)

			config := configFile(t, fmt.Sprintf(`
cluster "eu-west" { address = %q }
vault {
  address = %q
  auth "none" {}
}
mount %q {
  clusters = ["eu-west"]
  settle   = "300ms"
}
`, west.Address, agent.Address, path))
			run := func(code int, args ...string) result {
				t.Helper()
				r := harvest(t, []string{"VAULT_TOKEN=of-somebody-else", "VAULT_WRAP_TTL=5m"}, append(args, "-config", config)...)
				require.Equal(t, code, r.code)
				require.NotContains(t, r.stdout+r.stderr, token)
				return r
			}
			run(0, "sync")
			assert.Equal(t, published(t, west), kids(t, c, path, "eu-west", ""))
			run(0, "plan")
			r = run(0, "status", "-lint", "-ignore", "no_issuer,role_alias")
			assert.NotContains(t, r.stdout, "could not all be read")
			jwt := identity(t, west)
			run(0, "verify", "-role", "nomad-workloads", fixture.File(t, jwt))

			w := watch(t, "-config", config)
			_, err = west.RotateKey(t.Context())
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				return strings.Join(published(t, west), " ") == strings.Join(kids(t, c, path, "eu-west", ""), " ")
			}, 30*time.Second, 20*time.Millisecond, "the watch writes through the %s", kind)
			w.stop(t)

			// The agent's token is its own business: none is given back, and none asked for.
			_, err = c.Auth().Token().Lookup(token)
			require.NoError(t, err)
			require.NoError(t, c.Auth().Token().RevokeTree(token))
			r = run(1, "sync", "-timeout", "3s")
			if kind == "proxy" { // an agent of 1.21 doesn't answer then
				assert.Contains(t, r.stderr, "permission denied")
			}
		})
	}
}

// A Vault that is away is told from an agent that is.
func TestAgentWithoutVault(t *testing.T) {
	alone, err := lab.StartVault(t.Context(), lab.VaultOptions{})
	require.NoError(t, err)
	defer alone.Stop()
	fixture.Needs(t, alone.HasProxy(t.Context()), "the server's command has no proxy")
	agent, err := alone.StartAgent(t.Context(), "proxy", alone.RootToken)
	require.NoError(t, err)
	defer agent.Stop()
	config := configFile(t, fmt.Sprintf(`
cluster "eu-west" { address = %q }
vault {
  address = %q
  auth "none" {}
}
mount "jwt" { clusters = ["eu-west"] }
`, west.Address, agent.Address))
	alone.Stop()
	r := harvest(t, []string{"VAULT_MAX_RETRIES=0"}, "sync", "-config", config)
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "the Vault Agent or Vault Proxy at this address can't reach Vault")
	agent.Stop()
	r = harvest(t, []string{"VAULT_MAX_RETRIES=0"}, "sync", "-config", config)
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "Vault can't be reached")
}

// An answer that Vault wraps is none, and does nothing.
func TestWrappedAnswer(t *testing.T) {
	c := enable(t, vault, "jwt-wrapped", nil)
	c.SetWrappingLookupFunc(func(string, string) string { return "5m" })
	secret, err := c.Logical().Read("auth/jwt-wrapped/role/nomad-workloads")
	require.NoError(t, err)
	assert.Empty(t, secret.Data)
	require.NotNil(t, secret.WrapInfo, "what is taken for a control group's")
}

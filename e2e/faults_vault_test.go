//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/faultproxy"
)

// A Vault that refuses: what plan and sync say, and that nothing changes. The same of a
// watch is TestWatchVaultFaults.
func TestVaultRefuses(t *testing.T) {
	const mount, path = "jwt-refused", "auth/jwt-refused/config"
	c := enable(t, vault2, mount, map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}, "default_role": "nomad-workloads"})
	p := faultproxy.New(t, vault2.Address)
	stays := fakenomad.NewKey("EdDSA")
	token := func(capabilities string) string {
		require.NoError(t, c.Sys().PutPolicy("refused", `path "`+path+`" { capabilities = [`+capabilities+`] }`))
		secret, err := c.Logical().Write("auth/token/create", map[string]any{"policies": []string{"refused"}})
		require.NoError(t, err)
		return secret.Auth.ClientToken
	}
	write := func(path string, fields map[string]any) {
		_, err := c.Logical().Write(path, fields)
		require.NoError(t, err)
	}
	nothing := func() {}
	unknown := vault2.Client()
	unknown.SetToken("no-such-token")
	_, err := unknown.Logical().Read(path)
	require.Error(t, err)
	revokedToken := "permission denied: Vault knows no such token: it expired, was revoked, or is another Vault's"
	if !strings.Contains(err.Error(), "invalid token") {
		revokedToken = "before 1.17, Vault says the same of a token that has expired"
	}
	for name, test := range map[string]struct {
		// fault makes it, and returns the token to use and what ends the fault.
		fault      func(t *testing.T) (token string, end func())
		plan, sync string // what each says
		planCode   int
	}{
		"sealed": {func(t *testing.T) (string, func()) {
			require.NoError(t, c.Sys().Seal())
			return vault2.RootToken, func() {
				_, err := c.Sys().Unseal(vault2.UnsealKey)
				require.NoError(t, err)
			}
		}, "Vault is sealed (503): nothing was changed; it has to be unsealed", "Vault is sealed (503)", 1},
		"rate-limited": {func(*testing.T) (string, func()) {
			write("sys/quotas/rate-limit/refused", map[string]any{"path": "auth/" + mount, "rate": 1, "interval": "1h"})
			_, _ = c.Logical().Read(path) // the one that is free
			return vault2.RootToken, func() {
				_, err := c.Logical().Delete("sys/quotas/rate-limit/refused")
				require.NoError(t, err)
			}
		}, "Vault limits the rate of requests (429); try again later, or raise the quota for " + path, "Vault limits the rate of requests (429)", 1},
		"token revoked": {func(t *testing.T) (string, func()) {
			revoked := token(`"read", "update"`)
			require.NoError(t, c.Auth().Token().RevokeTree(revoked))
			return revoked, nothing
		}, revokedToken, "permission denied", 1},
		"token without update": {func(*testing.T) (string, func()) { return token(`"read"`), nothing },
			`the token lacks "update" on ` + path, `the token lacks "update" on ` + path, 0},
		"token without read": {func(*testing.T) (string, func()) { return token(`"update"`), nothing },
			`permission denied: the token lacks "read" on ` + path, `lacks "read" on ` + path, 1},
		"slow by 30 s": {func(*testing.T) (string, func()) {
			p.Set(faultproxy.Fault{ToClient: faultproxy.Delay(30 * time.Second)})
			return vault2.RootToken, p.Lift
		}, "The whole run may take -timeout 3s.", "The whole run may take -timeout 3s.", 1},
	} {
		t.Run(name, func(t *testing.T) {
			before := readConfig(t, c, mount)
			key := fakenomad.NewKey("EdDSA")
			args := []string{"-cluster", "edge", "-jwks-file", jwksFile(t, stays, key), "-mount", mount, "-settle", "100ms"}
			token, end := test.fault(t)
			env := []string{"VAULT_ADDR=" + p.URL, "VAULT_TOKEN=" + token}
			plan := harvest(t, env, append([]string{"plan", "-timeout", "3s"}, args...)...)
			sync := harvest(t, env, append([]string{"sync", "-timeout", "3s"}, args...)...)
			end()
			assert.Equal(t, test.planCode, plan.code)
			assert.Contains(t, plan.stdout+plan.stderr, test.plan)
			assert.Equal(t, 1, sync.code)
			assert.Contains(t, sync.stderr, test.sync)
			assert.Contains(t, sync.stderr, "harvest: mount "+mount+" at "+p.URL)
			if sync.stdout != "" { // a mount that could be read, and not written
				assert.Contains(t, sync.stdout, "nothing was written")
			}
			assert.NotContains(t, plan.stdout+plan.stderr+sync.stdout+sync.stderr, token)
			assert.Equal(t, before, readConfig(t, c, mount))

			env[1] = "VAULT_TOKEN=" + vault2.RootToken
			require.Equal(t, 0, harvest(t, env, append([]string{"sync"}, args...)...).code)
			assert.ElementsMatch(t, []string{stays.ID, key.ID}, kids(t, c, mount, "edge", ""))
			assert.Equal(t, besides(before), besides(readConfig(t, c, mount)))
		})
	}
}

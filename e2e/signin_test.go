//go:build e2e

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
)

// A mount where people sign in by OIDC keeps its configuration, whatever is asked for: its
// client secret can't be read, and so can't be written back.
func TestSignInIsLeftAlone(t *testing.T) {
	provider := fakenomad.New(t, "global")
	provider.SetIssuer(provider.URL)
	c := vault2.Client()
	require.NoError(t, c.Sys().EnableAuth("staff", "oidc", ""))
	require.NoError(t, c.Sys().EnableAuth("staff-by-jwt", "jwt", ""))
	for _, path := range []string{"staff", "staff-by-jwt"} {
		writeConfig(t, c, path, map[string]any{
			"oidc_discovery_url": provider.URL, "oidc_client_id": "vault", "oidc_client_secret": "hush", "default_role": "staff",
		})
		before := readConfig(t, c, path)
		env := []string{"VAULT_ADDR=" + vault2.Address, "VAULT_TOKEN=" + vault2.RootToken}
		for _, command := range [][]string{
			{"sync"}, {"sync", "-convert"}, {"plan"}, {"plan", "-convert"}, {"setup", "-y"}, {"setup", "-y", "-convert"}, {"setup", "-y", "-overwrite"},
		} {
			args := append(command, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", path)
			r := harvest(t, env, args...)
			assert.Equal(t, 1, r.code)
			assert.Contains(t, r.stderr, "people sign in")
			assert.NotContains(t, r.stderr, "-convert", "no hint offers what is refused")
		}
		assert.Equal(t, before, readConfig(t, c, path))
	}
}

package setup

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/vaultsync"
)

// The policies of roles and the mount's accessor are read where the token may read them.
func TestMountInspectReadsPolicies(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *vaultsync.Mount) {
		_, err := m.Sync(t.Context(), desired, vaultsync.Options{})
		require.NoError(t, err)
		setUp(t, m, Setup{Access: []Access{{UserClaim: "/nomad_job_id"}}})
		root := m.Client.Token()
		in := vaultsync.Inspection{Now: time.Now(), Clusters: []string{"a"}}
		mine := fakevault.Grants{"auth/jwt-nomad/config": {"read"}, "auth/jwt-nomad/role": {"list"}, "auth/jwt-nomad/role/*": {"read"}}
		for _, test := range []struct {
			policies bool
			says     string
		}{
			{true, "goes by nomad_namespace of that"}, {false, "could not all be read"},
		} {
			grants := maps.Clone(mine)
			if test.policies {
				grants["sys/policies/acl/*"] = []string{"read"}
			}
			m.Client.SetToken(v.Token("", grants))
			found, err := m.Inspect(t.Context(), in)
			require.NoError(t, err)
			require.Len(t, found, 1, "%+v", found)
			assert.Equal(t, vaultsync.LintRoleAlias, found[0].Lint)
			assert.Contains(t, found[0].Message, test.says)
		}
		m.Client.SetToken(root)
		other := vaultsync.NewMount(m.Client, "jwt-other")
		v.Enable("", "jwt-other", "jwt")
		_, err = m.Client.Logical().Write("auth/jwt-other/role/stray", map[string]any{
			"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "sub", "token_policies": "nomad-workloads.jwt-nomad",
		})
		require.NoError(t, err)
		_, err = other.Sync(t.Context(), desired, vaultsync.Options{})
		require.NoError(t, err)
		found, err := other.Inspect(t.Context(), in)
		require.NoError(t, err)
		require.Len(t, found, 1, "%+v", found)
		assert.Equal(t, vaultsync.LintRolePolicy, found[0].Lint)
	})
}

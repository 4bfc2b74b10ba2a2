package lint

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// The policies of roles and the mount's accessor are read where the token may read them.
func TestMountInspectReadsPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := fakevault.NewInProcess()
		defer v.Close()
		v.Enable("", "jwt-nomad", "jwt")
		m := vaultsync.NewMount(v.Client(), "jwt-nomad")
		desired := plan.Desired{Clusters: []string{"a"}, Results: []jwks.Result{publish("a", "k1")}}
		_, err := m.Sync(t.Context(), desired, vaultsync.Options{})
		require.NoError(t, err)
		plan, err := setup.NewPlan(t.Context(), m, setup.Setup{Access: []setup.Access{{UserClaim: "/nomad_job_id"}}})
		require.NoError(t, err)
		_, err = setup.Apply(t.Context(), m, plan)
		require.NoError(t, err)
		root := m.Client.Token()
		in := Inspection{Now: time.Now(), Clusters: []string{"a"}}
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
			found, err := InspectMount(t.Context(), m, in)
			require.NoError(t, err)
			require.Len(t, found, 1, "%+v", found)
			assert.Equal(t, LintRoleAlias, found[0].Lint)
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
		found, err := InspectMount(t.Context(), other, in)
		require.NoError(t, err)
		require.Len(t, found, 1, "%+v", found)
		assert.Equal(t, LintRolePolicy, found[0].Lint)
	})
}

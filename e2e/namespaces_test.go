//go:build e2e

package e2e

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/lab"
)

func needsAudit(t *testing.T, v *lab.Vault) {
	t.Helper()
	fixture.Needs(t, v.Audits(), "the server takes no audit device from its API")
}

// needsPairs asks a mount of that path, which it makes, whether it knows jwks_pairs.
func needsPairs(t *testing.T, path string) {
	t.Helper()
	c := enable(t, vault, path, map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}})
	_, has := readConfig(t, c, path)["jwks_pairs"]
	fixture.Needs(t, has, "the server's JWT method has no jwks_pairs")
}

// prepublish makes a key that signs in an hour, where the agent can.
func prepublish(t *testing.T, n *lab.Nomad) (id string) {
	t.Helper()
	id, err := n.PrepublishKey(t.Context(), time.Hour)
	fixture.Needs(t, !errors.Is(err, errors.ErrUnsupported), "the agent prepublishes no key")
	require.NoError(t, err)
	return id
}

// namespace makes a namespace, where the server has any.
func namespace(t *testing.T, name string) bool {
	t.Helper()
	_, err := vault.Client().Logical().Write("sys/namespaces/"+name, nil)
	var answer *api.ResponseError
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return false
	}
	require.NoError(t, err)
	return true
}

func TestNamespaces(t *testing.T) {
	if namespace(t, "team-a") {
		syncsInNamespace(t)
	} else {
		refusesNamespace(t)
	}
}

// syncsInNamespace: the mount of a namespace is written, and the root's mount of that path isn't.
func syncsInNamespace(t *testing.T) {
	root := enable(t, vault, "jwt-space", nil)
	inside := vault.Client()
	inside.SetNamespace("team-a")
	require.NoError(t, inside.Sys().EnableAuth("jwt-space", "jwt", ""))
	_, err := inside.Logical().Write("auth/jwt-space/role/nomad-workloads", map[string]any{
		"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "sub",
	})
	require.NoError(t, err)
	args := []string{"-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-space", "-namespace", "team-a"}
	syncNow(t, 0, args...)
	assert.Equal(t, published(t, west), kids(t, inside, "jwt-space", "eu-west", ""))
	jwt := identity(t, west)
	require.NoError(t, login(inside, "jwt-space", jwt))
	require.Error(t, login(root, "jwt-space", jwt))
	secret, err := root.Logical().Read("auth/jwt-space/config")
	require.NoError(t, err)
	require.Nil(t, secret, "the root's mount was written")
	assert.Zero(t, harvest(t, nil, append([]string{"status"}, args...)...).code)
}

// refusesNamespace: Community Vault passes over the namespace, and harvest would write the mount of
// the root.
func refusesNamespace(t *testing.T) {
	c := enable(t, vault, "jwt-root", nil)
	r := syncNow(t, 1, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-root", "-namespace", "team-a")
	assert.Contains(t, r.stderr, "no namespaces")
	r = harvest(t, nil, "plan", "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-root", "-namespace", "team-a")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "no namespaces")
	secret, err := c.Logical().Read("auth/jwt-root/config")
	require.NoError(t, err)
	require.Nil(t, secret, "the mount was written")
}

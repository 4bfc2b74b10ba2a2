//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/lab"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Integrated storage takes no entry over 1 MiB. What fits is written, up to the brim, the cluster
// whose further keys wait is named, and a denial is written all the same.
func TestRaftEntryLimit(t *testing.T) {
	const mount = "jwt-limit"
	v, err := lab.StartVault(t.Context(), lab.VaultOptions{Raft: true})
	require.NoError(t, err)
	t.Cleanup(v.Stop)
	c := enable(t, v, mount, nil)
	first, small := fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA")
	small.ID = "small"
	config := fmt.Sprintf(`
vault { address = %q }
cluster "one" { jwks_file = %q }
cluster "two" { jwks_file = %q }
cluster "three" { jwks_file = %q }
cluster "four" { jwks_file = %q }
`, v.Address, bulkyFile(t), bulkyFile(t, first), bulkyFile(t), jwksFile(t, small))
	sync := func(code int, clusters, rules string) result {
		t.Helper()
		file := configFile(t, config+fmt.Sprintf("mount %q {\n  clusters = %s\n  max_keys = %d\n  settle = \"1s\"\n  %s\n}\n", mount, clusters, bulky, rules))
		r := harvest(t, []string{"VAULT_TOKEN=" + v.RootToken}, "sync", "-quiet", "-config", file)
		require.Equal(t, code, r.code)
		return r
	}
	sync(0, `["one", "two"]`, "")
	require.Len(t, trusted(t, c, mount), 2*bulky)

	r := sync(3, `["one", "two", "three", "four"]`, fmt.Sprintf("deny = [%q]", fingerprintOf(t, first)))
	assert.Contains(t, r.stderr, `cluster "three": `+plan.ErrNoRoom.Error())
	assert.NotContains(t, r.stderr, `cluster "four"`)
	now := fingerprints(t, c, mount)
	assert.NotContains(t, now, fingerprintOf(t, first), "the denial")
	assert.Contains(t, now, fingerprintOf(t, small), "the other cluster's key")
	assert.Greater(t, len(now), 2*bulky, "what fits of the cluster")
	assert.Less(t, len(now), 3*bulky)

	// The limit is Vault's own: with as much again the write fails there.
	elements := readConfig(t, c, mount)["jwt_validation_pubkeys"].([]any)
	_, err = c.Logical().Write("auth/"+mount+"/config", map[string]any{"jwt_validation_pubkeys": append(elements, elements...)})
	require.ErrorContains(t, err, "too large")
}

// bulky is how many such keys make not quite half of what an entry may hold.
const bulky = 1000

// bulkyFile is a key set of small keys with long ids.
func bulkyFile(t *testing.T, more ...*fakenomad.Key) string {
	t.Helper()
	keys := make([]*fakenomad.Key, bulky)
	for i := range keys {
		keys[i] = fakenomad.NewKey("EdDSA")
		keys[i].ID += strings.Repeat("-", 200)
	}
	return jwksFile(t, append(more, keys[len(more):]...)...)
}

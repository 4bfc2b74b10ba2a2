//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/lab"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Integrated storage takes no entry over 1 MiB. What would pass that is refused with its size
// before it is sent, and what is there stays.
func TestRaftEntryLimit(t *testing.T) {
	const mount = "jwt-limit"
	v, err := lab.StartVault(t.Context(), lab.VaultOptions{Raft: true})
	require.NoError(t, err)
	t.Cleanup(v.Stop)
	c := enable(t, v, mount, nil)
	config := fmt.Sprintf(`
vault { address = %q }
cluster "one" { jwks_file = %q }
cluster "two" { jwks_file = %q }
cluster "three" { jwks_file = %q }
`, v.Address, bulkyFile(t), bulkyFile(t), bulkyFile(t))
	sync := func(code int, clusters string) result {
		t.Helper()
		file := configFile(t, config+fmt.Sprintf("mount %q { clusters = %s }\n", mount, clusters))
		r := harvest(t, []string{"VAULT_TOKEN=" + v.RootToken}, "sync", "-quiet", "-config", file)
		require.Equal(t, code, r.code)
		return r
	}
	sync(0, `["one", "two"]`)
	require.Len(t, trusted(t, c, mount), 2*bulky)
	before := readConfig(t, c, mount)

	r := sync(1, `["one", "two", "three"]`)
	assert.Contains(t, r.stderr, vaultsync.ErrTooLarge.Error())
	assert.Contains(t, r.stderr, fmt.Sprintf("%d keys make ", 3*bulky))
	assert.Contains(t, r.stderr, "bytes of configuration, over 1048576; trust fewer clusters on this mount")
	assert.Equal(t, before, readConfig(t, c, mount))

	// The limit is Vault's own: without harvest's check the write would fail there.
	elements := before["jwt_validation_pubkeys"].([]any)
	_, err = c.Logical().Write("auth/"+mount+"/config", map[string]any{"jwt_validation_pubkeys": append(elements, elements...)})
	require.ErrorContains(t, err, "too large")
}

// bulky is how many such keys make not quite half of what an entry may hold.
const bulky = 1000

// bulkyFile is a key set of small keys with long ids.
func bulkyFile(t *testing.T) string {
	t.Helper()
	keys := make([]*fakenomad.Key, bulky)
	for i := range keys {
		keys[i] = fakenomad.NewKey("EdDSA")
		keys[i].ID += strings.Repeat("-", 200)
	}
	return jwksFile(t, keys...)
}

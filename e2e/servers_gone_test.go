//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A cluster of every federated region: a region that drops out of the federation and a
// cluster that stops lose nothing. It ends servers that
// the tests share: it must be the last, in the last file.
func TestServersGone(t *testing.T) {
	c := enable(t, vault, "jwt-gone", map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}, "default_role": "nomad-workloads"})
	config := configFile(t, fmt.Sprintf(`
cluster "us-east" {
  address = %q
  regions = ["*"]
}
cluster "eu-west" { address = %q }
vault { address = %q }
mount "jwt-gone" {
  clusters = ["us-east", "eu-west"]
  foreign  = "keep"
}
`, east1.Address, west.Address, vault.Address))
	syncNow(t, 0, "-config", config)
	before := owners(t, c, "jwt-gone")
	assert.Contains(t, before, "us-east/us-east-1")
	assert.Contains(t, before, "us-east/us-east-2")
	eastToken, westToken := identity(t, east2), identity(t, west)
	require.NoError(t, login(c, "jwt-gone", eastToken))

	west.Stop()
	r := syncNow(t, 3, "-config", config)
	assert.Contains(t, r.stdout+r.stderr, "eu-west")
	assert.Equal(t, before, owners(t, c, "jwt-gone"))
	require.NoError(t, login(c, "jwt-gone", westToken), "the stopped cluster's tokens still log in")

	east2.Stop()
	require.Eventually(t, func() bool {
		regions, err := east1.Regions(t.Context())
		return err == nil && !slices.Contains(regions, "us-east-2")
	}, 90*time.Second, 100*time.Millisecond, "Nomad drops a region whose last server failed")
	r = syncNow(t, 3, "-config", config)
	assert.Contains(t, r.stdout+r.stderr, "us-east-2")
	assert.Equal(t, before, owners(t, c, "jwt-gone"))
	require.NoError(t, login(c, "jwt-gone", eastToken))
}

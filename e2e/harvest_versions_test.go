//go:build e2e

package e2e

import (
	"cmp"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
)

// Another version of harvest (HARVEST_OTHER: a path; else the same) and this one share a mount,
// each with a cluster, and then change places under watch: an upgrade and a downgrade. Nothing
// that is published is lost, and what nobody owns stays as it is:
//
//	make versions OTHER=<commit>
func TestTwoVersions(t *testing.T) {
	other := cmp.Or(os.Getenv("HARVEST_OTHER"), harvestCommand)
	out, err := exec.Command(other, "version").CombinedOutput()
	require.NoError(t, err, string(out))
	t.Logf("the other version: %s", out)
	const path = "jwt-versions"
	c := enable(t, vault, path, map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}, "default_role": "nomad-workloads"})
	pasted := readConfig(t, c, path)["jwt_validation_pubkeys"].([]any)[0]
	settings := besides(readConfig(t, c, path))
	clusters := map[string]*lab.Nomad{"east": east1, "west": west}
	start := func(binary, cluster string) *watcher {
		return watchWith(t, binary, "-cluster", cluster, "-nomad-address", clusters[cluster].Address, "-mount", path, "-foreign", "keep")
	}
	trusted := func(cluster, id string) {
		t.Helper()
		require.Eventually(t, func() bool {
			return slices.Contains(kids(t, c, path, cluster, ""), id)
		}, time.Minute, 10*time.Millisecond, "%s never came to be trusted", id)
	}
	// rotated: both clusters get a new key, and all that is published is trusted.
	rotated := func() {
		t.Helper()
		for cluster, nomad := range clusters {
			id, err := nomad.RotateKey(t.Context())
			require.NoError(t, err)
			trusted(cluster, id)
		}
		for cluster, nomad := range clusters {
			require.Subset(t, kids(t, c, path, cluster, ""), published(t, nomad))
		}
		config := readConfig(t, c, path)
		require.Contains(t, config["jwt_validation_pubkeys"], pasted)
		require.Equal(t, settings, besides(config))
	}

	for _, first := range []map[string]string{
		{"east": other, "west": harvestCommand},
		{"east": harvestCommand, "west": other},
		{"east": other, "west": other},
		{"east": harvestCommand, "west": harvestCommand},
	} {
		var running []*watcher
		for cluster, binary := range first {
			running = append(running, start(binary, cluster))
			trusted(cluster, published(t, clusters[cluster])[0])
		}
		rotated()
		for _, w := range running {
			w.stop(t)
		}
	}
}

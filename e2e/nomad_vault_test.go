//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/lab"
	"github.com/jwksharvest/harvest/pem"
)

// A task that reads a secret with its workload identity.
const mongo = `
job "mongo" {
  type = "service"
  group "db" {
    task "mongo" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args    = ["3600"]
      }
      vault {}
      template {
        destination = "local/config"
        data        = "{{with secret \"kv/data/default/mongo/config\"}}{{.Data.data.root_password}}{{end}}"
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}`

// The main job: from an empty mount to tasks that read their secrets, then a rotation,
// and every promise about what a sync leaves alone.
func TestNomadToVault(t *testing.T) {
	c := enable(t, vault, "jwt-nomad", nil)
	require.NoError(t, c.Sys().PutPolicy("nomad-workloads", `path "kv/data/default/*" { capabilities = ["read"] }`))
	_, err := c.Logical().Write("sys/mounts/kv", map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { // a fresh KV engine says for a moment that it is upgrading
		_, err := c.Logical().Write("kv/data/default/mongo/config", map[string]any{"data": map[string]any{"root_password": "opensesame"}})
		return err == nil
	}, 10*time.Second, 50*time.Millisecond)

	eastProxy, westProxy := newProxy(t, east1.Address), newProxy(t, west.Address)
	config := configFile(t, fmt.Sprintf(`
cluster "us-east" {
  address = %q
  regions = ["us-east-1", "us-east-2"]
}
cluster "eu-west" { address = %q }
vault { address = %q }
mount "jwt-nomad" { clusters = ["us-east", "eu-west"] }
`, eastProxy.URL, westProxy.URL, vault.Address))

	r := harvest(t, nil, "plan", "-config", config, "-detailed-exitcode")
	require.Equal(t, 2, r.code)
	all := len(published(t, east1)) + len(published(t, east2)) + len(published(t, west))
	assert.Contains(t, r.stdout, fmt.Sprintf("%d to add", all))
	r = syncNow(t, 0, "-config", config)
	assert.Contains(t, r.stdout, fmt.Sprintf("%d added", all))
	assert.Equal(t, published(t, east1), kids(t, c, "jwt-nomad", "us-east", "us-east-1"))
	assert.Equal(t, published(t, east2), kids(t, c, "jwt-nomad", "us-east", "us-east-2"))
	assert.Equal(t, published(t, west), kids(t, c, "jwt-nomad", "eu-west", ""))
	assert.Empty(t, readConfig(t, c, "jwt-nomad")["jwt_supported_algs"])

	for _, n := range []*lab.Nomad{east1, east2, west} {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		_, err := n.RunJob(ctx, mongo)
		require.NoError(t, err)
		secret, err := n.TaskFile(ctx, "mongo", "mongo", "local/config")
		require.NoError(t, err, "%s: %s", n.Region, n.Log())
		assert.Equal(t, "opensesame", strings.TrimSpace(string(secret)), n.Region)
	}

	t.Run("in sync, a sync reads once and writes nothing", func(t *testing.T) {
		needsAudit(t, vault)
		eastProxy.gets.Store(0)
		westProxy.gets.Store(0)
		require.NoError(t, vault.ResetAudit())
		syncNow(t, 0, "-config", config)
		audit, err := vault.Audit()
		require.NoError(t, err)
		var requests []string
		for _, e := range audit {
			requests = append(requests, e.String())
		}
		assert.Equal(t, []string{"read auth/jwt-nomad/config"}, requests)
		assert.EqualValues(t, 2, eastProxy.gets.Load(), "one GET for each of the cluster's regions")
		assert.EqualValues(t, 1, westProxy.gets.Load())
	})

	t.Run("a second harvester of one of the clusters writes nothing", func(t *testing.T) {
		needsAudit(t, vault)
		require.NoError(t, vault.ResetAudit())
		syncNow(t, 0, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-nomad")
		audit, err := vault.Audit()
		require.NoError(t, err)
		for _, e := range audit {
			assert.Equal(t, "read", e.Operation, e)
		}
		assert.Len(t, owners(t, c, "jwt-nomad"), all)
	})

	t.Run("a rotated key logs in after a sync, the old one until Nomad drops it", func(t *testing.T) {
		signer := fakenomad.NewKey("EdDSA")
		foreign, err := pem.Encode(signer.Public())
		require.NoError(t, err)
		before := readConfig(t, c, "jwt-nomad")
		before["jwt_validation_pubkeys"] = append(before["jwt_validation_pubkeys"].([]any), string(foreign))
		before["jwt_supported_algs"] = []string{"RS256", "EdDSA"}
		before["default_role"] = "nomad-workloads"
		writeConfig(t, c, "jwt-nomad", before)
		before = readConfig(t, c, "jwt-nomad")

		old := published(t, east1)
		oldToken := identity(t, east1)
		newKey, err := east1.RotateKey(t.Context())
		require.NoError(t, err)
		newToken := identity(t, east1)
		require.Error(t, login(c, "jwt-nomad", newToken), "before the sync the new key isn't trusted")

		syncNow(t, 0, "-config", config)
		require.NoError(t, login(c, "jwt-nomad", newToken))
		require.NoError(t, login(c, "jwt-nomad", oldToken))
		assert.Contains(t, kids(t, c, "jwt-nomad", "us-east", "us-east-1"), newKey)

		for _, id := range old {
			require.NoError(t, east1.RemoveKey(t.Context(), id, true))
		}
		syncNow(t, 0, "-config", config)
		require.NoError(t, login(c, "jwt-nomad", newToken))
		require.Error(t, login(c, "jwt-nomad", oldToken), "what Nomad publishes is what Vault trusts")
		assert.Equal(t, []string{newKey}, kids(t, c, "jwt-nomad", "us-east", "us-east-1"))

		after := readConfig(t, c, "jwt-nomad")
		assert.True(t, slices.Contains(owners(t, c, "jwt-nomad"), ""), "the foreign key is gone")
		delete(before, "jwt_validation_pubkeys")
		delete(after, "jwt_validation_pubkeys")
		assert.Equal(t, before, after, "a sync changes the keys alone")
	})

	t.Run("a prepublished key is trusted before its first token", func(t *testing.T) {
		id := prepublish(t, west)
		syncNow(t, 0, "-config", config)
		assert.Contains(t, kids(t, c, "jwt-nomad", "eu-west", ""), id)
	})
}

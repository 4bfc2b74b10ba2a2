//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// harvest inside the cluster whose keys it harvests, logged in to Vault with its own
// workload identity on the very mount that it keeps: how it gets in, how it locks itself
// out, and the way back.
func TestInsideNomad(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := enable(t, vault, "jwt-inside", nil)
	require.NoError(t, c.Sys().PutPolicy("harvest-inside", harvest(t, nil, "policy", "-mount", "jwt-inside").stdout))
	_, err := c.Logical().Write("auth/jwt-inside/role/harvest", map[string]any{
		"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "nomad_job_id", "token_policies": "harvest-inside",
		"bound_claims": map[string]any{"nomad_job_id": []string{"harvest-watch", "harvest-sync"}}, "token_ttl": "10m",
	})
	require.NoError(t, err)
	fromShell := func() {
		t.Helper()
		syncNow(t, 0, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-inside")
	}
	run := func(name string) string {
		t.Helper()
		job, err := os.ReadFile("../examples/nomad-jobs/" + name + ".nomad.hcl")
		require.NoError(t, err)
		id, err := west.RunJobWith(ctx, string(job), fmt.Sprintf(
			"vault_address = %q\nnomad_address = %q\ncluster = \"eu-west\"\nmount = \"jwt-inside\"\ndriver = \"raw_exec\"\ncommand = %q\n",
			vault.Address, west.Address, harvestCommand))
		require.NoError(t, err)
		return id
	}
	running := func(id string) { // after a stop, the newest allocation is for a moment the old one
		t.Helper()
		require.Eventually(t, func() bool {
			_, err := west.WaitJob(ctx, id, "running")
			return err == nil
		}, time.Minute, 50*time.Millisecond)
	}
	rotate := func() string {
		t.Helper()
		id, err := west.RotateKey(ctx)
		require.NoError(t, err)
		return id
	}

	fromShell() // the first key
	watching := run("harvest-watch")
	running(watching)
	await(t, c, "jwt-inside", "eu-west", has(rotate()))

	// A key that is rotated while it is down locks it out, and everybody else.
	require.NoError(t, west.StopJob(ctx, watching))
	lost := rotate()
	token := identity(t, west)
	require.Error(t, login(c, "jwt-inside", token))
	watching = run("harvest-watch")
	running(watching)
	assert.NotContains(t, kids(t, c, "jwt-inside", "eu-west", ""), lost)
	fromShell() // break glass
	require.NoError(t, login(c, "jwt-inside", token))
	await(t, c, "jwt-inside", "eu-west", has(rotate())) // by the job, which kept trying
	require.NoError(t, west.StopJob(ctx, watching))

	t.Run("the periodic job in the place of cron", func(t *testing.T) {
		next := prepublish(t, west) // as a scheduled rotation does
		syncing := run("harvest-sync")
		once, err := west.RunPeriodic(ctx, syncing)
		require.NoError(t, err)
		_, err = west.WaitJob(ctx, once, "complete")
		require.NoError(t, err)
		assert.Contains(t, kids(t, c, "jwt-inside", "eu-west", ""), next)
		require.NoError(t, west.StopJob(ctx, syncing))
	})
}

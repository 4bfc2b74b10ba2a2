//go:build e2e

package lab_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
)

// Three Vaults: the leader is killed and comes back, another is paused, and a snapshot takes
// all of them back.
func TestVaultCluster(t *testing.T) {
	began := time.Now()
	servers, err := lab.StartVaults(t.Context(), 3, lab.VaultOptions{})
	require.NoError(t, err)
	for _, v := range servers {
		t.Cleanup(v.Stop)
	}
	t.Logf("three voters in %v", time.Since(began).Round(time.Millisecond))
	leader, err := lab.VaultLeader(t.Context(), servers)
	require.NoError(t, err)
	require.Same(t, servers[0], leader)
	snapshot, err := leader.Snapshot(t.Context())
	require.NoError(t, err)
	require.NoError(t, servers[2].Client().Sys().EnableAuth("jwt-after", "jwt", ""))

	leader.Kill()
	began = time.Now()
	next, err := lab.VaultLeader(t.Context(), servers)
	require.NoError(t, err)
	require.NotSame(t, leader, next)
	t.Logf("another leader after %v", time.Since(began).Round(time.Millisecond))
	require.NoError(t, leader.Restart(t.Context()))
	_, err = leader.Client().Logical().Read("sys/auth/jwt-after/tune")
	require.NoError(t, err, "what was written before the kill")

	require.NoError(t, next.Pause())
	require.Eventually(t, func() bool {
		return leader.Leads(t.Context()) || servers[1].Leads(t.Context()) || servers[2].Leads(t.Context())
	},
		time.Minute, 100*time.Millisecond)
	require.NoError(t, next.Resume())

	leader, err = lab.VaultLeader(t.Context(), servers)
	require.NoError(t, err)
	require.NoError(t, leader.Restore(t.Context(), snapshot))
	require.Eventually(t, func() bool {
		mounts, err := leader.Client().Sys().ListAuth()
		return err == nil && mounts["jwt-after/"] == nil
	}, time.Minute, 100*time.Millisecond, "the snapshot is older than the mount")
}

// Three Nomad servers of one region, whose leader is killed.
func TestNomadCluster(t *testing.T) {
	began := time.Now()
	servers, err := lab.StartNomads(t.Context(), 3, lab.NomadOptions{Region: "us-east"})
	require.NoError(t, err)
	for _, n := range servers {
		t.Cleanup(n.Stop)
	}
	t.Logf("three servers in %v", time.Since(began).Round(time.Millisecond))
	leader, err := lab.NomadLeader(t.Context(), servers)
	require.NoError(t, err)
	leader.Kill()
	began = time.Now()
	var next *lab.Nomad
	require.Eventually(t, func() bool {
		next, err = lab.NomadLeader(t.Context(), servers)
		if err != nil {
			return false
		}
		_, err = next.RotateKey(t.Context())
		return err == nil
	}, time.Minute, 100*time.Millisecond)
	t.Logf("a rotation %v after the kill", time.Since(began).Round(time.Millisecond))
	require.NotSame(t, leader, next)
	require.NoError(t, leader.Restart(t.Context()))
	want, err := next.JWKS(t.Context(), "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		got, err := leader.JWKS(t.Context(), "")
		return err == nil && string(got) == string(want)
	}, time.Minute, 100*time.Millisecond, "the server that was away publishes what the others do")
}

package vaultsynctest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/jwks/jwkstest"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
	"github.com/jwksharvest/harvest/vaultsync/vaultsynctest"
)

// A caller's own test: no server, no socket, and an hour in no time.
func TestVault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nomad, vault := jwkstest.NewNomad(t), vaultsynctest.New(t)
		mount := vault.Mount("jwt-nomad")
		h := vaultsync.Harvester{
			Clusters: []jwks.Cluster{{Name: "us-east", Sources: []jwks.Source{nomad.Source("")}}},
			Targets:  []vaultsync.Target{{Mount: mount, Clusters: []string{"us-east"}}},
		}
		_, err := h.Sync(t.Context())
		require.NoError(t, err)
		assert.Len(t, vault.Keys("jwt-nomad"), 1)

		require.Error(t, vault.Write("jwt-nomad", map[string]any{"jwt_validation_pubkeys": []string{"no key"}}), "it refuses what Vault refuses")
		require.NoError(t, vault.Write("jwt-nomad", map[string]any{"jwt_validation_pubkeys": vault.Keys("jwt-nomad"), "default_role": "r"}))
		nomad.Rotate("")
		vault.Seal(true)
		_, err = h.Sync(t.Context())
		require.ErrorIs(t, err, vaultsync.ErrSealed)
		vault.Seal(false)
		began := time.Now()
		_, err = h.Sync(t.Context())
		require.NoError(t, err)
		assert.Len(t, vault.Keys("jwt-nomad"), 2)
		assert.Less(t, time.Since(began), time.Minute)

		readOnly := vault.Client()
		readOnly.SetToken(vault.Token("jwt-nomad", "read"))
		report, err := vaultsync.NewMount(readOnly, "jwt-nomad").Plan(t.Context(), plan.Desired{Clusters: []string{"us-east"}}, vaultsync.Options{})
		require.Error(t, err)
		assert.Contains(t, report.Plan.Warnings[0], `lacks "update"`)
	})
}

func TestVaultListens(t *testing.T) {
	vault := vaultsynctest.New(t)
	config := api.DefaultConfig()
	config.Address = vault.Listen()
	c, err := api.NewClient(config)
	require.NoError(t, err)
	c.SetToken(vault.Client().Token())
	vault.Mount("jwt-nomad")
	current, err := vaultsync.NewMount(c, "jwt-nomad").Read(t.Context())
	require.NoError(t, err)
	assert.True(t, current.IsZero())
}

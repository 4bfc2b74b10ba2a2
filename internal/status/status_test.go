package status

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Without a plan a mount is read by itself, and what is empty is an empty list in JSON.
func TestOfAMountWithoutAPlan(t *testing.T) {
	fakevault.ClearEnvironment(t)
	s := fakevault.New(t)
	s.Enable("", "jwt-nomad", "jwt")
	mount := vaultsync.NewMount(s.Client(), "jwt-nomad")
	report, m := of(t.Context(), mount, &vaultsync.MountReport{MountID: vaultsync.MountID{Vault: s.URL, Path: "jwt-nomad"}})
	require.NoError(t, report.Err)
	assert.True(t, m.Read)
	body, err := json.Marshal(m)
	require.NoError(t, err)
	assert.JSONEq(t, `{"vault":"`+s.URL+`","namespace":"","path":"jwt-nomad","trusted":[],"add":[],"adopt":[],"remove":[],`+
		`"failed":[],"warnings":[],"settings":[],"in_sync":null}`, string(body))

	report, m = of(t.Context(), vaultsync.NewMount(s.Client(), "none"), &vaultsync.MountReport{MountID: vaultsync.MountID{Path: "none"}})
	require.Error(t, report.Err)
	assert.False(t, m.Read)
	assert.Equal(t, report.Err.Error(), m.Error)
	assert.Equal(t, "no_mount", m.Kind)
}

// Owners stay together, foreign keys come last, and of one owner's the newest first.
func TestSortKeys(t *testing.T) {
	old, young := time.Unix(1, 0), time.Unix(2, 0)
	keys := []plan.Key{{KeyID: "foreign"}, {KeyID: "b", Owner: pem.Owner{Cluster: "b"}}, {KeyID: "a-old", Owner: pem.Owner{Cluster: "a"}, Added: old}, {KeyID: "a-new", Owner: pem.Owner{Cluster: "a"}, Added: young}}
	SortKeys(keys)
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.KeyID)
	}
	assert.Equal(t, []string{"a-new", "a-old", "b", "foreign"}, ids)
}

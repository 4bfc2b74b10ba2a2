package vaultsync

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// A mount's own warnings come before the remarks on sets, of which there may be very many:
// where only some are shown, they are among them.
func TestPlanWarnsOfTheMountFirst(t *testing.T) {
	public := publicKey("x")
	plan, err := newPlan(mountconfig.New(map[string]any{
		keysField: []any{paste("y"), paste("x")}, "bound_issuer": "https://issuer", "jwt_supported_algs": []any{"RS512"},
	}), plan.Desired{
		Clusters: []string{"a", "b"},
		Results: []jwks.Result{
			{Cluster: "a", Set: &jwks.Set{Keys: []jwks.Key{{KeyID: "x", Public: public}}, Warnings: []string{"one", "two"}}},
			{Cluster: "b", Set: &jwks.Set{Keys: []jwks.Key{{KeyID: "x", Public: public}}, Warnings: []string{"three"}}},
		},
	}, Options{Now: time.Unix(0, 0), Settings: Settings{Algorithms: []string{"RS256"}}}, circumstances{})
	require.NoError(t, err)
	require.Len(t, plan.Warnings, 7)
	assert.Contains(t, plan.Warnings[0], "no cluster's")
	assert.Contains(t, plan.Warnings[1], "bound_issuer")
	assert.Contains(t, plan.Warnings[2], "stated as [RS256]")
	assert.Equal(t, []string{"a: one", "a: two", "b: three"}, plan.Warnings[4:])
}

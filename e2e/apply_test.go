//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// A plan is stored, approved, and applied by another process; a review keeps what it doesn't like
// from real Vault.
func TestStoredPlan(t *testing.T) {
	const path = "jwt-stored"
	c := enable(t, vault, path, nil)
	old, young := fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA")
	publishes := func(keys ...*fakenomad.Key) plan.Desired {
		set, err := jwks.File(jwksFile(t, keys...)).Fetch(t.Context())
		require.NoError(t, err)
		return plan.Desired{Clusters: []string{"edge"}, Results: []jwks.Result{{Cluster: "edge", Set: set}}}
	}
	mount, o := vaultsync.NewMount(c, path), vaultsync.Options{Settle: 200 * time.Millisecond, DefaultRole: "workloads"}
	_, err := mount.Sync(t.Context(), publishes(old), o)
	require.NoError(t, err)

	report, err := mount.Plan(t.Context(), publishes(old, young), o)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "plan.json")
	text, err := json.Marshal(report)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	require.Error(t, login(c, path, ownToken(young)), "it is only planned")

	stored := func() *plan.Plan {
		p := new(plan.Plan)
		require.NoError(t, json.Unmarshal(read(t, file), p))
		return p
	}
	denied, err := pem.ParseFingerprint(fingerprintOf(t, young))
	require.NoError(t, err)
	refused := o
	refused.Deny = []pem.Fingerprint{denied}
	_, err = mount.Apply(t.Context(), stored(), refused)
	require.ErrorIs(t, err, plan.ErrRefused)
	require.ErrorContains(t, err, denied.Short())
	require.Error(t, login(c, path, ownToken(young)))

	report, err = mount.Apply(t.Context(), stored(), o)
	require.NoError(t, err)
	assert.True(t, report.InSync())
	require.NoError(t, login(c, path, ownToken(young)))
	require.NoError(t, login(c, path, ownToken(old)))
	assert.Equal(t, "workloads", readConfig(t, c, path)["default_role"], "what isn't ours stays")

	_, err = mount.Sync(t.Context(), publishes(young), o)
	require.NoError(t, err)
	_, err = mount.Apply(t.Context(), stored(), o)
	require.ErrorIs(t, err, plan.ErrStale, "others have written since")
	require.Error(t, login(c, path, ownToken(old)))

	o.Review = func(_ context.Context, p *plan.Plan) error {
		if len(p.Add) > 0 {
			return errors.New("not on a Friday")
		}
		return nil
	}
	_, err = mount.Sync(t.Context(), publishes(young, old), o)
	require.ErrorIs(t, err, vaultsync.ErrReview)
	require.ErrorContains(t, err, "not on a Friday")
	require.Error(t, login(c, path, ownToken(old)))
}

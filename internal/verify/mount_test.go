package verify

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// A cluster with very many keys, each of which takes long to judge, doesn't hold up a verdict on
// another's token.
func TestAtMountBesideManyDearKeys(t *testing.T) {
	t.Parallel()
	v := fakevault.New(t)
	v.Enable("", "jwt-nomad", "jwt")
	m := vaultsync.NewMount(v.Client(), "jwt-nomad")
	clusters := []string{"hostile", "b"}
	report, _ := m.Sync(t.Context(), plan.Desired{Clusters: clusters, Results: []jwks.Result{down("hostile"), publish("b", "k")}}, vaultsync.Options{})
	require.NoError(t, report.Err)

	for key, miss := range map[string]Miss{"k": "", "new": MissNotTrusted} {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // all of them take minutes
		r := AtMount(ctx, m, Verification{
			Token: signedBy(t, key, key, workload(nil)), Now: now,
			Want: plan.Desired{Clusters: clusters, Results: []jwks.Result{fakekeys.Dear("hostile", 3000), publish("b", "k", "new")}},
		}, slog.New(slog.DiscardHandler))
		require.NoError(t, r.Err)
		assert.Equal(t, miss, r.Miss, findingsOf(r.Verdict))
		require.NoError(t, ctx.Err())
		cancel()
	}
}

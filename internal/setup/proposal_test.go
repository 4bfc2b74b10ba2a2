package setup

import (
	"context"
	"slices"
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

// A cluster with very many keys, each of which takes long to judge, keeps nobody from a proposal in
// time: neither on a mount that is there nor on one that is to be made.
func TestProposeBesideAHostileCluster(t *testing.T) {
	v := fakevault.New(t)
	v.Enable("", "jwt-nomad", "jwt")
	results := []jwks.Result{fakekeys.Dear("hostile", 2000), fakekeys.Publish("b", "new")}
	for _, path := range []string{"jwt-nomad", "jwt-new"} {
		t.Run(path, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
			defer cancel()
			p := Propose(ctx, vaultsync.Target{
				Mount: vaultsync.NewMount(v.Client(), path), Clusters: []string{"hostile", "b"}, Options: vaultsync.Options{Now: time.Now()},
			}, Setup{}, results)
			require.NoError(t, p.Failure)
			require.NoError(t, ctx.Err())
			isNew := func(k plan.Key) bool { return k.Fingerprint == fakekeys.Fingerprint("new") }
			assert.True(t, slices.ContainsFunc(p.Keys().Add, isNew))
			assert.True(t, p.IsPartial())
		})
	}
}

// What keeps a mount from being read is the proposal's failure, which names it.
func TestProposeWhereNothingCanBeRead(t *testing.T) {
	v := fakevault.New(t)
	client := v.Client()
	client.SetToken("nobody's")
	p := Propose(t.Context(), vaultsync.Target{Mount: vaultsync.NewMount(client, "jwt-nomad")}, Setup{}, nil)
	require.ErrorIs(t, p.Failure, vaultsync.ErrForbidden)
	assert.Equal(t, p.Failure.Error(), p.Error)
	assert.Equal(t, "jwt-nomad", p.Path)
	assert.Nil(t, p.Keys())
	assert.False(t, p.HasChanges())
}

package vaultsync

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// A cluster that publishes very many new keys, each of which takes long to judge, holds up no
// other: its key comes, and its old one goes, in the time of one sync. A busy machine may judge as
// little as one key in a sync's time; the next one goes on from there.
func TestSyncJudgesInTurn(t *testing.T) {
	v := fakevault.New(t)
	v.Enable("", "jwt-nomad", "jwt")
	m := NewMount(v.Client(), "jwt-nomad")
	o := Options{Settle: 10 * time.Second} // a busy machine takes its time between a read and a write
	how := conduct{rest: func(context.Context, time.Duration) (bool, error) { return true, nil }}
	report := m.sync(t.Context(), plan.Desired{Clusters: []string{"hostile", "b"}, Results: []jwks.Result{down("hostile"), publish("b", "old", "kept")}}, o, how)
	require.NoError(t, report.Err)

	began := time.Now()
	want := plan.Desired{Clusters: []string{"hostile", "b"}, Results: []jwks.Result{fakekeys.Dear("hostile", 20000), publish("b", "kept", "new")}}
	how.pace = new(pace) // as in a watch
	how.verdicts = new(verdicts.Known)
	var added, removed []plan.Key
	for syncs := 0; syncs < 20 && !hasKey(added, fingerprint("new")); syncs++ { // of 20,000 keys in turn
		how.verdicts = how.verdicts.Published()
		report = m.sync(t.Context(), want, o, how)
		require.NoError(t, report.Err)
		added, removed = append(added, report.Plan.Add...), append(removed, report.Plan.Remove...)
	}
	assert.Less(t, time.Since(began), 20*time.Second, "all of them take many minutes")
	assert.True(t, hasKey(added, fingerprint("new")))
	assert.True(t, hasKey(removed, fingerprint("old")))
	require.Len(t, report.Plan.Failed, 1)
	assert.Equal(t, "hostile", report.Plan.Failed[0].Cluster)
	require.ErrorIs(t, report.Plan.Failed[0].Err, plan.ErrNoRoom)
}

// To get ready may take a watch longer than the judging: the time of that begins afterwards.
func TestJudgingBeginsWhenItIsReady(t *testing.T) {
	for name, test := range map[string]struct {
		pace *pace
		over bool
	}{"in a watch": {new(pace), false}, "in a sync": {nil, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &convergence{how: conduct{pace: test.pace}, until: time.Now().Add(watchJudges)}
				stop := c.stopJudging()
				time.Sleep(time.Second)
				assert.Equal(t, test.over, stop())
				time.Sleep(watchJudges)
				assert.True(t, stop())
			})
		})
	}
}

// A plan for a caller with a deadline is there long before it, and has what there was time for.
func TestPlanWithin(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	want := plan.Desired{Clusters: []string{"hostile", "b"}, Results: []jwks.Result{fakekeys.Dear("hostile", 2000), publish("b", "new")}}
	p, err := planWithin(ctx, mountconfig.Config{}, want, Options{Now: time.Now()})
	require.NoError(t, err)
	require.NoError(t, ctx.Err())
	assert.True(t, hasKey(p.Add, fingerprint("new")))
	require.Len(t, p.Failed, 1)
	require.ErrorIs(t, p.Failed[0].Err, plan.ErrNoRoom)
}

func hasKey(keys []plan.Key, f pem.Fingerprint) bool {
	return slices.ContainsFunc(keys, func(k plan.Key) bool { return k.Fingerprint == f })
}

package plan

import (
	"iter"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// A plan takes the verdicts that a sync had made before it read the mount, and makes those that
// are missing.
func TestPlanTakesVerdicts(t *testing.T) {
	want := Desired{[]string{"a"}, []jwks.Result{publish("a", "k1", "k2"), down("b"), publish("a/r", "k3")}}
	var known verdicts.Known
	known.JudgePublished(want.Results, nil)
	known.Of(want.Results[0].Set)[0].Refusal = &jwks.KeyError{Reason: jwks.ReasonSize}

	p := planOf(t, nil, want, Rules{Now: now, Verdicts: &known})
	require.Len(t, p.Skipped, 1, "the verdict that is known")
	assert.Equal(t, fingerprint("k1"), p.Skipped[0].Fingerprint)
	assert.Len(t, p.Add, 2)
	for _, none := range []*verdicts.Known{nil, new(verdicts.Known)} {
		p = planOf(t, nil, want, Rules{Now: now, Verdicts: none})
		assert.Len(t, p.Add, 3)
	}

	known.JudgeTrusted(annotated(nil), nil)
	later := known.Published()
	assert.False(t, later.OnTrusted(), "what is trusted by then is judged again")
	later.JudgePublished(want.Results, func() bool { return true })
	assert.Equal(t, jwks.ReasonSize, later.Of(want.Results[0].Set)[0].Refusal.Reason, "taken over")
	later.JudgePublished(nil, nil)
	assert.Nil(t, later.Of(want.Results[0].Set)[0].Refusal, "what is no longer desired is forgotten")
}

// Keys that wait to be judged and keys that wait for room are one failure of their cluster.
func TestPlanWaitsForJudgeAndRoom(t *testing.T) {
	want := Desired{[]string{"a", "b"}, []jwks.Result{publish("a", "k1", "k2", "k3"), publish("b", "k4", "k5")}}
	var known verdicts.Known
	known.JudgePublished(want.Results, nil)
	for _, r := range want.Results {
		known.Of(r.Set)[len(r.Set.Keys)-1].Unjudged = true
	}
	for range 20 { // whatever the order of a map
		p := planOf(t, nil, want, Rules{Now: now, MaxKeys: 1, Verdicts: &known})
		assert.Len(t, p.Add, 2)
		require.Len(t, p.Failed, 2)
		assert.Equal(t, &RoomError{Cluster: "a", Waiting: 2, Unjudged: 1, Keys: 1, MaxKeys: 1, Bytes: room(t, p, "a").Bytes}, room(t, p, "a"))
		assert.Equal(t, &RoomError{Cluster: "b", Waiting: 1, Unjudged: 1}, room(t, p, "b"))
	}
}

// What there is no time to judge waits, and nothing goes for it: neither a key that the mount
// trusts for the cluster, or for a retired name, nor a foreign one that may be the cluster's.
func TestPlanWithoutTimeToJudge(t *testing.T) {
	unjudged := func(want Desired) *verdicts.Known {
		v := new(verdicts.Known)
		v.JudgePublished(want.Results, func() bool { return true })
		v.JudgeTrusted(annotated(nil), func() bool { return true })
		return v
	}
	names := func(keys []Key) (names []string) {
		for _, k := range keys {
			names = append(names, k.KeyID)
		}
		return names
	}
	want := Desired{[]string{"a"}, []jwks.Result{publish("a", "k1", "k2", "foreign", "moved")}}
	for name, rules := range map[string]Rules{
		"usual": {Retired: []string{"old"}}, "foreign keys go": {Retired: []string{"old"}, Foreign: ForeignRemove},
	} {
		t.Run(name, func(t *testing.T) {
			rules.Now, rules.Verdicts = now, unjudged(want)
			p := planOf(t, elements(trust("a", "k1"), paste("foreign"), trust("old", "moved")), want, rules)
			assert.Equal(t, []string{"k1"}, names(p.Keep))
			assert.Equal(t, []string{"moved"}, names(p.Adopt))
			assert.Equal(t, []string{"k2", "foreign"}, names(p.Skipped))
			assert.Len(t, p.Foreign, 1)
			assert.Empty(t, p.Add)
			assert.Empty(t, p.Remove)
			assert.True(t, p.Unjudged)
			require.Len(t, p.Failed, 1)
			require.ErrorIs(t, p.Failed[0].Err, ErrNoRoom)
			assert.ErrorContains(t, p.Failed[0].Err, "2 wait, 2 of them to be judged, for which there was no time")
		})
	}
	want = Desired{[]string{"a"}, []jwks.Result{publish("a", "k1")}}
	p := planOf(t, elements(trust("a", "k9")), want, Rules{Now: now, Verdicts: unjudged(want)})
	assert.Equal(t, []string{"k9"}, names(p.Keep))
	assert.Empty(t, p.Remove)
	require.Len(t, p.Failed, 1, "a set of which nothing is judged isn't read")
	assert.Equal(t, 1, p.Failed[0].Kept)
	assert.NotErrorIs(t, p.Failed[0].Err, ErrTurnover)
}

func annotated(list []Element) iter.Seq2[pem.Fingerprint, pem.Block] {
	return func(yield func(pem.Fingerprint, pem.Block) bool) {
		for _, e := range list {
			if !e.Foreign() && !yield(e.Fingerprint, e.Block) {
				return
			}
		}
	}
}

package vaultsync

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Another harvester, or this one before its clock was set, knows of a key that our set is too
// old for, also with a clock that is hours away from ours: the key stays until our next answer.
func TestWatchOtherClocks(t *testing.T) {
	for name, skew := range map[string]time.Duration{"the same": 0, "behind": -3 * time.Hour, "ahead": 3 * time.Hour, "years behind": -50 * 365 * 24 * time.Hour} {
		runOnStage(t, name, func(t *testing.T, s *stage) {
			s.watching(s.options(), func() {
				time.Sleep(50 * time.Second)
				keys := append(s.vault.Keys("", "both"), trust("a", "k9", added(time.Now().Add(skew))))
				require.NoError(t, s.vault.WriteConfig("", "both", map[string]any{keysField: keys}))
				s.nomads["b"].Region("").Rotate("EdDSA") // has it look at the mount, with a set of a's of some seconds ago
				synctest.Wait()
				assert.Contains(t, s.trusted("both"), "a k9")
				time.Sleep(48 * time.Second)
				s.requireTrusted("both", "a", "b")
			})
		})
	}
}

// A key that a writer with an old list puts back goes again at once: it isn't new.
func TestWatchPutBackIsNotNew(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			time.Sleep(50 * time.Second)
			region := s.nomads["a"].Region("")
			first := region.Active().ID
			region.Rotate("EdDSA")
			time.Sleep(50 * time.Second)
			old := s.vault.Keys("", "only-a")
			region.Remove(first)
			s.requireTrusted("only-a", "a")
			time.Sleep(10 * time.Second) // it was seen to be gone
			require.NoError(t, s.vault.WriteConfig("", "only-a", map[string]any{keysField: old}))
			region.Rotate("EdDSA") // has it look at the mount
			s.requireTrusted("only-a", "a")
		})
	})
}

// Clocks that are set while a key is retained: the retention period is that of the watch.
func TestWatchRetainsThroughAStep(t *testing.T) {
	for name, test := range map[string]struct {
		seen            *keyHistory
		step            time.Duration
		trusted, writes int
	}{
		"forward":              {new(keyHistory), 3 * time.Hour, 2, 1},
		"back":                 {new(keyHistory), -3 * time.Hour, 2, 1},
		"forward, single runs": {nil, 3 * time.Hour, 1, 2},  // a run has no memory but the annotation
		"back, single runs":    {nil, -3 * time.Hour, 2, 2}, // a beginning in the future is dated anew
	} {
		runOnStage(t, name, func(t *testing.T, s *stage) {
			region := s.nomads["a"].Region("")
			first := region.Active()
			region.Rotate("EdDSA")
			wall := time.Duration(0)
			sync := func() {
				t.Helper()
				set, err := s.source("a").Fetch(t.Context())
				require.NoError(t, err)
				o := Options{Retain: time.Hour, Now: time.Now().Add(wall)}
				how := conduct{history: test.seen, rest: func(context.Context, time.Duration) (bool, error) { return false, nil }}
				want := plan.Desired{Clusters: []string{"a"}, Results: []jwks.Result{{Cluster: "a", Set: set, Asked: time.Now().Add(wall)}}}
				require.NoError(t, NewMount(s.vault.Client(), "only-a").sync(t.Context(), want, o, how).Err)
			}
			sync()
			time.Sleep(10 * time.Minute)
			region.Remove(first.ID)
			s.vault.ClearRequests()
			sync() // the retention period begins
			require.Len(t, s.trusted("only-a"), 2)
			time.Sleep(time.Minute)
			wall = test.step
			sync()
			assert.Len(t, s.trusted("only-a"), test.trusted)
			assert.Equal(t, test.writes, s.writes("only-a"))
			wall = max(wall, 0) // set right again
			time.Sleep(time.Hour)
			sync()
			s.requireTrusted("only-a", "a")
		})
	}
}

// A cluster that changes its keys all the time costs a bounded memory, of the latest of them.
func TestKeyHistoryIsBounded(t *testing.T) {
	began := time.Now()
	fingerprint := func(i int) pem.Fingerprint { return pem.Fingerprint{byte(i >> 8), byte(i)} }
	const keys = mostGone + 50
	s := new(keyHistory)
	for i := range keys {
		s.readAt(began.Add(time.Duration(i) * time.Second))
		s.note([]plan.Element{{Opaque: true}, {Fingerprint: fingerprint(i)}})
	}
	assert.Len(t, s.keys, mostGone+1, "the gone ones, and the one that is there")
	for i := keys - mostGone - 1; i < keys; i++ {
		_, known := s.keys[fingerprint(i)] // assert.Contains looks at all keys for each
		assert.True(t, known, i)
	}
	last := began.Add((keys - 1) * time.Second)
	for age, known := range map[time.Duration]int{forgotten: 1, forgotten + 1: 0} {
		of := keyHistory{keys: maps.Clone(s.keys)}
		of.readAt(last.Add(age))
		of.note(nil)
		assert.Len(t, of.keys, known)
	}
}

package vaultsync

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// states is what a service's metrics and readiness show, from events alone.
type states struct {
	sources  map[pem.Owner]string
	mounts   map[string]string
	trusted  map[string]int
	recovery []Event
	asked    map[pem.Owner]int
	last     time.Time
}

func (s *states) hear(e Event) {
	s.last = e.Time
	switch e.Kind {
	case EventRead, EventSame, EventUnread:
		s.asked[e.Owner]++
		s.sources[e.Owner] = string(e.Kind)
	case EventSynced:
		s.mounts[e.Mount.Path] = "synced"
		if !e.Report.InSync() {
			s.mounts[e.Mount.Path] = "partly synced"
		}
	case EventError:
		s.mounts[e.Mount.Path] = "failed"
	case EventAdded:
		s.trusted[e.Mount.Path+" "+e.Cluster]++
	case EventRemoved:
		s.trusted[e.Mount.Path+" "+e.Cluster]--
	case EventRecovered:
		s.recovery = append(s.recovery, e)
	}
}

func TestEventsTellAll(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.harvest.Targets = slices.DeleteFunc(s.harvest.Targets, func(t Target) bool { return t.Mount.Path != "only-a" })
		seen := states{sources: map[pem.Owner]string{}, mounts: map[string]string{}, trusted: map[string]int{}, asked: map[pem.Owner]int{}}
		s.harvest.OnEvent = func(e Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			seen.hear(e)
		}
		a := pem.Owner{Cluster: "a"}
		expect := func(source, mount string, recovered ...Event) {
			t.Helper()
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			assert.Equal(t, source, seen.sources[a])
			assert.Equal(t, mount, seen.mounts["only-a"])
			require.Len(t, seen.recovery, len(recovered))
			for i, want := range recovered {
				assert.Equal(t, want.Mount, seen.recovery[i].Mount)
				assert.Equal(t, want.Owner, seen.recovery[i].Owner)
				assert.InDelta(t, want.Recovered, seen.recovery[i].Recovered, float64(6*time.Minute), "a resync shows it")
			}
			seen.recovery = nil
		}
		region, id := s.nomads["a"].Region(""), s.target("only-a").Mount.ID()
		s.watching(WatchOptions{}, func() {
			time.Sleep(10 * time.Second)
			expect("read", "synced")
			time.Sleep(2 * time.Minute)
			expect("same", "synced")
			region.Rotate("EdDSA")
			time.Sleep(time.Minute)
			s.mu.Lock()
			assert.Equal(t, 2, seen.trusted["only-a a"])
			s.mu.Unlock()
			region.Down(true)
			time.Sleep(20 * time.Minute)
			expect("unread", "partly synced")
			region.Down(false)
			time.Sleep(10 * time.Minute)
			expect("same", "synced", Event{Owner: a, Recovered: 20 * time.Minute}, Event{Owner: a, Mount: id, Recovered: 20 * time.Minute})
			s.vault.Seal()
			time.Sleep(30 * time.Minute)
			expect("same", "failed")
			s.vault.Unseal()
			time.Sleep(5 * time.Minute)
			expect("same", "synced", Event{Mount: id, Recovered: 30 * time.Minute})
			assert.WithinDuration(t, time.Now(), seen.last, 6*time.Minute)
		})
	})
}

// Who knows of a change tells, and nobody waits for the next interval.
func TestTrigger(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		trigger := make(chan struct{})
		o := s.options()
		o.Resync, o.Trigger = 24*time.Hour, trigger
		o.Sources = jwks.WatchOptions{Interval: 24 * time.Hour, Wait: time.Hour}
		s.harvest.Clusters[0].Sources = []jwks.Source{faultySource{good: s.source("a"), broken: nil}} // no index to wait on
		s.watching(o, func() {
			time.Sleep(time.Minute)
			s.nomads["a"].Region("").Rotate("EdDSA")
			require.NoError(t, s.vault.WriteConfig("", "only-b", map[string]any{"jwt_validation_pubkeys": s.vault.Keys("", "only-a")}))
			time.Sleep(time.Minute)
			began := time.Now()
			for range 3 {
				trigger <- struct{}{}
			}
			assert.Equal(t, 2*triggerGap, time.Since(began), "a bound on what is asked")
			time.Sleep(2 * time.Second)
			s.requireTrusted("only-a", "a")
			s.requireTrusted("both", "a", "b")
			assert.Contains(t, s.trusted("only-b"), "b "+s.nomads["b"].Region("").Active().ID, "what others did is healed")
		})
	})
}

func TestEventIsALine(t *testing.T) {
	f := fingerprint("k1")
	for want, e := range map[string]Event{
		"added: mount jwt at https://v: key a/r k1 RS256 " + f.Short():             {Kind: EventAdded, Mount: MountID{Vault: "https://v", Path: "jwt"}, Key: plan.Key{Owner: pem.Owner{Cluster: "a", Region: "r"}, KeyID: "k1", Algorithm: "RS256", Fingerprint: f}},
		"unread: cluster a: " + jwks.ErrNoKeys.Error():                             {Kind: EventUnread, Owner: pem.Owner{Cluster: "a"}, Err: jwks.ErrNoKeys},
		`set: mount jwt at https://v: bound_issuer from "" to "\"https://nomad\""`: {Kind: EventSet, Mount: MountID{Vault: "https://v", Path: "jwt"}, Set: plan.Change{Field: "bound_issuer", After: `"https://nomad"`}},
	} {
		assert.Equal(t, want, e.String())
	}
}

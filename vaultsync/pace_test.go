package vaultsync

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// A cluster that publishes another key every second doesn't have the mount written as often; and
// who is quiet isn't held up by what was before.
func TestWatchPacesWrites(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		region := s.nomads["a"].Region("")
		churn := func(d time.Duration) {
			for began := time.Now(); time.Since(began) < d; time.Sleep(500 * time.Millisecond) {
				region.Rotate("EdDSA")
			}
		}
		s.watching(s.options(), func() {
			time.Sleep(time.Minute)
			s.vault.ClearRequests()
			for range paceBurst {
				region.Rotate("EdDSA")
				s.requireTrusted("only-a", "a")
				time.Sleep(50 * time.Millisecond)
			}
			assert.Equal(t, paceBurst, s.writes("only-a"), "the first ones at once")

			churn(30 * time.Second)
			writes := s.writes("only-a") - paceBurst
			assert.LessOrEqual(t, writes, 10+1, "one every three seconds")
			assert.GreaterOrEqual(t, writes, 9)
			time.Sleep(2 * paceGap) // the source isn't asked more than once a second either
			s.requireTrusted("only-a", "a")
			s.requireTrusted("both", "a", "b")

			time.Sleep(time.Minute)
			at := time.Now()
			region.Rotate("EdDSA")
			s.requireTrusted("only-a", "a")
			assert.Zero(t, time.Since(at), "a single change")
		})
	})
}

// What another writer did is mended, and a denied key removed, without a pause.
func TestWatchPacesNoMending(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.target("only-a").Options.Deny = []pem.Fingerprint{fingerprint("x")}
		region := s.nomads["a"].Region("")
		s.watching(s.options(), func() {
			time.Sleep(time.Minute)
			for range 40 {
				region.Rotate("EdDSA")
				time.Sleep(500 * time.Millisecond)
			}
			for range 5 {
				before := s.vault.Keys("", "only-a")
				region.Rotate("EdDSA")
				active := "a " + region.Active().ID
				for range 100 {
					if slices.Contains(s.trusted("only-a"), active) {
						break
					}
					time.Sleep(paceGap / 30)
				}
				_, err := s.vault.Client().Logical().Write("auth/only-a/config", map[string]any{keysField: append(before, paste("x"))})
				require.NoError(t, err)                    // the update is lost
				time.Sleep(paceGap - 100*time.Millisecond) // two looks, at most
				synctest.Wait()
				require.NotContains(t, s.vault.Keys("", "only-a"), paste("x"))
				require.Contains(t, s.trusted("only-a"), active)
			}
		})
	})
}

func TestPaceLetsDenialsThrough(t *testing.T) {
	var p pace
	config := config(trust("a", "k1"), trust("a", "x"))
	planned := func(o Options) *plan.Plan {
		o.Now = now
		p := planOf(t, config, desired(publish("a", "k1", "k2")), o)
		return p
	}
	for range paceBurst {
		assert.LessOrEqual(t, p.pause(config, planned(Options{}), now), time.Duration(0))
		p.wrote(&plan.Plan{Next: config.Keys()}, now)
	}
	assert.Equal(t, paceGap, p.pause(config, planned(Options{}), now))
	assert.Equal(t, time.Second, p.pause(config, planned(Options{}), now.Add(paceGap-time.Second)))
	assert.Zero(t, p.pause(config, planned(Options{Deny: []pem.Fingerprint{fingerprint("x")}}), now))
	p.left = []string{"another's"}
	assert.Zero(t, p.pause(config, planned(Options{}), now))
	assert.Zero(t, (*pace)(nil).pause(config, planned(Options{}), now))
}

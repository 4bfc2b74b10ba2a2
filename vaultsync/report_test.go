package vaultsync

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fault "github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// A sync that has to try again, and waits for that, tries it with what is published by then. What
// the mount holds then is on the last plan, which isn't the first.
func TestWatchTriesAgainWithTheLatest(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.watching(s.options(), func() {
			time.Sleep(time.Minute)
			s.vault.ClearRequests()
			s.vault.Inject(fault.On("PUT", "only-a"+configPath, fault.Times(3, fault.Status(http.StatusServiceUnavailable))))
			region := s.nomads["a"].Region("")
			region.Rotate("EdDSA")
			time.Sleep(10 * time.Millisecond)
			region.Rotate("EdDSA") // while the first write is tried
			time.Sleep(3 * time.Second)
			s.requireTrusted("only-a", "a")
			assert.Equal(t, 4, s.writes("only-a"), "the first that succeeds has both")
			var held, want []string
			for _, k := range region.Keys() {
				want = append(want, k.ID)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			i := slices.IndexFunc(s.reports["only-a"], func(r *MountReport) bool { return r.Written > 1 })
			require.GreaterOrEqual(t, i, 0, "the sync that was tried again")
			plan, done := s.reports["only-a"][i].Last, s.reports["only-a"][i].Done
			for _, k := range plan.Keep {
				held = append(held, k.KeyID)
			}
			assert.ElementsMatch(t, want, held)
			assert.True(t, done)
			assert.False(t, plan.Changed, "nothing is left to do")
		})
	})
}

// Whether the last plan was carried out is known of a sync that fails, too.
func TestLastPlanOfAFailedSync(t *testing.T) {
	for name, tt := range map[string]struct {
		fault fault.Fault
		done  bool
	}{
		"no write was taken":     {fault.On("PUT", "only-a"+configPath, fault.Status(http.StatusForbidden)), false},
		"it can't be read again": {fault.On("GET", "only-a"+configPath, fault.Between(1, 2, fault.Status(http.StatusForbidden))), true},
	} {
		runOnStage(t, name, func(t *testing.T, s *stage) {
			s.watching(s.options(), func() {
				time.Sleep(time.Minute)
				s.vault.Inject(tt.fault)
				s.nomads["a"].Region("").Rotate("EdDSA")
				time.Sleep(3 * time.Second)
				synctest.Wait()
				s.mu.Lock()
				defer s.mu.Unlock()
				for _, r := range s.reports["only-a"] {
					if r.Err == nil {
						continue
					}
					plan, done := r.Last, r.Done
					assert.Len(t, plan.Add, 1)
					assert.Equal(t, tt.done, done)
					return
				}
				assert.Fail(t, "no sync failed")
			})
		})
	}
}

// A cluster that couldn't be read at first, and was when the sync was tried again, leaves the
// mount in sync; one that was lost meanwhile doesn't.
func TestInSyncByTheLastPlan(t *testing.T) {
	whole, partial := new(plan.Plan), &plan.Plan{Failed: make([]plan.Failure, 1)}
	assert.True(t, (&MountReport{Plan: partial, Last: whole}).InSync())
	assert.False(t, (&MountReport{Plan: whole, Last: partial}).InSync())
	assert.False(t, (&MountReport{Plan: partial}).InSync())
}

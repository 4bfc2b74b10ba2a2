package vaultsync

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fault "github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/verdicts"
)

// asLongAsMayBe and asShortAsMayBe are how chance may have it.
func asLongAsMayBe(most time.Duration) time.Duration { return most }
func asShortAsMayBe(time.Duration) time.Duration     { return 0 }

// The pauses of a sync are within the bounds that its promise to other writers stands on.
func TestSyncPauses(t *testing.T) {
	for name, test := range map[string]struct {
		jitter       func(time.Duration) time.Duration
		failed, look time.Duration // five tries that fail, then a write and the look at it
	}{
		"short": {asShortAsMayBe, (125 + 250 + 500 + 1000 + 2000) * time.Millisecond, 2 * time.Second},
		"long":  {asLongAsMayBe, (250 + 500 + 1000 + 2000 + 4000) * time.Millisecond, 2500 * time.Millisecond},
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			began := time.Now()
			var wrote time.Time
			v.Inject(fault.On("PUT", configPath, fault.Times(5, fault.Status(http.StatusServiceUnavailable))))
			v.Inject(fault.On("PUT", configPath, fault.First(func() { wrote = time.Now() })))
			report := m.sync(t.Context(), desired(publish("a", "k1")), Options{Settle: 2 * time.Second}, conduct{jitter: test.jitter})
			require.NoError(t, report.Err)
			assert.Equal(t, 6, report.Written)
			assert.Equal(t, test.failed, wrote.Sub(began))
			assert.Equal(t, test.failed+test.look, time.Since(began))
		})
	}
}

// A write may stand on a read that is half a settle time old, and on no older one.
func TestSyncOldestRead(t *testing.T) {
	for age, tries := range map[time.Duration]int{time.Second: 1, time.Second + 1: 2} {
		inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
			asked := 0
			how := conduct{age: func(time.Time) time.Duration {
				if asked++; asked == 1 {
					return age
				}
				return 0
			}}
			report := m.sync(t.Context(), desired(publish("a", "k1")), Options{Settle: 2 * time.Second}, how)
			require.NoError(t, report.Err)
			assert.Equal(t, 1, v.Count("PUT", configPath))
			assert.Equal(t, tries, asked)
		})
	}
}

// In a sync that has an end, trusted keys are judged between the read and the write, for as long as
// that may take; else the plan judges them.
func TestSyncJudgesTrustedKeys(t *testing.T) {
	for name, paced := range map[string]bool{"a single sync": false, "a watch": true} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			configured(t, v, trust("a", "k1"), trust("a", "weak"))
			how := conduct{verdicts: new(verdicts.Known)}
			if paced {
				how.pace = new(pace)
			}
			report := m.sync(t.Context(), desired(publish("a", "k1")), Options{}, how)
			require.NoError(t, report.Err)
			require.Len(t, report.Plan.Remove, 1)
			assert.Contains(t, report.Plan.Remove[0].Reason, "must not be trusted")
			assert.Equal(t, paced, how.verdicts.OnTrusted())
		})
	}
}

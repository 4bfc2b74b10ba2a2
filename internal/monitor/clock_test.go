package monitor

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakeclock"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// TestBoardClockSteps: ages stay right when the clock is set: of what the log tells, and of the
// times that alerts stand on.
func TestBoardClockSteps(t *testing.T) {
	for name, step := range map[string]time.Duration{"forward": 5 * time.Hour, "back": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			b := New(slog.New(slog.NewTextHandler(&log, nil)), func(error) string { return "" })
			id := vaultsync.MountID{Vault: "https://vault:8200", Namespace: "", Path: "jwt-nomad"}
			b.Expect(map[vaultsync.MountID]Expected{id: {[]string{"a"}, "https://vault:8200"}})
			report := func(err error, at time.Time) {
				b.Report(&vaultsync.MountReport{MountID: id, Plan: &plan.Plan{}, Err: err}, at)
			}
			set := &jwks.Set{Keys: []jwks.Key{{}}}
			// Now the clock is right; what happened before the step was told by the wrong one.
			now := time.Now()
			wrong := func(ago time.Duration) time.Time { return fakeclock.Stepped(now.Add(-ago), -step) }
			b.Result(jwks.Result{Cluster: "a", Set: set}, wrong(10*time.Second))
			report(nil, wrong(10*time.Second))
			for _, metric := range []string{"harvest_sync_last_success_timestamp_seconds", "harvest_fetch_last_success_timestamp_seconds"} {
				families, err := NewRegistry(b, Build{}).Gather()
				require.NoError(t, err)
				for _, f := range families {
					if f.GetName() == metric {
						assert.InDelta(t, now.Add(-10*time.Second).Unix(), f.GetMetric()[0].GetGauge().GetValue(), 5, metric)
					}
				}
				assert.Equal(t, 1, testutil.CollectAndCount(&metrics{b}, metric))
			}
			report(vaultsync.ErrSealed, wrong(8*time.Second))
			report(nil, now)
			assert.Contains(t, log.String(), `msg="mount synced again" mount="jwt-nomad at https://vault:8200" after=8s`)
		})
	}
}

package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakeclock"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// steps are ways in which a machine's clock is set.
var steps = map[string]time.Duration{"forward": 5 * time.Hour, "back": -5 * time.Hour}

// TestBoardClockSteps: ages stay right when the clock is set: of readiness, of what the log
// tells, and of the times that alerts stand on.
func TestBoardClockSteps(t *testing.T) {
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			b := newBoard(slog.New(slog.NewTextHandler(&log, nil)), func(error) string { return "" })
			id := mountID{"https://vault:8200", "", "jwt-nomad"}
			b.expect(map[mountID]expected{id: {[]string{"a"}, "https://vault:8200"}})
			report := func(err error, at time.Time) {
				b.report(&vaultsync.MountReport{Vault: id.vault, Path: id.path, Plan: &vaultsync.Plan{}, Err: err}, at)
			}
			set := &jwks.Set{Keys: []jwks.Key{{}}}
			// Now the clock is right; what happened before the step was told by the wrong one.
			now := time.Now()
			wrong := func(ago time.Duration) time.Time { return fakeclock.Stepped(now.Add(-ago), -step) }
			b.result(jwks.Result{Cluster: "a", Set: set}, wrong(10*time.Second))
			report(nil, wrong(10*time.Second))
			assert.Empty(t, b.unready(now, time.Minute))
			assert.NotEmpty(t, b.unready(now, time.Second))
			assert.Contains(t, b.unready(now, time.Second)[0], "last in sync "+now.Add(-10*time.Second).UTC().Format(time.RFC3339))
			for _, metric := range []string{"harvest_sync_last_success_timestamp_seconds", "harvest_fetch_last_success_timestamp_seconds"} {
				families, err := newRegistry(b).Gather()
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

// TestKeeperClockSteps: how long new tokens are waited for has nothing to do with the time
// of day.
func TestKeeperClockSteps(t *testing.T) {
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			k := &keeper{times: keeperTimes{retryMin: time.Hour, retryMax: time.Hour, refusedMax: 2 * time.Hour}}
			assert.Zero(t, k.refusal())
			k.refusedAt = fakeclock.Stepped(k.refusedAt, step)
			k.honours.Store(true) // another mount's sync was honoured
			assert.NotZero(t, k.refusal(), "the second refusal in a row waits")
			k.refusedAt = fakeclock.Stepped(time.Now().Add(-3*time.Hour), step)
			k.honours.Store(true)
			assert.Zero(t, k.refusal(), "long after, it is the first again")
		})
	}
}

// TestTextfileClockSteps: a time of success in the future, of before the clock was set back,
// begins to age.
func TestTextfileClockSteps(t *testing.T) {
	name := filepath.Join(t.TempDir(), "harvest.prom")
	require.NoError(t, os.WriteFile(name, fmt.Appendf(nil,
		"# TYPE harvest_sync_last_success_timestamp_seconds gauge\nharvest_sync_last_success_timestamp_seconds{mount=\"jwt-nomad\",namespace=\"\",vault=\"https://vault:8200\"} %d\n", now.Add(5*time.Hour).Unix()), 0o600))
	id := mountID{"https://vault:8200", "", "jwt-nomad"}
	for after, want := range map[time.Duration]time.Time{0: now, time.Hour: now.Add(time.Hour), 6 * time.Hour: now.Add(5 * time.Hour)} {
		b := newBoard(slog.New(slog.DiscardHandler), func(error) string { return "" })
		known := map[mountID]expected{id: {[]string{"a"}, ""}}
		b.expect(known)
		(&textfile{name: name, board: b, now: func() time.Time { return now.Add(after) }}).goOn(known)
		assert.WithinDuration(t, want, b.mounts[id].inSync, 0)
	}
}

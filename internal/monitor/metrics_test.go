package monitor

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// TestMetrics: every metric once, in Prometheus's conventions, and gone with what it is of.
func TestMetrics(t *testing.T) {
	nomad := fakenomad.NewInProcess()
	t.Cleanup(nomad.Close)
	key := nomad.Region("").Active()
	f, err := pem.FingerprintOf(key.Public())
	require.NoError(t, err)
	var log strings.Builder
	b := New(slog.New(slog.NewTextHandler(&log, nil)), func(error) string { return "do this\n  or that" })
	registry := NewRegistry(b, Build{"1.0.0", "abc", "go1.26"})
	id := vaultsync.MountID{Vault: "https://vault:8200", Namespace: "team", Path: "jwt-nomad"}
	b.Expect(map[vaultsync.MountID]Expected{id: {[]string{"us-east"}, "https://vault:8200"}})
	metrics := func() string {
		recorder := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return recorder.Body.String()
	}
	assert.Equal(t, []string{"cluster us-east: not heard of yet", "mount jwt-nomad in namespace team at https://vault:8200: not tried yet"}, b.Untried())

	body := metrics()
	assert.Contains(t, body, `harvest_sync_last_success_timestamp_seconds{mount="jwt-nomad",namespace="team",vault="https://vault:8200"} 0`+"\n", "an alert sees what never was")
	b.Login("https://vault:8200", errors.New("locked out"), now)
	b.Login("https://vault:8200", nil, now)
	source := jwks.Result{Cluster: "us-east", Region: "eu"}
	failing := source
	failing.Err = &jwks.ClusterError{Cluster: "us-east", Region: "eu", Err: &net.OpError{Op: "dial", Err: errors.New("secret\x1b[2J refused")}}
	for range 3 {
		b.Result(failing, now)
	}
	body = metrics()
	assert.Contains(t, body, `harvest_fetch_last_success_timestamp_seconds{cluster="us-east",region="eu"} 0`+"\n")
	source.Set = &jwks.Set{Keys: []jwks.Key{{KeyID: key.ID, Public: key.Public()}}, Skipped: []*jwks.KeyError{{Reason: jwks.ReasonSize}}}
	source.Took = 20 * time.Millisecond
	b.Result(source, now)
	b.Unchanged(source, now)
	source.Took = 0
	b.Unchanged(source, now)
	k := plan.Key{Owner: pem.Owner{Cluster: "us-east", Region: "eu"}, KeyID: key.ID, Fingerprint: f}
	b.Event(vaultsync.Event{Mount: id, Kind: vaultsync.EventAdded, Key: k}, now.Add(30*time.Millisecond))
	b.Event(vaultsync.Event{Mount: id, Kind: vaultsync.EventConflict, Err: vaultsync.ErrConflict}, now)
	b.Event(vaultsync.Event{Mount: id, Kind: vaultsync.EventAdded, Key: k}, now.Add(time.Second))
	report := func(err error, plan *plan.Plan) {
		b.Report(&vaultsync.MountReport{MountID: id, Plan: plan, Err: err,
			WriteTimes: []time.Duration{time.Second / 4, 20 * time.Second}}, now)
	}
	report(nil, &plan.Plan{Keep: []plan.Key{k}, Foreign: []plan.Key{{}}})
	report(vaultsync.ErrSealed, nil)

	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
	assertDocumented(t, registry)
	body = metrics()
	const mount = `mount="jwt-nomad",namespace="team",`
	for _, line := range []string{
		`harvest_fetch_last_success_timestamp_seconds{cluster="us-east",region="eu"} 1.7953488e+09`,
		`harvest_sync_last_success_timestamp_seconds{` + mount + `vault="https://vault:8200"} 1.7953488e+09`,
		`harvest_keys_published{cluster="us-east",region="eu"} 1`,
		`harvest_keys_skipped{cluster="us-east",reason="size",region="eu"} 1`,
		`harvest_keys_trusted{cluster="us-east",` + mount + `region="eu",vault="https://vault:8200"} 1`,
		`harvest_keys_untrusted{cluster="us-east",` + mount + `region="eu",vault="https://vault:8200"} 0`,
		`harvest_keys_foreign{` + mount + `vault="https://vault:8200"} 1`,
		`harvest_publish_to_trust_seconds_bucket{cluster="us-east",` + mount + `region="eu",vault="https://vault:8200",le="0.05"} 1`,
		`harvest_publish_to_trust_seconds_count{cluster="us-east",` + mount + `region="eu",vault="https://vault:8200"} 1`,
		`harvest_fetch_duration_seconds_bucket{cluster="us-east",region="eu",le="0.01"} 0`,
		`harvest_fetch_duration_seconds_bucket{cluster="us-east",region="eu",le="0.025"} 2`,
		`harvest_fetch_duration_seconds_sum{cluster="us-east",region="eu"} 0.04`,
		`harvest_fetch_duration_seconds_count{cluster="us-east",region="eu"} 2`,
		`harvest_write_duration_seconds_bucket{` + mount + `vault="https://vault:8200",le="0.25"} 2`,
		`harvest_write_duration_seconds_bucket{` + mount + `vault="https://vault:8200",le="10"} 2`,
		`harvest_write_duration_seconds_bucket{` + mount + `vault="https://vault:8200",le="+Inf"} 4`,
		`harvest_write_duration_seconds_sum{` + mount + `vault="https://vault:8200"} 40.5`,
		`harvest_drift_repaired_total{` + mount + `vault="https://vault:8200"} 1`,
		`harvest_conflicts_total{` + mount + `vault="https://vault:8200"} 1`,
		`harvest_errors_total{cluster="us-east",kind="unreachable",mount="",namespace="",region="eu",vault=""} 3`,
		`harvest_errors_total{cluster="",kind="sealed",mount="jwt-nomad",namespace="team",region="",vault="https://vault:8200"} 1`,
		`harvest_errors_total{cluster="",kind="login",mount="",namespace="",region="",vault="https://vault:8200"} 1`,
	} {
		assert.Contains(t, body, line+"\n")
	}
	assert.Empty(t, b.Untried())

	assert.Equal(t, 1, strings.Count(log.String(), "cluster not read"), "a failure is told of once")
	assert.Contains(t, log.String(), `hint="do this or that"`)
	assert.NotContains(t, log.String(), "\x1b")

	b.Expect(map[vaultsync.MountID]Expected{{Vault: "v", Path: "other"}: {[]string{"eu-west"}, "v"}})
	body = metrics()
	assert.NotContains(t, body, "harvest_errors_total{")
	assert.NotContains(t, body, "us-east")
}

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

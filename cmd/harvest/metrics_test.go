package main

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

func pemOf(k *fakenomad.Key) (string, error) {
	b, err := pem.Encode(k.Public())
	return string(b), err
}

// TestMetrics: every metric once, in Prometheus's conventions, and gone with what it is of.
func TestMetrics(t *testing.T) {
	nomad := fakenomad.NewInProcess()
	t.Cleanup(nomad.Close)
	key := nomad.Region("").Active()
	f, err := pem.FingerprintOf(key.Public())
	require.NoError(t, err)
	var log strings.Builder
	b := newBoard(slog.New(slog.NewTextHandler(&log, nil)), func(error) string { return "do this\n  or that" })
	registry := newRegistry(b)
	id := mountID{"https://vault:8200", "team", "jwt-nomad"}
	b.expect(map[mountID]expected{id: {[]string{"us-east"}, "https://vault:8200"}})
	handler := pages(b, registry, func() time.Time { return now.Add(time.Minute) }, 10*time.Minute)
	get := func(method, path string) (int, string) {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(method, path, nil))
		return recorder.Code, recorder.Body.String()
	}
	code, body := get("GET", "/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Equal(t, "mount jwt-nomad in namespace team at https://vault:8200: not yet in sync\n", body)

	_, body = get("GET", "/metrics")
	assert.Contains(t, body, `harvest_sync_last_success_timestamp_seconds{mount="jwt-nomad",namespace="team",vault="https://vault:8200"} 0`+"\n", "an alert sees what never was")
	b.login("https://vault:8200", errors.New("locked out"), now)
	b.login("https://vault:8200", nil, now)
	source := jwks.Result{Cluster: "us-east", Region: "eu"}
	failing := source
	failing.Err = &jwks.ClusterError{Cluster: "us-east", Region: "eu", Err: &net.OpError{Op: "dial", Err: errors.New("secret\x1b[2J refused")}}
	for range 3 {
		b.result(failing, now)
	}
	_, body = get("GET", "/metrics")
	assert.Contains(t, body, `harvest_fetch_last_success_timestamp_seconds{cluster="us-east",region="eu"} 0`+"\n")
	source.Set = &jwks.Set{Keys: []jwks.Key{{KeyID: key.ID, Public: key.Public()}}, Skipped: []*jwks.KeyError{{Reason: jwks.ReasonSize}}}
	source.Took = 20 * time.Millisecond
	b.result(source, now)
	b.unchanged(source, now)
	source.Took = 0
	b.unchanged(source, now)
	k := vaultsync.Key{Cluster: "us-east", Region: "eu", KeyID: key.ID, Fingerprint: f}
	b.event(id, vaultsync.Event{Kind: vaultsync.EventAdded, Key: k}, now.Add(30*time.Millisecond))
	b.event(id, vaultsync.Event{Kind: vaultsync.EventConflict, Err: vaultsync.ErrConflict}, now)
	b.event(id, vaultsync.Event{Kind: vaultsync.EventAdded, Key: k}, now.Add(time.Second))
	report := func(err error, plan *vaultsync.Plan) {
		b.report(&vaultsync.MountReport{Vault: id.vault, Namespace: id.namespace, Path: id.path, Plan: plan, Err: err,
			WriteTimes: []time.Duration{time.Second / 4, 20 * time.Second}}, now)
	}
	report(nil, &vaultsync.Plan{Keep: []vaultsync.Key{k}, Foreign: []vaultsync.Key{{}}})
	report(vaultsync.ErrSealed, nil)

	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
	assertDocumented(t, registry)
	code, body = get("GET", "/metrics")
	assert.Equal(t, http.StatusOK, code)
	const mount = `mount="jwt-nomad",namespace="team",`
	for _, line := range []string{
		`harvest_fetch_last_success_timestamp_seconds{cluster="us-east",region="eu"} 1.7953488e+09`,
		`harvest_sync_last_success_timestamp_seconds{` + mount + `vault="https://vault:8200"} 1.7953488e+09`,
		`harvest_keys_published{cluster="us-east",region="eu"} 1`,
		`harvest_keys_skipped{cluster="us-east",reason="size",region="eu"} 1`,
		`harvest_keys_trusted{cluster="us-east",` + mount + `region="eu",vault="https://vault:8200"} 1`,
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
	code, body = get("GET", "/readyz")
	assert.Equal(t, http.StatusOK, code, "still within its bound: %s", body)
	for _, method := range []string{"POST", "PUT", "DELETE", "HEAD"} {
		code, _ = get(method, "/metrics")
		assert.Equal(t, http.StatusMethodNotAllowed, code)
	}

	assert.Equal(t, 1, strings.Count(log.String(), "cluster not read"), "a failure is told of once")
	assert.Contains(t, log.String(), `hint="do this or that"`)
	assert.NotContains(t, log.String(), "\x1b")

	b.expect(map[mountID]expected{{"v", "", "other"}: {[]string{"eu-west"}, "v"}})
	_, body = get("GET", "/metrics")
	assert.NotContains(t, body, "harvest_errors_total{")
	assert.NotContains(t, body, "us-east")
}

func TestListenAddress(t *testing.T) {
	for in, want := range map[string]string{":8300": "127.0.0.1:8300", "0.0.0.0:1": "0.0.0.0:1", "[::1]:2": "[::1]:2", "8300": "", "host": "", "host:": "", "": ""} {
		got, err := listenAddress(in)
		assert.Equal(t, want, got, in)
		assert.Equal(t, want == "", err != nil, in)
	}
}

// TestReplaceFile: contents are replaced at once or not at all, and nothing is left behind.
func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.prom")
	require.NoError(t, replaceFile(name, []byte("one")))
	require.NoError(t, replaceFile(name, []byte("two")))
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, "two", string(got))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "b.prom"), 0o755))
	require.Error(t, replaceFile(filepath.Join(dir, "b.prom"), []byte("x")))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2)
}

// TestPartition: mounts stand together where they share clusters, directly or not.
func TestPartition(t *testing.T) {
	mount := func(path string, clusters ...string) mountConfig { return mountConfig{path: path, clusters: clusters} }
	var got []string
	for _, part := range partition([]mountConfig{
		mount("1", "a"), mount("2", "b"), mount("3", "c", "d"), mount("4", "d", "a"), mount("5", "e"), mount("6", "b"),
	}) {
		var paths []string
		for _, m := range part {
			paths = append(paths, m.path)
		}
		got = append(got, strings.Join(paths, ""))
	}
	assert.Equal(t, []string{"134", "26", "5"}, got)
}

func TestNotifier(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	require.NoError(t, newNotifier(env(), 7).tell("READY=1"))
	require.Error(t, newNotifier(env("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none")), 7).tell("READY=1"))
	assert.Equal(t, 2*time.Second, newNotifier(env("WATCHDOG_USEC", "2000000", "WATCHDOG_PID", "7"), 7).watchdog)
	assert.Zero(t, newNotifier(env("WATCHDOG_USEC", "2000000", "WATCHDOG_PID", "8"), 7).watchdog)
	assert.Zero(t, newNotifier(env("WATCHDOG_USEC", "-1"), 7).watchdog)
	assert.Contains(t, reloading(), "RELOADING=1")
}

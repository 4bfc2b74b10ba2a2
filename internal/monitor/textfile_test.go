package monitor

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/vaultsync"
)

// TestTextfileClockSteps: a time of success in the future, of before the clock was set back,
// begins to age.
func TestTextfileClockSteps(t *testing.T) {
	name := filepath.Join(t.TempDir(), "harvest.prom")
	require.NoError(t, os.WriteFile(name, fmt.Appendf(nil,
		"# TYPE harvest_sync_last_success_timestamp_seconds gauge\nharvest_sync_last_success_timestamp_seconds{mount=\"jwt-nomad\",namespace=\"\",vault=\"https://vault:8200\"} %d\n", now.Add(5*time.Hour).Unix()), 0o600))
	id := vaultsync.MountID{Vault: "https://vault:8200", Namespace: "", Path: "jwt-nomad"}
	for after, want := range map[time.Duration]time.Time{0: now, time.Hour: now.Add(time.Hour), 6 * time.Hour: now.Add(5 * time.Hour)} {
		b := New(slog.New(slog.DiscardHandler), func(error) string { return "" })
		known := map[vaultsync.MountID]Expected{id: {[]string{"a"}, ""}}
		b.Expect(known)
		(&Textfile{name: name, board: b, now: func() time.Time { return now.Add(after) }}).goOn(known)
		assert.WithinDuration(t, want, b.mounts[id].inSync, 0)
	}
}

// TestWriteTextfile: contents are replaced at once or not at all, readable to all, and nothing is
// left behind. A link is replaced, and what it leads to stays as it is.
func TestWriteTextfile(t *testing.T) {
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	name := filepath.Join(dir, "a.prom")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(victim, name))
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "n", Help: "N."})
	registry := prometheus.NewRegistry()
	registry.MustRegister(counter)
	for range 2 {
		counter.Inc()
		require.NoError(t, writeTextfile(name, registry))
	}
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Contains(t, string(got), "\nn 2\n")
	info, err := os.Lstat(name)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o644), info.Mode(), "there are no secrets in it")
	got, err = os.ReadFile(victim)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(got))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "b.prom"), 0o755))
	require.Error(t, writeTextfile(filepath.Join(dir, "b.prom"), registry))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2)
}

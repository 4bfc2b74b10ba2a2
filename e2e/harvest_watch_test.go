//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/lab"
)

// watcher is a running harvest watch.
type watcher struct {
	cmd    *exec.Cmd
	stderr fixture.Log
	done   chan struct{}
}

// watch runs harvest watch until the test ends or stop is called.
func watch(t *testing.T, args ...string) *watcher {
	t.Helper()
	return watchWith(t, harvestCommand, args...)
}

// watchWith is watch with another harvest.
func watchWith(t *testing.T, binary string, args ...string) *watcher {
	t.Helper()
	w := &watcher{cmd: exec.Command(binary, append([]string{"watch"}, args...)...), done: make(chan struct{})}
	w.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "VAULT_ADDR=" + vault.Address, "VAULT_TOKEN=" + vault.RootToken}
	w.cmd.Stdout, w.cmd.Stderr = &w.stderr, &w.stderr
	require.NoError(t, w.cmd.Start())
	go func() {
		_ = w.cmd.Wait()
		close(w.done)
	}()
	t.Cleanup(func() {
		w.stop(t)
		if t.Failed() {
			t.Logf("harvest watch %s\n%s", strings.Join(args, " "), w.stderr.String())
		}
	})
	return w
}

// stop ends it as systemd and Nomad do, and wants it to end well and soon.
func (w *watcher) stop(t *testing.T) {
	t.Helper()
	select {
	case <-w.done:
		return
	default:
	}
	began := time.Now()
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-w.done:
		assert.Less(t, time.Since(began), time.Second, "SIGTERM ends within a second")
		assert.Zero(t, w.cmd.ProcessState.ExitCode())
	case <-time.After(10 * time.Second):
		_ = w.cmd.Process.Kill()
		<-w.done
		t.Error("SIGTERM did not end harvest watch")
	}
}

// await reads the mount until it trusts just those kids for a cluster, and returns when.
func await(t *testing.T, c *api.Client, path, cluster string, want func(kids []string) bool) time.Time {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		secret, err := c.Logical().Read("auth/" + path + "/config")
		require.NoError(t, err)
		if secret != nil && want(kids(t, c, path, cluster, "")) {
			return time.Now()
		}
		require.True(t, time.Now().Before(deadline), "the mount never came to trust what %s publishes", cluster)
	}
}

func has(id string) func([]string) bool {
	return func(kids []string) bool { return slices.Contains(kids, id) }
}

// drop removes the keys of an agent but for those to keep, so that sets stay small. The
// agent's first key must stay: its node's own identity is signed with it.
func drop(t *testing.T, n *lab.Nomad, keep ...string) {
	t.Helper()
	for _, id := range published(t, n) {
		if !slices.Contains(keep, id) {
			require.NoError(t, n.RemoveKey(t.Context(), id, true))
		}
	}
}

func rounds(otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv("HARVEST_ROUNDS")); err == nil {
		return n
	}
	return otherwise
}

// How long a rotated key isn't trusted, beside what no program could do without: Nomad's
// blocking reply, one read of the mount and one write. Times are printed, not judged:
//
//	HARVEST_ROUNDS=200 go test -tags e2e -run TestTrustGap -v ./e2e
func TestTrustGap(t *testing.T) {
	c := enable(t, vault, "jwt-gap", nil)
	scratch := enable(t, vault, "jwt-floor", map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}})
	watch(t, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-gap")
	first := published(t, west)
	await(t, c, "jwt-gap", "eu-west", func(kids []string) bool { return slices.Equal(kids, first) })

	var gaps, floors []time.Duration
	pace := time.NewTicker(3 * time.Second) // Nomads don't rotate more often than sources are asked
	defer pace.Stop()
	for range rounds(5) {
		<-pace.C
		blocked := make(chan time.Time, 1)
		query := newBlockingQuery(t, west)
		go func() {
			query()
			blocked <- time.Now()
		}()
		id, err := west.RotateKey(t.Context())
		replied := time.Now()
		require.NoError(t, err)
		gaps = append(gaps, max(0, await(t, c, "jwt-gap", "eu-west", has(id)).Sub(replied)))

		floor := max(0, (<-blocked).Sub(replied))
		began := time.Now()
		fields := readConfig(t, scratch, "jwt-floor")
		writeConfig(t, scratch, "jwt-floor", fields)
		floors = append(floors, floor+time.Since(began))
		drop(t, west, append(first, id)...)
	}
	cron := make([]time.Duration, 100_000)
	for i := range cron {
		cron[i] = rand.N(time.Minute)
	}
	t.Logf("time from Nomad's reply to the rotation until a read of the mount shows the new key, %d rotations:\n"+
		"                              p50         p99         max\n%s%s%s", len(gaps),
		row("harvest watch", gaps), row("floor (reply, read, write)", floors), row("cron, every 60 s (computed)", cron))
}

func row(name string, d []time.Duration) string {
	slices.Sort(d)
	at := func(q float64) string {
		return d[min(len(d)-1, int(q*float64(len(d))))].Round(10 * time.Microsecond).String()
	}
	return fmt.Sprintf("%-28s  %-10s  %-10s  %s\n", name, at(0.5), at(0.99), at(1))
}

// A task that starts right behind a rotation: does its first login succeed?
func TestFirstLogins(t *testing.T) {
	n := max(3, rounds(30)/10)
	c := enable(t, vault, "jwt-first", nil)
	args := []string{"-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-first"}
	w := watch(t, args...)
	first := published(t, west)
	await(t, c, "jwt-first", "eu-west", func(kids []string) bool { return slices.Equal(kids, first) })
	try := func(pause func()) (failed int) {
		for range n {
			pause()
			_, err := west.RotateKey(t.Context())
			require.NoError(t, err)
			if login(c, "jwt-first", identity(t, west)) != nil {
				failed++
			}
		}
		return failed
	}
	watching := try(func() {})
	assert.Zero(t, watching, "logins failed although harvest was watching")
	w.stop(t)

	// Cron, its first run a minute away; many rotations are spread over several minutes.
	syncNow(t, 0, args...)
	cron := time.NewTicker(time.Minute)
	defer cron.Stop()
	withCron := try(func() {
		if n <= 3 {
			return
		}
		next := time.NewTimer(rand.N(20 * time.Second))
		defer next.Stop()
		for {
			select {
			case <-cron.C:
				syncNow(t, 0, args...)
			case <-next.C:
				return
			}
		}
	})
	t.Logf("first login with a token of a new key, %d rotations: %d failed with harvest watching, %d with cron every 60 s", n, watching, withCron)
	assert.Positive(t, withCron, "the test can't tell the two apart")
}

// Two watchers of one configuration need no leader: they write the same.
func TestTwoWatchers(t *testing.T) {
	c := enable(t, vault, "jwt-two", nil)
	args := []string{"-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-two"}
	a, b := watch(t, args...), watch(t, args...)
	first := published(t, west)
	await(t, c, "jwt-two", "eu-west", func(kids []string) bool { return slices.Equal(kids, first) })
	for range 5 {
		id, err := west.RotateKey(t.Context())
		require.NoError(t, err)
		await(t, c, "jwt-two", "eu-west", has(id))
	}
	a.stop(t) // the other goes on alone
	id, err := west.RotateKey(t.Context())
	require.NoError(t, err)
	await(t, c, "jwt-two", "eu-west", has(id))
	assert.NotContains(t, a.stderr.String()+b.stderr.String(), "gave up")
}

// A Vault that seals itself, and a drift that somebody else makes.
func TestWatchFaults(t *testing.T) {
	c := enable(t, vault2, "jwt-faults", nil)
	tokenFile := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(tokenFile, []byte(vault2.RootToken), 0o600))
	config := configFile(t, fmt.Sprintf(`
cluster "eu-west" { address = %q }
vault {
  address = %q
  auth "token_file" { path = %q }
}
mount "jwt-faults" { clusters = ["eu-west"] }
`, west.Address, vault2.Address, tokenFile))
	w := watch(t, "-config", config, "-resync", "2s")
	first := published(t, west)
	await(t, c, "jwt-faults", "eu-west", func(kids []string) bool { return slices.Equal(kids, first) })

	require.NoError(t, c.Sys().Seal())
	id, err := west.RotateKey(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(w.stderr.String(), "sealed") }, 30*time.Second, 10*time.Millisecond)
	_, err = c.Sys().Unseal(vault2.UnsealKey)
	require.NoError(t, err)
	await(t, c, "jwt-faults", "eu-west", has(id))

	writeConfig(t, c, "jwt-faults", map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}})
	await(t, c, "jwt-faults", "eu-west", has(id))
	assert.Contains(t, owners(t, c, "jwt-faults"), "", "what the other wrote stays")
}

// newBlockingQuery returns a function that waits, as a watcher does, for the next change of
// what an agent publishes.
func newBlockingQuery(t *testing.T, n *lab.Nomad) func() {
	t.Helper()
	url := n.Address + "/.well-known/jwks.json"
	index := get(t.Context(), url).Header.Get("X-Nomad-Index")
	return func() { get(t.Context(), url+"?wait=60s&index="+index) }
}

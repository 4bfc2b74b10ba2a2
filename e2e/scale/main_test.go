//go:build linux

// Package scale measures what harvest watch costs with many sources, beside stand-ins for
// Nomad and Vault in a process of their own. The figures are printed, and only growth is
// judged. With no more than go test it is a short form; make watch-scale is the long one.
package scale

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// What a run is made of. A watched mount is shared by at most perMount sources, since Vault
// takes no more than 1 MiB for one.
const perMount = 100

var (
	sources = number("HARVEST_SOURCES", 20)
	changes = number("HARVEST_CHANGES", 200)
	idle    = duration("HARVEST_IDLE", time.Second)
)

// harvestCommand is the binary that is measured: built as make build does.
var harvestCommand string

func TestMain(m *testing.M) {
	if os.Getenv(standInOf) != "" {
		os.Exit(standIns(os.Getenv(standInOf)))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "harvest-scale-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	harvestCommand = filepath.Join(dir, "harvest")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", harvestCommand, "../../cmd/harvest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s", err, out)
		return 1
	}
	return m.Run()
}

// alongside lets a test run beside others of its kind: in the short form they wait, mostly, and in
// the long one each is measured by itself.
func alongside(t *testing.T) {
	t.Helper()
	if os.Getenv("HARVEST_SOURCES") == "" {
		t.Parallel()
	}
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func duration(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(name)); err == nil && d > 0 {
		return d
	}
	return otherwise
}

// mounts is how many the sources are spread over.
func mounts() int { return (sources + perMount - 1) / perMount }

func mountName(i int) string   { return fmt.Sprintf("jwt-%d", i) }
func clusterName(i int) string { return fmt.Sprintf("cluster-%d", i) }

// clustersOf returns the clusters that a mount trusts.
func clustersOf(mount int) []string {
	var names []string
	for i := mount; i < sources; i += mounts() {
		names = append(names, clusterName(i))
	}
	return names
}

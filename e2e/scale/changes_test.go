//go:build linux

package scale

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// changeLimit is far above the two minutes that 100 changes of each source take at least.
const changeLimit = 45 * time.Minute

// each is how many changes a source makes: an even number, so that its last set is its first.
func each() int { return max(2, changes/sources/2*2) }

// mostGrowth is how much larger the heap may be after all changes, in bytes: connections and
// buffers that are needed now and not then, and, for an hour, when each of the keys was seen
// that were trusted meanwhile. A change that leaves its key set behind takes a kibibyte or more.
func mostGrowth(trusted int64) int64 {
	return 256<<10 + int64(sources)<<10 + 32*int64(sources*each()) + 256*trusted
}

// The library keeps nothing of changes that are over: heap and goroutines are those of the
// beginning, and after the end nothing runs.
func TestChanges(t *testing.T) {
	unrelated := goleak.IgnoreCurrent()
	s := start(t, false)
	others, err := jwks.TLS{}.HTTPClient()
	require.NoError(t, err)
	vaultClient, err := jwks.TLS{}.HTTPClient()
	require.NoError(t, err)
	closeIdle := func() {
		others.CloseIdleConnections()
		vaultClient.CloseIdleConnections()
		s.client.CloseIdleConnections()
	}

	var seen, failed, added, gaveUp atomic.Int64
	h, options := s.harvester(t, others, vaultClient, &added), vaultsync.WatchOptions{
		Sources: jwks.WatchOptions{Wait: min(45*time.Second, 5*idle)}, // the short form hasn't long to wait
	}
	h.OnEvent = func(e vaultsync.Event) {
		switch e.Kind {
		case vaultsync.EventRead:
			seen.Add(1)
		case vaultsync.EventUnread:
			failed.Add(1)
		case vaultsync.EventError: // such as a write too long after its read, on a busy machine: it is done again
			gaveUp.Add(1)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Watch(ctx, options) }()
	settled := func() { s.await(t, "trusted", sources, 2*time.Minute); s.await(t, "held", sources, time.Minute) }
	settled()
	require.EqualValues(t, sources, seen.Load(), "key sets at the start")

	// The first changes make pools and connections; they belong to the beginning.
	s.await(t, "change", 2, changeLimit)
	settled()
	first, firstAdded := seen.Load(), added.Load()
	before := heap(t, "heap-before.pb.gz", closeIdle)
	began := time.Now()
	s.await(t, "change", each(), changeLimit)
	took := time.Since(began)
	settled()
	after := heap(t, "heap-after.pb.gz", closeIdle)
	came := added.Load() - firstAdded

	assert.EqualValues(t, sources*each(), seen.Load()-first, "changes seen")
	assert.Zero(t, failed.Load(), "sources failed")
	t.Logf("vaultsync.Harvester.Watch, %d changes of %d sources on %d mounts in %v:\n"+
		"            live heap   in use      goroutines\n"+
		"before      %-10s  %-10s  %d\nafter       %-10s  %-10s  %d\n"+
		"%d keys were trusted for a while; %d syncs gave up and were done again; heap profiles: %s",
		seen.Load()-first, sources, mounts(), took.Round(time.Second),
		mib(before.live), mib(before.inUse), before.goroutines, mib(after.live), mib(after.inUse), after.goroutines,
		came, gaveUp.Load(), filepath.Join(t.ArtifactDir(), "heap-{before,after}.pb.gz"))
	assert.LessOrEqual(t, after.live-before.live, mostGrowth(came), "the heap grew")
	assert.LessOrEqual(t, after.goroutines, before.goroutines+8, "goroutines are left over")

	cancel()
	require.NoError(t, <-ended)
	closeIdle()
	assert.NoError(t, goleak.Find(unrelated, goleak.IgnoreTopFunction("os/exec.(*Cmd).watchCtx")))
}

// The command adds its log, its metrics and its tokens: what it holds is read from outside.
func TestCommandChanges(t *testing.T) {
	alongside(t)
	p := watch(t, start(t, false))
	changed := func(n int) {
		p.await(t, "change", n, changeLimit)
		p.settle(t)
	}
	changed(2)
	first, firstAdded, before, began := p.seen.Load(), p.added.Load(), p.holds(t), time.Now()
	changed(each())
	took, after, came := time.Since(began), p.holds(t), p.added.Load()-firstAdded
	assert.EqualValues(t, sources*each(), p.seen.Load()-first, "changes seen")
	t.Logf("harvest watch, %d changes of %d sources on %d mounts in %v:\n"+
		"            resident    heap        goroutines\n"+
		"before      %-10s  %-10s  %d\nafter       %-10s  %-10s  %d\n%d keys were trusted for a while; %d warnings and errors in its log",
		p.seen.Load()-first, sources, mounts(), took.Round(time.Second),
		mib(before.rss), mib(before.live), before.goroutines, mib(after.rss), mib(after.live), after.goroutines, came, p.complaints.Load())
	assert.LessOrEqual(t, after.goroutines, before.goroutines+4*mounts()+4, "goroutines are left over") // Vault connections come and go
	assert.LessOrEqual(t, after.live-before.live, mostGrowth(came)+1<<20, "the heap grew")              // its metrics' own garbage is in it
}

// held is what a process holds.
type held struct {
	live, inUse, rss int64 // bytes: reachable objects after a collection, their spans, resident
	goroutines       int
}

// heap collects garbage, and writes the heap's profile to a file.
func heap(t *testing.T, name string, closeIdle func()) held {
	t.Helper()
	var h held
	fewest := func() bool { // connections end in their own time
		closeIdle()
		n := runtime.NumGoroutine()
		same := n == h.goroutines
		h.goroutines = n
		return same
	}
	require.Eventually(t, fewest, time.Minute, 2*time.Second)
	runtime.GC()
	runtime.GC() // what sync.Pools hold lives one longer
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	file, err := os.Create(filepath.Join(t.ArtifactDir(), name))
	require.NoError(t, err)
	require.NoError(t, pprof.WriteHeapProfile(file))
	require.NoError(t, file.Close())
	h.live, h.inUse = int64(m.HeapAlloc), int64(m.HeapInuse)
	return h
}

// harvester is made for the stand-ins, with these clients, and counts keys that are added.
func (s *stands) harvester(t *testing.T, agents, vault *http.Client, added *atomic.Int64) *vaultsync.Harvester {
	t.Helper()
	config := api.DefaultConfig()
	config.Address, config.HttpClient = s.Vault, vault
	client, err := api.NewClient(config)
	require.NoError(t, err)
	client.SetToken(fakevault.RootToken)
	count := func(e vaultsync.Event) {
		if e.Kind == vaultsync.EventAdded {
			added.Add(1)
		}
	}
	h := &vaultsync.Harvester{}
	for i, address := range s.Agents {
		source := jwks.Nomad{Address: address, Client: &jwks.Client{HTTPClient: agents}}
		h.Clusters = append(h.Clusters, jwks.Cluster{Name: clusterName(i), Sources: []jwks.Source{source}})
	}
	for i := range mounts() {
		h.Targets = append(h.Targets, vaultsync.Target{
			Mount: vaultsync.NewMount(client, mountName(i)), Clusters: clustersOf(i), Options: vaultsync.Options{OnEvent: count},
		})
	}
	return h
}

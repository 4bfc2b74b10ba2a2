//go:build e2e

package e2e

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/faultproxy"
	"github.com/jwksharvest/harvest/internal/history"
	"github.com/jwksharvest/harvest/internal/lab"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

const historySettle = time.Second // the default

// trial is one history: five harvesters with a cluster each, on one mount of three Vaults.
type trial struct {
	t          *testing.T
	path       string
	vaults     []*lab.Vault
	log        *history.Log
	harvesters []*harvesting
	denied     []pem.Fingerprint
}

// harvesting is one harvester: its cluster, and its way to a node.
type harvesting struct {
	*trial
	name    string
	cluster *rotating
	link    *faultproxy.Proxy
	client  *api.Client
	watches bool // else it syncs again and again
	stop    func()
}

// Five harvesters, of which three watch and two sync, keep one mount of three Vaults on integrated
// storage, each by way of another node. Their clusters rotate and drop keys, and keys are denied,
// while the leader is killed, nodes are paused, links are cut and slowed, and Vault is restored
// from an older snapshot. What they asked and were answered decides:
//
//	HARVEST_HISTORY=10m go test -tags e2e -run TestHistory -timeout 60m -v ./e2e
func TestHistory(t *testing.T) {
	lasting := 25 * time.Second
	if d, err := time.ParseDuration(os.Getenv("HARVEST_HISTORY")); err == nil {
		lasting = d / 2
	}
	t.Run("the promise kept", func(t *testing.T) {
		t.Parallel() // with servers of its own: both wait most of the time
		v := tell(t, lasting, killLeader, cutLink, slowLink, restoreSnapshot)
		assert.Empty(t, v.Kept(), "updates were lost that the protocol keeps")
	})
	// Here a write may arrive long after it was sent: losses are counted, and healed by the next
	// sync.
	t.Run("beyond the promise", func(t *testing.T) {
		t.Parallel()
		tell(t, lasting, pauseLeader, verySlowLink, killLeader, cutLink)
	})
}

// tell makes a history, and decides over it.
func tell(t *testing.T, lasting time.Duration, faults ...func(*trial)) history.Verdict {
	s := begin(t)
	over, end := context.WithTimeout(t.Context(), lasting)
	defer end()
	var living sync.WaitGroup
	reads := s.observe(over, &living)
	for _, h := range s.harvesters {
		h.start()
		living.Go(func() { h.change(over) })
	}
	pause := min(2*time.Second, lasting/16)
	for i := 0; over.Err() == nil; i++ {
		rest(over, pause/2+rand.N(pause))
		if i%3 == 2 {
			s.deny()
		}
		if i < len(faults) {
			faults[i](s) // each once, then by chance
		} else if over.Err() == nil {
			faults[rand.N(len(faults))](s)
		}
	}
	living.Wait()
	s.finish()
	verdict := s.log.Check(historySettle)
	untrusted, denied := s.log.Untrusted()
	late := len(verdict.Lost) - len(verdict.Kept())
	require.Positive(t, verdict.Claims, "no sync ended well: that proves nothing")
	summary := fmt.Sprintf("%v, %d reads, %d syncs that ended well. Updates lost: %d, %d of them beside a write that took too long.",
		lasting, reads.Load(), verdict.Claims, len(verdict.Lost), late)
	t.Log(summary)
	t.Attr("table", "meanwhile | times | published keys that weren't trusted | denied keys that were")
	times := s.log.Faults()
	for _, fault := range append(slices.Sorted(maps.Keys(times)), history.NoFault) {
		often := "" // no fault has no number
		if n := times[fault]; n > 0 {
			often = fmt.Sprint(n)
		}
		t.Attr(key(fault), fmt.Sprintf("%s | %s | %s", often, untrusted.Of(fault), denied.Of(fault)))
	}
	t.Attr("note", summary+" "+load())
	assert.Empty(t, verdict.Wrong)
	return verdict
}

// key makes the name of an attribute.
func key(name string) string { return strings.ReplaceAll(name, " ", "_") }

// load says how busy the machine is: it makes every figure longer.
func load() string {
	averages, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "The load isn't known."
	}
	return fmt.Sprintf("The load was %s, on %d cores.", strings.Join(strings.Fields(string(averages))[:3], ", "), runtime.NumCPU())
}

// rest waits, or ends with the context: a random moment is no event to wait for.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func begin(t *testing.T) *trial {
	vaults, err := lab.StartVaults(t.Context(), 3, lab.VaultOptions{})
	require.NoError(t, err)
	for _, v := range vaults {
		t.Cleanup(v.Stop)
	}
	const path = "jwt-nomad"
	s := &trial{t: t, path: path, vaults: vaults, log: &history.Log{Name: func(element string) string {
		var b pem.Block
		if err := b.UnmarshalText([]byte(element)); err != nil {
			return element
		}
		return b.Fingerprint().String()
	}}}
	foreign, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	pasted, err := pem.Encode(foreign)
	require.NoError(t, err)
	leader, err := lab.VaultLeader(t.Context(), vaults)
	require.NoError(t, err)
	enable(t, leader, path, map[string]any{
		"jwt_validation_pubkeys": []string{string(pasted)}, "jwt_supported_algs": []string{"EdDSA"},
		"default_role": "nomad-workloads", "bound_issuer": "https://nomad.example.com",
	})
	s.log.Paste(strings.TrimSpace(string(pasted)))
	for i := range 5 {
		h := &harvesting{trial: s, name: fmt.Sprintf("c%d", i), watches: i < 3, link: faultproxy.New(t, vaults[i%3].Address)}
		cfg := api.DefaultConfig()
		cfg.Address, cfg.MaxRetries = h.link.URL, 0
		cfg.HttpClient.Timeout = 10 * time.Second
		cfg.HttpClient.Transport.(*http.Transport).Proxy = nil
		cfg.HttpClient.Transport = s.log.Transport(h.name, cfg.HttpClient.Transport)
		h.client, err = api.NewClient(cfg)
		require.NoError(t, err)
		h.client.ClearNamespace()
		h.client.SetToken(vaults[0].RootToken)
		h.cluster = newRotating(h.name, 24) // more than a harvester can miss
		h.cluster.changed = func(before, now []jwks.Key) { s.log.Publish(fingerprintsOf(before), fingerprintsOf(now)) }
		h.cluster.changed(nil, h.cluster.keys)
		s.harvesters = append(s.harvesters, h)
	}
	return s
}

func fingerprintsOf(keys []jwks.Key) (out []string) {
	for _, k := range keys {
		out = append(out, fingerprint(k).String())
	}
	return out
}

func fingerprint(k jwks.Key) pem.Fingerprint {
	f, err := pem.FingerprintOf(k.Public)
	if err != nil {
		panic(err) // it is a key of ours
	}
	return f
}

// observe reads the mount all the time, from whichever node answers.
func (s *trial) observe(over context.Context, living *sync.WaitGroup) (reads *atomic.Int64) {
	reads = new(atomic.Int64)
	living.Go(func() {
		for node := 0; over.Err() == nil; {
			ctx, cancel := context.WithTimeout(over, time.Second)
			began := time.Now()
			secret, err := s.vaults[node].Client().Logical().ReadWithContext(ctx, "auth/"+s.path+"/config")
			cancel()
			if err != nil || secret == nil {
				node = (node + 1) % len(s.vaults)
				continue
			}
			s.log.Read("observer", began, texts(secret.Data))
			reads.Add(1)
			rest(over, 20*time.Millisecond)
		}
	})
	return reads
}

func texts(fields map[string]any) (list []string) {
	elements, _ := fields["jwt_validation_pubkeys"].([]any)
	for _, e := range elements {
		list = append(list, e.(string))
	}
	return list
}

// harvester returns one with today's denials, and what is told of each of its syncs.
func (h *harvesting) harvester() *vaultsync.Harvester {
	return &vaultsync.Harvester{
		Clusters: []jwks.Cluster{{Name: h.name, Sources: []jwks.Source{h.cluster}}},
		Targets: []vaultsync.Target{{
			Mount: vaultsync.NewMount(h.client, h.path), Clusters: []string{h.name},
			Options: vaultsync.Options{Foreign: plan.ForeignKeep, Settle: historySettle, Deny: slices.Clone(h.denied)},
		}},
	}
}

// start begins to watch, or to sync again and again; stop ends it.
func (h *harvesting) start() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	v := h.harvester()
	v.OnEvent = func(e vaultsync.Event) {
		if e.Kind == vaultsync.EventSynced {
			h.synced(e.Report)
		}
	}
	if h.watches {
		running.Go(func() {
			_ = v.Watch(ctx, vaultsync.WatchOptions{
				Resync: 10 * time.Second, Sources: jwks.WatchOptions{Interval: 300 * time.Millisecond},
			})
		})
	} else {
		running.Go(func() {
			for ctx.Err() == nil {
				_, _ = v.Sync(ctx)
				rest(ctx, rand.N(3*time.Second))
			}
		})
	}
	h.stop = func() { cancel(); running.Wait() }
}

// synced claims what a sync ended well with: one that nothing newer cut short.
func (h *harvesting) synced(r *vaultsync.MountReport) {
	if r.Err != nil || r.Plan == nil || !h.log.Stood(h.name, historySettle) {
		return
	}
	var keys []string
	for _, k := range slices.Concat(r.Plan.Keep, r.Plan.Add, r.Plan.Adopt) {
		keys = append(keys, k.Fingerprint.String())
	}
	h.log.Claim(h.name, keys)
}

// change rotates the cluster and lets it drop keys.
func (h *harvesting) change(over context.Context) {
	for over.Err() == nil {
		rest(over, time.Second+rand.N(10*time.Second)) // or the list would never stand still
		if over.Err() != nil {
			return
		}
		if rand.N(4) == 0 {
			h.cluster.drop()
		} else {
			h.cluster.rotate()
		}
	}
}

// deny denies a key that some cluster publishes, in one configuration after the other.
func (s *trial) deny() {
	of := s.harvesters[rand.N(len(s.harvesters))].cluster
	of.mu.Lock()
	f := fingerprint(of.keys[rand.N(len(of.keys))])
	of.mu.Unlock()
	if slices.Contains(s.denied, f) {
		return
	}
	s.denied = append(s.denied, f)
	everywhere := s.log.Deny(f.String())
	for _, h := range s.harvesters {
		h.stop()
		h.start()
	}
	everywhere()
}

// finish lets each harvester sync once more, and reads what came of it.
func (s *trial) finish() {
	var running sync.WaitGroup
	for _, h := range s.harvesters {
		h.stop()
		h.link.Break() // with what is still on its way
	}
	for _, h := range s.harvesters {
		running.Go(func() {
			v := h.harvester()
			var err error
			assert.Eventually(s.t, func() bool {
				_, err = v.Sync(s.t.Context())
				return err == nil
			}, time.Minute, 100*time.Millisecond, "%s never came to be in sync", h.name)
			assert.NoError(s.t, err)
		})
	}
	running.Wait()
	leader, err := lab.VaultLeader(s.t.Context(), s.vaults)
	require.NoError(s.t, err)
	began := time.Now()
	fields := readConfig(s.t, leader.Client(), s.path)
	s.log.Read("observer", began, texts(fields))
	assert.Equal(s.t, "nomad-workloads", fields["default_role"])
	assert.Equal(s.t, "https://nomad.example.com", fields["bound_issuer"])
	assert.Equal(s.t, []any{"EdDSA"}, fields["jwt_supported_algs"])
}

// The faults. Each lasts a while and is over when its function returns.

func (s *trial) leader() *lab.Vault {
	leader, err := lab.VaultLeader(s.t.Context(), s.vaults)
	require.NoError(s.t, err)
	return leader
}

func killLeader(s *trial) {
	leader := s.leader()
	defer s.log.Fault("leader killed")()
	leader.Kill()
	rest(s.t.Context(), time.Second+rand.N(time.Second))
	require.NoError(s.t, leader.Restart(s.t.Context()))
}

func pauseLeader(s *trial) {
	leader := s.leader()
	defer s.log.Fault("leader paused")()
	require.NoError(s.t, leader.Pause())
	rest(s.t.Context(), time.Second+rand.N(4*time.Second))
	require.NoError(s.t, leader.Resume())
}

func restoreSnapshot(s *trial) {
	snapshot, err := s.leader().Snapshot(s.t.Context())
	require.NoError(s.t, err)
	rest(s.t.Context(), 2*time.Second+rand.N(2*time.Second))
	defer s.log.Fault("snapshot restored")()
	defer s.log.Outside()()
	require.NoError(s.t, s.leader().Restore(s.t.Context(), snapshot))
	require.Eventually(s.t, func() bool {
		_, err := s.leader().Client().Logical().Read("auth/" + s.path + "/config")
		return err == nil
	}, time.Minute, 50*time.Millisecond)
}

// onLink puts a fault on one harvester's way to its node for a while.
func (s *trial) onLink(name string, f faultproxy.Fault, cut bool) {
	link := s.harvesters[rand.N(len(s.harvesters))].link
	defer s.log.Fault(name)()
	link.Set(f)
	rest(s.t.Context(), time.Second+rand.N(3*time.Second))
	if cut {
		link.Break()
	}
	link.Lift()
}

func cutLink(s *trial) {
	s.onLink("link cut", faultproxy.Fault{ToServer: faultproxy.Blackhole(), ToClient: faultproxy.Blackhole()}, true)
}

func slowLink(s *trial) {
	s.onLink("link slowed", faultproxy.Fault{ToServer: faultproxy.Delay(100 * time.Millisecond), ToClient: faultproxy.Delay(100 * time.Millisecond)}, false)
}

func verySlowLink(s *trial) {
	s.onLink("link slowed too much", faultproxy.Fault{When: "PUT ", ToServer: faultproxy.Delay(historySettle)}, false)
}

//go:build e2e

package e2e

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// window is how many keys a cluster publishes at most. A Nomad keeps an old key for an
// hour. If a cluster here had turned over before a lost update of it is healed, what it
// publishes would be refused.
const window = 8

// rotating is a cluster that publishes another key after each rotation, and the oldest no more.
type rotating struct {
	name   string
	window int

	mu      sync.Mutex
	keys    []jwks.Key
	rotated int
	fetched chan struct{}                // closed when what is published now was fetched
	changed func(before, now []jwks.Key) // is told of each change; may be nil
}

func newRotating(name string, window int) *rotating {
	r := &rotating{name: name, window: window, fetched: make(chan struct{})}
	r.rotate()
	return r
}

func (r *rotating) rotate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	key := jwks.Key{KeyID: fmt.Sprintf("%s-%d", r.name, r.rotated), Algorithms: []string{"EdDSA"}, Public: public}
	r.rotated++
	r.publish(append(slices.Clone(r.keys[max(0, len(r.keys)-r.window+1):]), key))
}

// drop publishes one of the older keys no more.
func (r *rotating) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if older := len(r.keys) - r.window/2; older > 0 {
		i := rand.N(older)
		r.publish(slices.Delete(slices.Clone(r.keys), i, i+1))
	}
}

// publish needs r.mu.
func (r *rotating) publish(keys []jwks.Key) {
	if r.changed != nil {
		r.changed(r.keys, keys)
	}
	r.keys, r.fetched = keys, make(chan struct{})
}

func (r *rotating) RegionName() string { return "" }

func (r *rotating) Fetch(context.Context) (*jwks.Set, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.fetched:
	default:
		close(r.fetched)
	}
	return &jwks.Set{Keys: r.keys}, nil
}

func (r *rotating) published() (kids []string, fetched <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		kids = append(kids, k.KeyID)
	}
	return kids, r.fetched
}

// observer reads a mount all the time and notes what nobody wanted.
type observer struct {
	clusters []*rotating
	trusted  map[string]bool
	lostAt   map[string]time.Time // published and trusted, and then gone
	gone     map[string]bool      // published no more, and removed
	backAt   map[string]time.Time // gone, and trusted again
	reads    int
	losses   int
	heals    []time.Duration // how long lost keys were away
	backs    []time.Duration // how long removed keys were back
}

func (o *observer) published() map[string]bool {
	all := map[string]bool{}
	for _, c := range o.clusters {
		kids, _ := c.published()
		for _, kid := range kids {
			all[kid] = true
		}
	}
	return all
}

// look takes in one read. What was published before it and after it was published then.
func (o *observer) look(c *api.Client, path string) error {
	before := o.published()
	secret, err := c.Logical().Read("auth/" + path + "/config")
	if err != nil {
		return err
	}
	now, after := time.Now(), o.published()
	o.reads++
	trusted := map[string]bool{}
	for _, k := range mountconfig.New(secret.Data).Trusted() {
		trusted[k.KeyID] = true
	}
	for kid := range o.trusted {
		switch {
		case trusted[kid]:
		case before[kid] && after[kid]:
			o.losses++
			o.lostAt[kid] = now
		default:
			o.gone[kid] = true
			if at, back := o.backAt[kid]; back {
				o.backs = append(o.backs, now.Sub(at))
				delete(o.backAt, kid)
			}
		}
	}
	for kid := range trusted {
		if at, lost := o.lostAt[kid]; lost {
			o.heals = append(o.heals, now.Sub(at))
			delete(o.lostAt, kid)
		}
		if o.gone[kid] && !o.trusted[kid] {
			o.backAt[kid] = now
		}
	}
	for kid := range o.lostAt {
		if !after[kid] { // it is wanted no more
			delete(o.lostAt, kid)
			o.gone[kid] = true
		}
	}
	o.trusted = trusted
	return nil
}

// Ten harvesters, a cluster each, rotate at random moments on one mount of a real Vault:
//
//	HARVEST_ROUNDS=100 go test -tags e2e -run TestConvergence -v ./e2e
func TestConvergence(t *testing.T) {
	for name, options := range map[string]*lab.VaultOptions{"in memory": nil, "integrated storage": {Raft: true}} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("HARVEST_ROUNDS") == "" {
				t.Parallel() // for figures, one at a time
			}
			v := vault2
			if options != nil {
				var err error
				v, err = lab.StartVault(t.Context(), *options)
				require.NoError(t, err)
				t.Cleanup(v.Stop)
			}
			converge(t, v, rounds(5))
		})
	}
}

func converge(t *testing.T, v *lab.Vault, rotations int) {
	const (
		harvesters = 10
		path       = "jwt-convergence"
		settle     = time.Second // the default
	)
	foreign, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	pasted, err := pem.Encode(foreign)
	require.NoError(t, err)
	c := enable(t, v, path, map[string]any{
		"jwt_validation_pubkeys": []string{string(pasted)}, "jwt_supported_algs": []string{"EdDSA"},
		"default_role": "nomad-workloads", "bound_issuer": "https://nomad.example.com",
	})
	fields := readConfig(t, c, path)
	delete(fields, "jwt_validation_pubkeys")

	var failed atomic.Int64
	var mu sync.Mutex
	var conflicts, written int
	var slowest time.Duration
	ctx, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	o := &observer{lostAt: map[string]time.Time{}, gone: map[string]bool{}, backAt: map[string]time.Time{}}
	for i := range harvesters {
		cluster := newRotating(fmt.Sprintf("c%d", i), window)
		o.clusters = append(o.clusters, cluster)
		h := &vaultsync.Harvester{
			Clusters: []jwks.Cluster{{Name: cluster.name, Sources: []jwks.Source{cluster}}},
			Targets: []vaultsync.Target{{
				Mount: vaultsync.NewMount(v.Client(), path), Clusters: []string{cluster.name},
				Options: vaultsync.Options{Foreign: plan.ForeignKeep, Settle: settle, OnEvent: func(e vaultsync.Event) {
					if e.Kind == vaultsync.EventError || e.Kind == vaultsync.EventFailed {
						failed.Add(1)
						t.Logf("%s: %v", cluster.name, e.Err)
					}
				}},
			}},
		}
		watching.Go(func() {
			start := time.NewTimer(rand.N(time.Second)) // or all would look at their sources at the same moments
			<-start.C
			h.OnEvent = func(e vaultsync.Event) {
				if r := e.Report; r != nil {
					mu.Lock()
					defer mu.Unlock()
					conflicts += r.Conflicts
					written += r.Written
					for _, d := range r.WriteTimes {
						slowest = max(slowest, d)
					}
				}
			}
			_ = h.Watch(ctx, vaultsync.WatchOptions{
				Resync:  time.Hour, // heals nothing here
				Sources: jwks.WatchOptions{Interval: 1200 * time.Millisecond},
			})
		})
	}

	var rotated sync.WaitGroup
	for _, cluster := range o.clusters {
		rotated.Go(func() {
			for range rotations {
				pause := time.NewTimer(time.Second + rand.N(1500*time.Millisecond))
				<-pause.C
				_, fetched := cluster.published()
				<-fetched
				cluster.rotate()
			}
		})
	}
	done := make(chan struct{})
	go func() {
		rotated.Wait()
		close(done)
	}()

	// The observer looks every ten milliseconds: until all have rotated, then until the mount
	// holds the union, and then for two settle times more.
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	var all, union time.Time
	for union.IsZero() || time.Since(union) < 2*settle {
		<-ticks.C
		require.NoError(t, o.look(c, path))
		want := o.published()
		want[""] = true // the pasted one
		select {
		case <-done:
			if all.IsZero() {
				all = time.Now()
			}
			same := maps.Equal(want, o.trusted)
			switch {
			case same && union.IsZero():
				union = time.Now()
			case !same && !union.IsZero():
				union = time.Time{} // a loss that the protocol is still to heal
			}
			require.Less(t, time.Since(all), 30*time.Second, "the mount never came to hold the union: %v, not %v", o.trusted, want)
		default:
		}
	}
	stop()
	watching.Wait()

	after := readConfig(t, c, path)
	keys := mountconfig.New(after).Trusted()
	assert.Len(t, keys, min(window, rotations+1)*harvesters+1, "each key once")
	assert.True(t, slices.ContainsFunc(keys, func(k plan.Key) bool { return k.Cluster == "" && foreign.Equal(k.Public) }),
		"the pasted key stays")
	delete(after, "jwt_validation_pubkeys")
	assert.Equal(t, fields, after, "only the keys may change")
	assert.Zero(t, failed.Load())
	slices.Sort(o.heals)
	slices.Sort(o.backs)
	t.Logf("%d rotations of each of %d harvesters: %d writes, the slowest %v; %d undone as the harvesters saw it\n"+
		"lost and healed, as a reader saw it every 10 ms (%d reads): %d times with %d keys, %s\nremoved and back: %d times with %d keys, %s\nthe union after the last rotation: %v",
		rotations, harvesters, written, slowest.Round(time.Millisecond), conflicts,
		o.reads, o.losses, (rotations+1)*harvesters, longest(o.heals), len(o.backs), max(0, rotations+1-window)*harvesters, longest(o.backs),
		union.Sub(all).Round(time.Millisecond))
}

func longest(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	return fmt.Sprintf("half of them for %v, the longest for %v", d[len(d)/2].Round(time.Millisecond), d[len(d)-1].Round(time.Millisecond))
}

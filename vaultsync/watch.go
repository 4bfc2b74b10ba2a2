package vaultsync

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// WatchOptions are the rules of a [Harvester.Watch]. The zero value is ready for use.
type WatchOptions struct {
	// Resync is the time after which a mount is synced although no cluster changed, which
	// heals what others did to it; zero is 5 minutes. A tenth of it, more or less, is by
	// chance.
	Resync time.Duration
	// Sources says how often clusters are asked. Its OnUnchanged is called as OnResult is.
	Sources jwks.WatchOptions
	// OnReport is called after each sync of a mount, done or failed, but for one that the
	// end of ctx cuts short: for one mount from one goroutine at a time, for several at
	// once. A sync that a newer change supersedes is reported as soon as its write is
	// read back, the others when their settle time is over. Nil is nobody.
	OnReport func(*MountReport)
	// OnResult is called with each result of [jwks.WatchCluster] as it arrives: for one
	// cluster from one goroutine at a time, for several at once. It should return soon.
	// Nil is nobody.
	OnResult func(jwks.Result)
}

const (
	defaultResync = 5 * time.Minute
	// firstWait is how long a mount's first sync waits for clusters to be heard of.
	firstWait = 10 * time.Second
	// A mount that can't be synced is tried again after leastRetry, then after twice as
	// long each time, up to mostRetry.
	leastRetry = time.Second
	mostRetry  = 60 * time.Second
)

func (o WatchOptions) resync() time.Duration {
	if o.Resync <= 0 {
		return defaultResync
	}
	return o.Resync
}

// Watch keeps the mounts equal to what the clusters publish until ctx ends, and then returns
// nil once everything that it started has ended. The error is that of [Harvester.Check],
// returned at once; nothing that happens later ends a Watch.
//
// Each cluster that a target names is watched once ([jwks.WatchCluster]). When it changes,
// the mounts that trust it are synced at once, each as [Mount.Sync] does, from the last that
// was heard of each of their clusters; one that failed last keeps its keys. A mount has one
// sync at a time. What changes meanwhile goes into the next one, which begins as soon as the
// last write was read back: the looks after the settle time are then put off to the end of
// the later one. Every Resync a mount is synced without a change. The first sync of a mount
// waits until each of its clusters was heard of, 10 seconds at the most, but not where it
// trusts a denied key; whoever is silent then counts as failed.
//
// When it begins, Vault is asked once for each mount whether the token may write it
// ([Mount.Capabilities]); where it may not, Logger and OnEvent are told ([EventUnwritable]),
// and the mount is watched all the same.
//
// No mount is written more than ten times in a row without a pause, and then every three seconds.
// What changes meanwhile goes into the next write. The removal of a denied key, and what mends
// another writer's doing, waits for nothing.
//
// A mount that can't be synced is tried again after a second, and then ever less often, up
// to once a minute, or when a cluster changes. Logger and OnEvent of a target's Options hear
// what they do of a Sync.
func (h *Harvester) Watch(ctx context.Context, o WatchOptions) error {
	if err := h.Check(); err != nil {
		return err
	}
	w := &watcher{options: o, clusters: map[string]*watchedCluster{}}
	var mounts []*watchedMount
	h.open()
	slots := h.slots()
	for _, t := range h.Targets {
		mounts = append(mounts, &watchedMount{
			watcher: w, target: t, slots: slots[t.Mount.Vault()],
			change: make(chan struct{}, 1), remark: make(chan struct{}, 1),
		})
	}
	for _, c := range h.used() {
		w.clusters[c.Name] = newWatchedCluster(c, mounts)
	}
	var running sync.WaitGroup
	for _, c := range w.clusters {
		running.Go(func() { w.follow(ctx, c) })
	}
	for _, m := range mounts {
		running.Go(func() { m.run(ctx) })
	}
	running.Wait()
	return nil
}

// watcher is one run of Watch.
type watcher struct {
	options  WatchOptions
	clusters map[string]*watchedCluster
}

// watchedCluster is what was heard of a cluster.
type watchedCluster struct {
	cluster jwks.Cluster
	mounts  []*watchedMount // that trust it
	all     chan struct{}   // closed once every source was heard of

	mu     sync.Mutex
	latest map[string]*jwks.Result // by region; what is there isn't changed
	silent map[string]bool         // regions not heard of yet
}

func newWatchedCluster(c jwks.Cluster, mounts []*watchedMount) *watchedCluster {
	w := &watchedCluster{
		cluster: c, all: make(chan struct{}),
		latest: map[string]*jwks.Result{}, silent: map[string]bool{},
	}
	for _, s := range c.Sources {
		w.silent[s.RegionName()] = true
	}
	if c.Federation != nil {
		w.silent[plan.AllRegions] = true
	}
	for _, m := range mounts {
		if slices.Contains(m.target.Clusters, c.Name) {
			w.mounts = append(w.mounts, m)
		}
	}
	return w
}

// follow takes in what a cluster tells until ctx ends.
func (w *watcher) follow(ctx context.Context, c *watchedCluster) {
	o := w.options.Sources
	o.OnUnchanged = func(r jwks.Result) {
		c.confirm(r)
		if w.options.Sources.OnUnchanged != nil {
			c.call(func() { w.options.Sources.OnUnchanged(r) })
		}
	}
	for r := range jwks.WatchCluster(ctx, c.cluster, o) {
		if w.options.OnResult != nil {
			aside(func() { c.call(func() { w.options.OnResult(r) }) })
		}
		c.learn(r)
	}
}

// aside calls do in a goroutine of its own and waits. A deep stack that it takes ends with it:
// the caller's would keep it while the next query is held, and there is one for each cluster.
func aside(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	<-done
}

// learn takes in a result and tells the mounts.
func (c *watchedCluster) learn(r jwks.Result) {
	c.mu.Lock()
	switch {
	case r.Region == plan.AllRegions && r.Err == nil, // the list can be read, which is no result of a source
		errors.Is(r.Err, jwks.ErrRegionGone): // as if it had never been: its keys stay (ErrNotRead)
		delete(c.latest, r.Region)
	default:
		c.latest[r.Region] = &r
	}
	if c.silent[r.Region] {
		delete(c.silent, r.Region)
		if len(c.silent) == 0 {
			close(c.all)
		}
	}
	c.mu.Unlock()
	for _, m := range c.mounts {
		if r.Set != nil && len(r.Set.Keys) > 0 {
			signal(m.change)
		} else {
			signal(m.remark)
		}
	}
}

// confirm takes in that a set is still published. Only what was kept for want of it is news
// to a mount then.
func (c *watchedCluster) confirm(r jwks.Result) {
	c.mu.Lock()
	if last, ok := c.latest[r.Region]; ok && last.Err == nil {
		c.latest[r.Region] = &r
	}
	c.mu.Unlock()
	for _, m := range c.mounts {
		if m.young.Load() {
			signal(m.remark)
		}
	}
}

// errSilent: a source was asked, and has not answered in time, well or badly.
var errSilent = silentError{}

type silentError struct{}

func (silentError) Error() string        { return "no answer yet" }
func (silentError) Is(target error) bool { return target == context.DeadlineExceeded }

// results returns what was heard last of each source, in the order of their regions.
func (c *watchedCluster) results() []jwks.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []jwks.Result
	for _, r := range c.latest {
		all = append(all, *r)
	}
	for region := range c.silent {
		all = append(all, jwks.Result{
			Cluster: c.cluster.Name, Region: region,
			Err: &jwks.ClusterError{Cluster: c.cluster.Name, Region: region, Err: errSilent},
		})
	}
	return all
}

// signal leaves word on a channel with room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // there is word already
	}
}

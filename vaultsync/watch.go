package vaultsync

import (
	"context"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// WatchOptions are the rules of a [Harvester.Watch]. The zero value is ready for use.
type WatchOptions struct {
	// Resync is the time after which a mount is synced although no cluster changed, which
	// heals what others did to it; zero is 5 minutes. Jittered by ±10 %.
	Resync time.Duration
	// Sources says how often clusters are asked. Its OnUnchanged is called as OnResult is.
	Sources jwks.WatchOptions
	// OnReport is called after each sync of a mount, done or failed, but for one that the
	// end of ctx cuts short: for one mount from one goroutine at a time, for several at
	// once. A sync that a newer change supersedes is reported as soon as its write is
	// read back, the others when their settle time is over. May be nil.
	OnReport func(*MountReport)
	// OnResult is called with each result of [jwks.WatchCluster] as it arrives: for one
	// cluster from one goroutine at a time, for several at once. It should return soon.
	// May be nil.
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
// waits until each of its clusters was heard of, at most 10 seconds, but not where it trusts a
// denied key. A cluster that is silent then counts as failed.
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
	h.open()
	inboxes, mounts := h.subscribe()
	var running sync.WaitGroup
	for _, b := range inboxes {
		running.Go(func() { b.follow(ctx, o) })
	}
	for _, m := range mounts {
		running.Go(func() { (&watchedMount{subscriber: m, options: o, verdicts: new(plan.Verdicts)}).run(ctx) })
	}
	running.Wait()
	return nil
}

// follow fills the inbox with what its cluster tells until ctx ends.
func (b *inbox) follow(ctx context.Context, o WatchOptions) {
	sources := o.Sources
	sources.OnUnchanged = func(r jwks.Result) {
		b.confirm(r)
		if o.Sources.OnUnchanged != nil {
			b.call(func() { o.Sources.OnUnchanged(r) })
		}
	}
	for r := range jwks.WatchCluster(ctx, b.cluster, sources) {
		if o.OnResult != nil {
			aside(func() { b.call(func() { o.OnResult(r) }) })
		}
		b.put(r)
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

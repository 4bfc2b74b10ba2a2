package vaultsync

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// WatchOptions are the rules of a [Harvester.Watch]. The zero value is ready for use.
type WatchOptions struct {
	// Resync is the time after which a mount is synced although no cluster changed, which repairs
	// what others did to it. Zero is 5 minutes. Jittered by ±10 %.
	Resync time.Duration
	// Sources says how often clusters are asked.
	Sources jwks.WatchOptions
	// Trigger has every cluster asked and every mount synced at once for each value that is
	// received from it, at most once a second. May be nil.
	Trigger <-chan struct{}
}

const (
	defaultResync = 5 * time.Minute
	// firstWait is how long a mount's first sync waits for clusters to be heard of.
	firstWait = 10 * time.Second
	// A mount that can't be synced is tried again after leastRetry, then after twice as
	// long each time, up to mostRetry.
	leastRetry = time.Second
	mostRetry  = 60 * time.Second
	// triggerGap is the least time between two of a trigger.
	triggerGap = time.Second
	// refusedAgain is when a mount is looked at again that waits for somebody to do something
	// there, such as to allow a turnover.
	refusedAgain = 10 * time.Second
)

func (o WatchOptions) resync() time.Duration {
	if o.Resync <= 0 {
		return defaultResync
	}
	return o.Resync
}

// Watch keeps the mounts equal to what the clusters publish until ctx ends. It returns nil once
// everything that it started has ended. Its only error is that of [Harvester.Check], returned at
// once: nothing that happens later ends a Watch.
//
// Each cluster that a target names is watched once ([jwks.Watch]). When it changes, the mounts that
// trust it are synced at once, each as [Mount.Sync] does, with the last answer of each of their
// clusters. A cluster whose last answer was a failure keeps its keys. A mount has one sync at a
// time. What changes meanwhile goes into the next sync, which begins as soon as the last write was
// read back; the reads after the settle time then follow the later one. Every Resync a mount is
// synced without a change. The first sync of a mount waits until each of its clusters has answered
// or failed, at most 10 seconds, but not if the mount trusts a denied key. A cluster that is silent
// then counts as failed.
//
// When it begins, it asks Vault for each mount whether the token may write it
// (sys/capabilities-self). If not, it tells Logger and OnEvent ([EventUnwritable]), watches the
// mount all the same, and asks again until the token may ([EventWritable]).
//
// OnEvent is called for each answer of a cluster ([EventRead], [EventSame], [EventUnread]), and for
// each sync of a mount, done or failed ([EventSynced], [EventError]), except one that the end of
// ctx cuts short. A sync that a newer change supersedes is reported as soon as its write is read
// back, the others when their settle time is over.
//
// No mount is written more than ten times in a row without a pause, and then every three seconds.
// What changes meanwhile goes into the next write. The removal of a denied key, and the repair of
// what another writer undid, don't wait.
//
// A mount that can't be synced is tried again after a second, then after growing pauses of up to a
// minute, or when a cluster changes. A mount that waits for a person is read every ten seconds, so
// that an allowed turnover is seen, or every minute if the token may not write.
func (h *Harvester) Watch(ctx context.Context, o WatchOptions) error {
	if err := h.Check(); err != nil {
		return err
	}
	h.open()
	inboxes, mounts := h.subscribe()
	var running sync.WaitGroup
	for _, b := range inboxes {
		running.Go(func() { b.follow(ctx, o.Sources, h.OnEvent) })
	}
	for _, m := range mounts {
		running.Go(func() { (&watchedMount{subscriber: m, options: o, verdicts: new(verdicts.Known)}).run(ctx) })
	}
	running.Go(func() { pull(ctx, o.Trigger, inboxes, mounts) })
	running.Wait()
	return nil
}

// pull has everything asked and synced for each word from the trigger, until ctx ends.
func pull(ctx context.Context, trigger <-chan struct{}, inboxes []*inbox, mounts []*subscriber) {
	for {
		select {
		case _, open := <-trigger:
			if !open {
				return
			}
		case <-ctx.Done():
			return
		}
		for _, b := range inboxes {
			signal(b.again)
		}
		for _, m := range mounts {
			signal(m.change)
		}
		wait.Sleep(ctx, triggerGap)
	}
}

// follow fills the inbox with what its cluster tells until ctx ends.
func (b *inbox) follow(ctx context.Context, sources jwks.WatchOptions, onEvent func(Event)) {
	failing := map[string]time.Time{} // by region, since when
	for ctx.Err() == nil {
		asking, stop := context.WithCancel(ctx)
		var pulled sync.WaitGroup
		pulled.Go(func() { // asked from the beginning, each source answers at once
			select {
			case <-b.again:
				stop()
			case <-asking.Done():
			}
		})
		for r := range jwks.Watch(asking, b.cluster, sources) {
			if asking.Err() != nil {
				break
			}
			if r.Unchanged {
				b.confirm(r)
				b.tell(onEvent, Event{Kind: EventSame, Result: &r})
				continue
			}
			b.tellResult(r, failing, onEvent)
			b.put(r)
		}
		stop()
		pulled.Wait()
	}
}

// tellResult tells of what a source gave, and of its recovery.
func (b *inbox) tellResult(r jwks.Result, failing map[string]time.Time, onEvent func(Event)) {
	if r.Err != nil {
		if failing[r.Region] = cmp.Or(failing[r.Region], time.Now()); errors.Is(r.Err, jwks.ErrRegionGone) {
			delete(failing, r.Region) // regions come and go as a remote says
		}
		b.tell(onEvent, Event{Kind: EventUnread, Err: r.Err, Result: &r})
		return
	}
	b.tell(onEvent, Event{Kind: EventRead, Result: &r})
	if since, ok := failing[r.Region]; ok {
		delete(failing, r.Region)
		b.tell(onEvent, Event{Kind: EventRecovered, Recovered: time.Since(since), Owner: pem.Owner{Cluster: r.Cluster, Region: r.Region}})
	}
}

// tell tells the caller of an event of a cluster.
func (b *inbox) tell(onEvent func(Event), e Event) {
	if onEvent == nil {
		return
	}
	if r := e.Result; r != nil {
		e.Owner = pem.Owner{Cluster: r.Cluster, Region: r.Region}
	}
	e.Time = time.Now()
	aside(func() { b.call(func() { onEvent(e) }) })
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

package vaultsync

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// subscriber is a mount that is synced from the inboxes of its clusters: by a Sync once all are
// complete, by a Watch for ever. One goroutine calls its methods, but for hear.
type subscriber struct {
	target  Target
	slots   chan struct{} // of the mounts of its Vault that are synced at the same time
	inboxes []*inbox      // of the target's clusters, in their order

	change chan struct{} // room for one: something is to be written at once
	notice chan struct{} // room for one: something else was heard, to be looked at in due time

	// unconfirmed: the last plan kept a key only because its cluster was asked before it was
	// added. The next answer decides.
	unconfirmed atomic.Bool
	// unsettled: nobody has looked at a write for a settle time. The next sync does.
	unsettled bool

	mu         sync.Mutex
	incomplete int       // inboxes
	read       bool      // a source was read
	heard      time.Time // when anything was heard last
}

// subscribe returns an inbox for each cluster that a target names, and a subscriber for each
// target.
func (h *Harvester) subscribe() (inboxes []*inbox, mounts []*subscriber) {
	byName := map[string]*inbox{}
	for _, c := range h.used() {
		b := newInbox(c)
		inboxes = append(inboxes, b)
		byName[c.Name] = b
	}
	slots := h.slots()
	for _, t := range h.Targets {
		t.Options.OnEvent = both(t.Options.OnEvent, h.OnEvent)
		m := &subscriber{
			target: t, slots: slots[t.Mount.vault()], incomplete: len(t.Clusters), heard: time.Now(),
			change: make(chan struct{}, 1), notice: make(chan struct{}, 1),
		}
		for _, name := range t.Clusters {
			m.inboxes = append(m.inboxes, byName[name])
			byName[name].mounts = append(byName[name].mounts, m)
		}
		mounts = append(mounts, m)
	}
	return inboxes, mounts
}

// both calls two functions, either of which may be nil.
func both(a, b func(Event)) func(Event) {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(e Event) {
		defer b(e) // a panic in one is not the other's
		a(e)
	}
}

// hear takes in that there is something new in an inbox. The word is there before the mount can
// see that it is complete: it doesn't come on top of that.
func (m *subscriber) hear(read, completes bool, urgent func(complete bool) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = time.Now()
	m.read = m.read || read
	if completes {
		m.incomplete--
	}
	if urgent(m.incomplete == 0) {
		signal(m.change)
	} else {
		signal(m.notice)
	}
}

func (m *subscriber) isComplete() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.incomplete == 0
}

// gather waits until each cluster was heard of. The time that until returns ends it before, if its
// ok is true, and so does ctx.
func (m *subscriber) gather(ctx context.Context, until func() (at time.Time, ok bool)) {
	for !m.isComplete() {
		var over <-chan time.Time
		if at, ok := until(); ok {
			left := time.Until(at)
			if left <= 0 {
				return
			}
			over = time.After(left)
		}
		select {
		case <-m.change:
		case <-m.notice:
		case <-over:
		case <-ctx.Done():
			return
		}
	}
}

// desired is what was heard by now.
func (m *subscriber) desired() plan.Desired {
	var results []jwks.Result
	for _, b := range m.inboxes {
		results = append(results, b.known()...)
	}
	return plan.Desired{Clusters: m.target.Clusters, Results: results}
}

// sync makes the mount trust what was heard by now. The caller has acquired a slot.
func (m *subscriber) sync(ctx context.Context, o Options, how conduct) *MountReport {
	how.unsettled, how.rest, how.again = m.unsettled, m.rest, m.again
	m.unsettled = false
	report := m.target.Mount.sync(ctx, m.desired(), o, how)
	if report.Err != nil {
		m.unsettled = how.unsettled || report.Written > 0
	}
	return report
}

// plan returns what a sync would do, as [Mount.Plan] does.
func (m *subscriber) plan(ctx context.Context) *MountReport {
	report := m.target.Mount.plan(ctx, m.desired(), m.target.Options)
	if report.Plan != nil && len(report.Plan.Doubtful) > 0 {
		report = m.target.Mount.plan(ctx, m.again(ctx, report.Plan.Doubtful), m.target.Options)
	}
	return report
}

// rest waits out a settle time without the slot: others may be synced meanwhile. A change ends
// it, and the next sync looks in its place.
func (m *subscriber) rest(ctx context.Context, d time.Duration) (superseded bool, err error) {
	if err := m.yield(ctx, d, true); err != nil {
		return false, err
	}
	m.unsettled = len(m.change) > 0
	return m.unsettled, nil
}

// pause waits for the pace, without the slot. A change, which may be one that mustn't wait, ends
// it.
func (m *subscriber) pause(ctx context.Context, d time.Duration) error { return m.yield(ctx, d, false) }

// yield gives the slot away until a change comes, or for d. The change is left in place where
// keep.
func (m *subscriber) yield(ctx context.Context, d time.Duration, keep bool) error {
	m.release()
	defer func() { m.slots <- struct{}{} }() // whatever became of ctx: the sync gives it back
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.change:
		if keep {
			signal(m.change)
		}
	case <-ctx.Done():
		return stopped(ctx)
	}
	return nil
}

// acquire takes a slot, and the word that was left until then: what it tells of is in the
// inboxes. Word that comes later, of what the sync may see too, costs one read.
func (m *subscriber) acquire(ctx context.Context) bool {
	select {
	case m.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	for _, word := range []chan struct{}{m.change, m.notice} {
		select {
		case <-word:
		default:
		}
	}
	return true
}

func (m *subscriber) release() { <-m.slots }

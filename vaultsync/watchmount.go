package vaultsync

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/jwks"
)

// watchedMount is a mount that a Watch keeps in sync, in one goroutine.
type watchedMount struct {
	*watcher
	target Target
	slots  chan struct{} // of the mounts of its Vault that are synced at the same time

	change chan struct{} // room for one: a set changed; to be written at once
	remark chan struct{} // room for one: something else is to be looked at, in due time

	// Whether the last plan kept a key only because a cluster was asked before it was
	// added: the next answer decides.
	young atomic.Bool

	history keyHistory
	pace    pace

	// Whether there was no time to judge a key that is published.
	unjudged bool

	// Whether a write was not looked at for a settle time: the next sync does that.
	unsettled bool
}

// run syncs the mount until ctx ends.
func (m *watchedMount) run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	known := make(chan bool, 1) // whether Vault said what the token may do
	asking.Go(func() { known <- m.warnUnableToUpdate(ctx, false) })
	if !m.trustsDenied(ctx) && !m.hearAll(ctx) {
		return
	}
	failures := 0
	for {
		began := time.Now()
		report, ok := m.sync(ctx)
		if !ok {
			return
		}
		failed := report.Err != nil // and no more of it, which is large, until the next sync
		pause := wait.About(m.options.resync())
		if m.unjudged {
			pause = min(pause, judgeAgain)
		}
		remark := m.remark
		if !failed {
			failures = 0
			select {
			case said := <-known:
				if !said { // it was sealed, say, when the watch began
					known <- m.warnUnableToUpdate(ctx, true)
				}
			default:
			}
		} else {
			failures++
			pause = retryAfter(failures)
			remark = nil // no reason to ask a Vault that doesn't answer
		}
		next := began.Add(pause)
		if failed {
			next = time.Now().Add(pause)
		}
		if !m.await(ctx, next, remark) {
			return
		}
		if failed && !wait.Sleep(ctx, time.Until(began.Add(leastRetry))) {
			return
		}
	}
}

// trustsDenied says whether the mount trusts a denied key: its removal waits for nobody.
func (m *watchedMount) trustsDenied(ctx context.Context) bool {
	if len(m.target.Options.Deny) == 0 || !m.acquire(ctx) {
		return false
	}
	defer m.release()
	trusted := false
	err := m.contained(func() error {
		config, err := m.target.Mount.Read(ctx)
		trusted = slices.ContainsFunc(config.Trusted(), func(k Key) bool { return m.target.Options.rules().Denies(k.Fingerprint) })
		return err
	})
	return err == nil && trusted
}

// hearAll waits until each cluster of the mount was heard of, or long enough.
func (m *watchedMount) hearAll(ctx context.Context) bool {
	timer := time.NewTimer(firstWait)
	defer timer.Stop()
	for _, name := range m.target.Clusters {
		select {
		case <-m.clusters[name].all:
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// sync makes the mount trust what was heard last. It says false where ctx has ended.
func (m *watchedMount) sync(ctx context.Context) (*MountReport, bool) {
	if !m.acquire(ctx) {
		return nil, false
	}
	defer m.release()
	// Word that comes after this, of what may be in the results already, costs one read.
	drain(m.change)
	drain(m.remark)
	o := m.target.Options
	how := conduct{
		unsettled: m.unsettled, history: &m.history, latest: m.desired,
		rest: m.rest, pace: &m.pace, pause: m.waitForPace,
	}
	m.unsettled = false
	report := m.target.Mount.sync(ctx, m.desired(), o, how)
	if report.Err != nil {
		m.unsettled = how.unsettled || report.Written > 0
	}
	if ctx.Err() != nil {
		return nil, false
	}
	o.logFailure(m.target.Mount, report)
	last, _ := report.Last()
	m.young.Store(last != nil && last.Unconfirmed)
	m.unjudged = last != nil && last.Unjudged
	if m.options.OnReport != nil {
		_ = m.contained(func() error { m.options.OnReport(report); return nil }) // which tells of a panic
	}
	return report, true
}

func (m *watchedMount) desired() Desired {
	var results []jwks.Result
	for _, name := range m.target.Clusters {
		results = append(results, m.clusters[name].results()...)
	}
	return Desired{Clusters: m.target.Clusters, Results: results}
}

// rest is conduct.rest: others may be synced meanwhile, and a change ends it.
func (m *watchedMount) rest(ctx context.Context, d time.Duration) (superseded bool, err error) {
	m.release()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-m.change:
		signal(m.change)
		superseded = true
	}
	m.slots <- struct{}{} // whatever became of ctx: the sync gives it back
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	m.unsettled = superseded
	return superseded, nil
}

// waitForPace is conduct.pause: others may be synced meanwhile, and a change, which may be
// one that mustn't wait, ends it.
func (m *watchedMount) waitForPace(ctx context.Context, d time.Duration) error {
	m.release()
	defer func() { m.slots <- struct{}{} }()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.change:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// await waits for a change, a remark or the time.
func (m *watchedMount) await(ctx context.Context, until time.Time, remark <-chan struct{}) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.change:
	case <-remark:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

func (m *watchedMount) acquire(ctx context.Context) bool {
	select {
	case m.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (m *watchedMount) release() { <-m.slots }

func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// retryAfter is the pause after so many failures in a row, up to a quarter of it by chance.
func retryAfter(failures int) time.Duration {
	pause := min(leastRetry<<min(failures-1, 10), mostRetry)
	return pause - jitter(pause/4)
}

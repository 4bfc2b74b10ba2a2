package vaultsync

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// watchedMount is a mount that a Watch keeps in sync, in one goroutine.
type watchedMount struct {
	*subscriber
	options WatchOptions

	history keyHistory
	pace    pace

	failing map[pem.Owner]time.Time // since when clusters, and the mount itself, fail

	retains  bool            // a key stays for its retention period alone
	unjudged bool            // there was no time to judge a key that is published
	verdicts *verdicts.Known // of the last sync: the next one goes on from there

	refused    bool        // the last plan left out keys that were read, until somebody allows them
	unwritable atomic.Bool // Vault said so last
}

// run syncs the mount until ctx ends.
func (m *watchedMount) run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	known := make(chan bool, 1) // whether Vault said what the token may do
	asking.Go(func() { known <- m.warnUnableToUpdate(ctx, false) })
	if !m.trustsDenied(ctx) {
		latest := time.Now().Add(firstWait)
		if m.gather(ctx, func() (time.Time, bool) { return latest, true }); ctx.Err() != nil {
			return
		}
	}
	failures := 0
	for {
		began := time.Now()
		report, ok := m.syncOnChange(ctx)
		if !ok {
			return
		}
		if report.Err != nil {
			failures++
			ok = m.awaitRetry(ctx, began, failures)
		} else {
			failures = 0
			select {
			case said := <-known:
				if !said || m.unwritable.Load() { // it was sealed, say, when the watch began
					known <- m.warnUnableToUpdate(ctx, true)
				}
			default:
			}
			ok = m.awaitNews(ctx, began)
		}
		if !ok {
			return
		}
	}
}

// awaitNews waits until the mount is to be synced again after a sync that went well, and reports
// whether ctx is still alive then.
func (m *watchedMount) awaitNews(ctx context.Context, began time.Time) bool {
	pause := wait.About(m.options.resync())
	if m.retains { // so that the end of its period isn't missed by much
		pause = min(pause, max(cmp.Or(m.target.Options.Retain, plan.UnindexedRetain)/4, leastRetry))
	}
	if m.unjudged {
		pause = min(pause, judgeAgain)
	}
	if m.refused {
		pause = min(pause, refusedAgain)
	}
	if m.unwritable.Load() {
		pause = min(pause, mostRetry)
	}
	return m.await(ctx, began.Add(pause), m.notice)
}

// awaitRetry is awaitNews after a sync that failed. A notice is no reason to ask a Vault that
// doesn't answer, and a change none to ask it more than once in leastRetry.
func (m *watchedMount) awaitRetry(ctx context.Context, began time.Time, failures int) bool {
	return m.await(ctx, time.Now().Add(wait.Backoff(leastRetry, mostRetry, failures-1)), nil) &&
		wait.Sleep(ctx, time.Until(began.Add(leastRetry)))
}

// trustsDenied reports whether the mount trusts a denied key: its removal waits for nobody.
func (m *watchedMount) trustsDenied(ctx context.Context) bool {
	if len(m.target.Options.Deny) == 0 || !m.acquire(ctx) {
		return false
	}
	defer m.release()
	trusted := false
	err := m.contained(func() error {
		config, err := m.target.Mount.Read(ctx)
		trusted = slices.ContainsFunc(config.Trusted(), func(k plan.Key) bool { return slices.Contains(m.target.Options.Deny, k.Fingerprint) })
		return err
	})
	return err == nil && trusted
}

// syncOnChange makes the mount trust what was heard last, and reports it. Its ok is false where
// ctx has ended.
func (m *watchedMount) syncOnChange(ctx context.Context) (report *MountReport, ok bool) {
	if !m.acquire(ctx) {
		return nil, false
	}
	defer m.release()
	o := m.target.Options
	m.verdicts = m.verdicts.Published()
	report = m.sync(ctx, o, conduct{
		history: &m.history, verdicts: m.verdicts, latest: m.desired, pace: &m.pace, pause: m.pause,
	})
	if ctx.Err() != nil {
		return nil, false
	}
	o.conclude(m.target.Mount, report)
	m.tellRecovery(report)
	last := report.Last
	m.unconfirmed.Store(last != nil && last.Unconfirmed)
	m.retains = last != nil && len(last.Retained) > 0
	m.unjudged = last != nil && last.Unjudged
	m.refused = last != nil && slices.ContainsFunc(last.Failed, func(f plan.Failure) bool {
		return errors.Is(f.Err, plan.ErrTurnover) || errors.Is(f.Err, plan.ErrNoRoom) || errors.Is(f.Err, ErrAlgorithm)
	})
	return report, true
}

// tellRecovery tells of what failed at an earlier sync and doesn't now.
func (m *watchedMount) tellRecovery(report *MountReport) {
	o, now := m.target.Options, time.Now()
	failing := map[pem.Owner]time.Time{}
	fails := func(what pem.Owner) { failing[what] = cmp.Or(m.failing[what], now) }
	if report.Err != nil {
		fails(pem.Owner{}) // the mount itself
	}
	if last := report.Last; last != nil {
		for _, f := range last.Failed {
			fails(f.Owner)
		}
	} else { // nothing is known of the clusters
		for owner := range m.failing {
			fails(owner)
		}
	}
	for owner, since := range m.failing {
		if _, still := failing[owner]; !still {
			o.emit(m.target.Mount, Event{Kind: EventRecovered, Owner: owner, Recovered: now.Sub(since)})
		}
	}
	m.failing = failing
}

// await waits for a change, a notice or the time, and reports whether ctx is still alive then.
func (m *watchedMount) await(ctx context.Context, until time.Time, notice <-chan struct{}) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.change:
	case <-notice:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

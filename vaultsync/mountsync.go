package vaultsync

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// A watch judges keys for watchJudges before it looks at a mount, and goes on with what is left
// after judgeAgain.
const (
	watchJudges = 250 * time.Millisecond
	judgeAgain  = 3 * time.Second
)

// judgeUntil returns when a sync is to have judged: a quarter of its time is for that, and in a
// watch, which has a pace, a quarter of a second. Without a deadline there is time for all.
func judgeUntil(ctx context.Context, pace *pace) time.Time {
	now := time.Now()
	if pace != nil {
		return now.Add(watchJudges)
	}
	if deadline, ok := ctx.Deadline(); ok {
		return now.Add(deadline.Sub(now) / 4)
	}
	return time.Time{}
}

// past returns what reports whether a time is over; nil for the zero time.
func past(until time.Time) func() bool {
	if until.IsZero() {
		return nil
	}
	return func() bool { return !time.Now().Before(until) }
}

// Plan reads the mount and returns what a sync would do, writing nothing. If Vault says that the
// token may not write, the report has that as Unwritable, even without changes. The error is that
// of a Sync, for what could not be read.
func (m *Mount) Plan(ctx context.Context, want plan.Desired, o Options) (*MountReport, error) {
	report := m.refuse(o, want.Clusters)
	if report == nil {
		report = m.plan(ctx, want, o)
	}
	return report, report.Failure()
}

// plan is Plan for options that may name clusters of other mounts.
func (m *Mount) plan(ctx context.Context, want plan.Desired, o Options) *MountReport {
	report := m.report()
	report.Err = m.Wrap(ended(ctx, m.contained(o, func() error {
		s, err := m.open()
		if err == nil {
			err = s.plan(ctx, want, o, report)
			report.Last, report.Done = report.Plan, report.Plan != nil && !report.Plan.Changed
		}
		return err
	})))
	return report
}

// plan plans for what the mount holds, in a report.
func (s *session) plan(ctx context.Context, want plan.Desired, o Options, report *MountReport) (err error) {
	if report.Config, err = s.read(ctx); err != nil {
		return err
	}
	p, err := planWithin(ctx, report.Config, want, o.at(time.Now()))
	if err != nil {
		return err
	}
	p.Store = s.mount.String()
	if report.Unwritable = s.mayUpdate(ctx); report.Unwritable != nil {
		p.Warnings = slices.Insert(p.Warnings, 0, report.Unwritable.Error())
	}
	report.Plan = p
	return nil
}

// Sync makes the mount trust what want holds: it reads, plans, writes once and reads back. Vault
// has no check-and-set, and another harvester may write at the same time. So after a write it reads
// the mount again every o.Settle until one read finds nothing changed, at most five times. It plans
// and writes again what another writer undid, at most o.Writes times. Then the error wraps
// [ErrConflict], or what else kept it from writing. A mount that is in sync costs one read and no
// write. If Vault refuses a write with 403, Sync asks whether the token may write at all, and the
// error says if it may not.
//
// No change is lost for good if all harvesters have the same settle time, and each write reaches
// Vault within half of o.Settle after it was sent. A write that stands on a read older than the
// other half is not sent. Otherwise, or on a mount that never stands still, the next sync of its
// writer repairs a lost change.
//
// Without an error the mount is in sync. Otherwise the error joins a *[jwks.ClusterError] for each
// cluster or region whose keys the mount keeps because they could not be read, or because of a
// turnover, and a *[MountError] for what went wrong with the mount itself, which is the report's
// Err.
func (m *Mount) Sync(ctx context.Context, want plan.Desired, o Options) (*MountReport, error) {
	report := m.refuse(o, want.Clusters)
	if report == nil {
		report = m.sync(ctx, want, o, conduct{})
	}
	o.conclude(m, report)
	return report, report.Failure()
}

// sync is Sync, conducted as its caller wants, and tells nobody of its end.
func (m *Mount) sync(ctx context.Context, want plan.Desired, o Options, how conduct) *MountReport {
	report := m.report()
	err := m.contained(o, func() error {
		s, err := m.open()
		if err == nil {
			err = s.converge(ctx, want, o, how, report)
		}
		return err
	})
	report.Err = m.Wrap(ended(ctx, err))
	return report
}

// conduct is how a sync of one mount goes about it, as the Sync or Watch of a [Harvester] that
// runs it says. The zero value is that of [Mount.Sync].
type conduct struct {
	// early: not all clusters have answered yet, and another sync comes when they have. That one
	// removes what isn't denied, and tells what could not be read.
	early bool
	// unsettled: nobody has looked at an earlier write for a settle time. This sync does, as if
	// it had written itself.
	unsettled bool
	// history is what a watch has seen of the mount's keys; nil: no watch.
	history *keyHistory
	// verdicts are those of an earlier sync, to go on from and to add to; nil: there are none.
	verdicts *verdicts.Known
	// again asks sources without an index once more, whose answers lack keys, and returns what is
	// desired then; nil: they aren't asked.
	again func(context.Context, []pem.Owner) plan.Desired
	// plan makes the plan for a configuration, and is told whether something was written; nil:
	// newPlan.
	plan func(current mountconfig.Config, o Options, written bool) (*plan.Plan, error)
	// latest returns what is desired by the time of another try; nil: what it was.
	latest func() plan.Desired
	// rest waits out a settle time, and reports whether something newer is to be written by
	// then. That ends the sync: its caller sees to another one, with unsettled set. Nil sleeps.
	rest func(ctx context.Context, d time.Duration) (superseded bool, err error)
	// pace keeps the writes of a watch apart, and pause waits for that; nil: no watch.
	pace  *pace
	pause func(ctx context.Context, d time.Duration) error

	jitter func(most time.Duration) time.Duration // a random part of most; nil: wait.UpTo
	age    func(read time.Time) time.Duration     // how long ago a read began; nil: age
}

// or returns how with what it leaves open filled in.
func (how conduct) or() conduct {
	if how.rest == nil {
		how.rest = func(ctx context.Context, d time.Duration) (bool, error) { return false, sleep(ctx, d) }
	}
	if how.verdicts == nil {
		how.verdicts = new(verdicts.Known)
	}
	if how.jitter == nil {
		how.jitter = wait.UpTo
	}
	if how.age == nil {
		how.age = func(read time.Time) time.Duration {
			now := time.Now()
			return elapsed(read, now, now.Round(0))
		}
	}
	return how
}

// elapsed returns how long ago since was, by the clock that says more: the monotonic one stands
// still while the machine is suspended, and the wall clock may be set back.
func elapsed(since, now, wall time.Time) time.Duration {
	return max(now.Sub(since), wall.Sub(since.Round(0)))
}

// sleep waits, or returns an error that wraps the context's.
func sleep(ctx context.Context, d time.Duration) error {
	if !wait.Sleep(ctx, d) {
		return stopped(ctx)
	}
	return nil
}

func stopped(ctx context.Context) error {
	return fmt.Errorf("stopped while waiting to look again: %w", context.Cause(ctx))
}

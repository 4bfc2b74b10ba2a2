package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// patience is how long a Sync waits for a mount's clusters after the last answer of one. Answers
// that come in waves, one a round trip, are no further apart than this.
const patience = 500 * time.Millisecond

// syncOnce makes the mount trust what its clusters publish: at once where all have answered or
// failed, else twice. It waits for them even after ctx has ended, since their own end comes
// before, and so that the report names them.
func (m *subscriber) syncOnce(ctx context.Context) *MountReport {
	began := time.Now()
	waiting := context.WithoutCancel(ctx)
	o := m.target.Options
	known := new(verdicts.Known)
	var early *MountReport
	if m.gather(waiting, m.outOfPatience); !m.isComplete() {
		if early = m.syncEarly(ctx, waiting, known); early != nil {
			o.Writes = max(1, o.writes()-early.Written)
		}
		m.gather(waiting, func() (time.Time, bool) { return time.Time{}, false })
	}
	m.acquire(waiting)
	report := m.sync(ctx, o, conduct{verdicts: known})
	m.release()
	if early != nil {
		m.join(ctx, report, early, m.target.Options.at(began), known)
	}
	o.conclude(m.target.Mount, report)
	return report
}

// outOfPatience returns when nothing came of any cluster for too long. It is never, as long as
// nothing was read: there is nothing to be done then, but to remove a denied key.
func (m *subscriber) outOfPatience() (at time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard.Add(patience), m.read || len(m.target.Options.Deny) > 0
}

// syncEarly syncs the mount with what there is. It returns nil where all is there by now.
func (m *subscriber) syncEarly(ctx, waiting context.Context, known *verdicts.Known) *MountReport {
	m.acquire(waiting)
	defer m.release()
	if m.isComplete() {
		return nil
	}
	return m.sync(ctx, m.target.Options, conduct{early: true, verdicts: known})
}

// join makes the report of the later sync that of both: what the mount was to trust, seen from
// where it began.
func (m *subscriber) join(ctx context.Context, report, early *MountReport, o Options, known *verdicts.Known) {
	report.Written += early.Written
	report.WriteTimes = append(early.WriteTimes, report.WriteTimes...)
	report.Conflicts += early.Conflicts
	if cause, ok := errors.AsType[*MountError](early.Err); ok && ctx.Err() != nil && report.Err != nil {
		report.Err = m.target.Mount.Wrap(fmt.Errorf("%w; and before: %w", errors.Unwrap(report.Err), cause.Err))
	}
	if early.Plan == nil {
		return
	}
	var whole *plan.Plan
	err := m.target.Mount.contained(o, func() (err error) {
		whole, err = newPlan(early.Config, m.desired(), o, circumstances{verdicts: known})
		return err
	})
	if err != nil {
		return // as for the later sync, but for what others changed in between
	}
	if report.Plan != nil {
		dateFrom(whole, report.Plan)
	}
	whole.Store = m.target.Mount.String()
	report.Config, report.Plan = early.Config, whole
}

// dateFrom takes the days on which keys were added from a later plan.
func dateFrom(p, later *plan.Plan) {
	added := map[pem.Fingerprint]time.Time{}
	for _, k := range slices.Concat(later.Add, later.Adopt, later.Keep) {
		added[k.Fingerprint] = k.Added
	}
	for i, k := range p.Add {
		if day, ok := added[k.Fingerprint]; ok {
			p.Add[i].Added = day
		}
	}
}

package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// arrivals are what one Sync has heard of its clusters so far.
type arrivals struct {
	clusters []jwks.Cluster
	mounts   []*waitingMount
	trusting [][]*waitingMount // by cluster
	patience time.Duration

	mu      sync.Mutex
	results [][]jwks.Result // by cluster; what is there isn't changed
}

// waitingMount is a mount that a Sync keeps waiting for its clusters.
type waitingMount struct {
	arrivals *arrivals
	target   Target
	slots    chan struct{} // of the mounts of its Vault that are synced at the same time
	clusters []int         // its own, in their order among all
	some     chan struct{} // closed when the first of its sources was read
	complete chan struct{} // closed when all have answered or failed

	// Under the mutex of arrivals.
	heard time.Time // when the last of its sources answered or failed
	read  bool      // whether some is closed
	left  int       // clusters that aren't complete
}

func (h *Harvester) newArrivals() *arrivals {
	a := &arrivals{clusters: h.used(), patience: h.patience}
	if a.patience == 0 {
		a.patience = defaultPatience
	}
	a.results = make([][]jwks.Result, len(a.clusters))
	a.trusting = make([][]*waitingMount, len(a.clusters))
	slots := h.slots()
	for _, t := range h.Targets {
		m := &waitingMount{
			arrivals: a, target: t, slots: slots[t.Mount.Vault()], heard: time.Now(),
			some: make(chan struct{}), complete: make(chan struct{}),
		}
		for i, c := range a.clusters {
			if slices.Contains(t.Clusters, c.Name) {
				m.clusters = append(m.clusters, i)
				a.trusting[i] = append(a.trusting[i], m)
			}
		}
		m.left = len(m.clusters)
		a.mounts = append(a.mounts, m)
	}
	return a
}

// learn takes in what is known of a cluster, and tells the mounts that trust it.
func (a *arrivals) learn(cluster int, results []jwks.Result) {
	read := slices.ContainsFunc(results, func(r jwks.Result) bool { return r.Err == nil })
	complete := !slices.ContainsFunc(results, func(r jwks.Result) bool { return errors.Is(r.Err, jwks.ErrPending) })
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.results[cluster] = results
	for _, m := range a.trusting[cluster] {
		m.heard = now
		if read && !m.read {
			m.read = true
			close(m.some)
		}
		if complete {
			if m.left--; m.left == 0 {
				close(m.complete)
			}
		}
	}
}

// impatient waits until the mount's clusters are complete, and says false then, or until one
// was read and nothing came of any for as long as patience. To remove a denied key none needs
// to be read.
func (m *waitingMount) impatient() bool {
	if len(m.target.Options.Deny) == 0 {
		select {
		case <-m.some:
		case <-m.complete:
			return false
		}
	}
	for {
		m.arrivals.mu.Lock()
		idle := time.Since(m.heard)
		m.arrivals.mu.Unlock()
		if idle >= m.arrivals.patience {
			return !m.isComplete()
		}
		timer := time.NewTimer(m.arrivals.patience - idle)
		select {
		case <-timer.C:
		case <-m.complete:
			timer.Stop()
			return false
		}
	}
}

func (m *waitingMount) isComplete() bool {
	select {
	case <-m.complete:
		return true
	default:
		return false
	}
}

// desired is what is known by now.
func (m *waitingMount) desired() Desired {
	m.arrivals.mu.Lock()
	defer m.arrivals.mu.Unlock()
	var results []jwks.Result
	for _, i := range m.clusters {
		results = append(results, m.arrivals.results[i]...)
	}
	return Desired{Clusters: m.target.Clusters, Results: results}
}

// sync makes the mount trust what its clusters publish: at once where all have answered or
// failed, else twice.
func (m *waitingMount) sync(ctx context.Context) *MountReport {
	began := time.Now()
	o := m.target.Options
	how := conduct{verdicts: new(plan.Verdicts)}
	var early *MountReport
	if m.impatient() {
		early = m.early(ctx, &o, &how)
	}
	<-m.complete // in time: the clusters' ends before ctx does
	m.slots <- struct{}{}
	how.rest = m.rest
	report := m.target.Mount.sync(ctx, m.desired(), o, how)
	<-m.slots
	if early != nil {
		m.join(ctx, report, early, m.target.Options.at(began), how.verdicts)
	}
	o.logFailure(m.target.Mount, report)
	return report
}

// early syncs the mount with what there is, and sets in o and later what is left for the other
// sync to do. It is nil where there is no more need.
func (m *waitingMount) early(ctx context.Context, o *Options, later *conduct) *MountReport {
	m.slots <- struct{}{}
	defer func() { <-m.slots }()
	if m.isComplete() {
		return nil
	}
	first := conduct{early: true, verdicts: later.verdicts, rest: func(ctx context.Context, d time.Duration) (superseded bool, err error) {
		_, err = m.rest(ctx, d)
		superseded = err == nil && m.isComplete()
		later.unsettled = superseded // the other sync looks in its place
		return superseded, err
	}}
	report := m.target.Mount.sync(ctx, m.desired(), *o, first)
	later.unsettled = later.unsettled || report.Err != nil && report.Written > 0
	o.Writes = max(1, o.writes()-report.Written)
	return report
}

// rest is conduct.rest: others may be synced meanwhile. What completes the clusters ends it,
// where they weren't.
func (m *waitingMount) rest(ctx context.Context, d time.Duration) (superseded bool, err error) {
	var completes <-chan struct{}
	if !m.isComplete() {
		completes = m.complete
	}
	<-m.slots
	defer func() { m.slots <- struct{}{} }()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-completes:
	case <-ctx.Done():
		return false, stopped(ctx)
	}
	return false, nil
}

// join makes the report of the later sync that of both: what the mount was to trust, seen from
// where it began.
func (m *waitingMount) join(ctx context.Context, report, early *MountReport, o Options, known *plan.Verdicts) {
	report.Written += early.Written
	report.WriteTimes = append(early.WriteTimes, report.WriteTimes...)
	report.Conflicts += early.Conflicts
	if cause, ok := errors.AsType[*MountError](early.Err); ok && ctx.Err() != nil && report.Err != nil {
		report.Err = m.target.Mount.Wrap(fmt.Errorf("%w; and before: %w", errors.Unwrap(report.Err), cause.Err))
	}
	if early.Plan == nil {
		return
	}
	var whole *Plan
	err := m.target.Mount.contained(o, func() (err error) {
		whole, err = newPlan(early.Plan.Current(), m.desired(), o, circumstances{verdicts: known})
		return err
	})
	if err != nil {
		return // as for the later sync, but for what others changed in between
	}
	if report.Plan != nil {
		whole.dateFrom(report.Plan)
	}
	report.Plan = whole
}

// dateFrom takes the days on which keys were added from a later plan.
func (p *Plan) dateFrom(later *Plan) {
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

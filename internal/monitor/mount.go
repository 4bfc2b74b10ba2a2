package monitor

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Event takes in what happened at a time.
func (b *Board) Event(e vaultsync.Event, at time.Time) {
	switch e.Kind {
	case vaultsync.EventRead, vaultsync.EventUnread:
		b.Result(*e.Result, at)
	case vaultsync.EventSame:
		b.Unchanged(*e.Result, at)
	case vaultsync.EventSynced, vaultsync.EventError:
		b.Report(e.Report, at)
	case vaultsync.EventFailed, vaultsync.EventRecovered: // the report has them too
	default:
		b.mountEvent(e, at)
	}
}

// mountEvent takes in what happened on a mount.
func (b *Board) mountEvent(e vaultsync.Event, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.mounts[e.Mount]
	if m == nil {
		return
	}
	log := b.log.With("mount", e.Mount.String())
	switch e.Kind {
	case vaultsync.EventConflict:
		m.conflicts++
		log.Warn("another writer undid a write; it is done again", "error", text.Escape(e.Err.Error()))
	case vaultsync.EventSet:
		if m.read { // it was as stated
			m.drift++
		}
		log.Info("setting changed", "field", e.Set.Field, "before", text.Escape(e.Set.Before), "after", text.Escape(e.Set.After))
	case vaultsync.EventUnwritable:
		m.forbidden = Shown(e.Err)
		b.errors[errorID{kind: vaultsync.Kind(e.Err), mount: e.Mount}]++
		log.Error("keys can't be written; watching all the same", "kind", vaultsync.Kind(e.Err), "error", text.Escape(MountCause(e.Err).Error()))
	case vaultsync.EventWritable:
		m.forbidden = ""
		log.Info("keys can be written now")
	default:
		log.Info("key "+string(e.Kind), "cluster", e.Key.Cluster, "region", e.Key.Region, "kid", text.Escape(e.Key.KeyID),
			"alg", e.Key.Algorithm, "sha256", e.Key.Fingerprint.String(), "reason", text.Escape(e.Key.Reason))
		b.keyEvent(m, e, at)
	}
}

// keyEvent takes in what became of a key of a mount; b.mu must be held.
func (b *Board) keyEvent(m *mountState, e vaultsync.Event, at time.Time) {
	m.keys.update(e)
	owner := e.Key.Owner
	_, known := m.trusted[e.Key.Fingerprint]
	switch e.Kind {
	case vaultsync.EventAdded:
		if known {
			m.drift++
		} else if s := b.sources[owner]; s != nil {
			if key, ok := s.arrived[e.Key.Fingerprint]; ok {
				m.trustedAfter(owner, max(at.Sub(key.at), 0))
			}
		}
		m.trusts(e.Key.Fingerprint, owner)
	case vaultsync.EventRemoved:
		if m.read && !known && e.Key.Cluster != "" {
			m.drift++
		}
		delete(m.trusted, e.Key.Fingerprint)
	default:
		m.trusts(e.Key.Fingerprint, owner)
	}
}

func (m *mountState) trustedAfter(owner pem.Owner, d time.Duration) {
	times := m.trustOf()[owner]
	observe(&times, trustBuckets, d)
	m.trust[owner] = times
}

// trustOf returns the histograms of a mount's owners, to add to.
func (m *mountState) trustOf() map[pem.Owner]*histogram {
	if m.trust == nil {
		m.trust = map[pem.Owner]*histogram{}
	}
	return m.trust
}

func (m *mountState) trusts(f pem.Fingerprint, owner pem.Owner) {
	if m.trusted == nil {
		m.trusted = map[pem.Fingerprint]pem.Owner{}
	}
	m.trusted[f] = owner
}

// Report takes in what became of a sync at a time.
func (b *Board) Report(r *vaultsync.MountReport, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := r.MountID
	m := b.mounts[id]
	if m == nil {
		return
	}
	m.attempted = true
	for _, took := range r.WriteTimes {
		observe(&m.writes, requestBuckets, took)
	}
	b.settle()
	log := b.log.With("mount", id.String())
	plan, done := cmp.Or(r.Last, r.Plan), r.Done // the first one knows nothing of what changed while it was tried again
	if plan != nil {
		b.planned(id, m, plan, at, log)
		done = done || r.Err == nil
		m.keys, m.partial, m.settings = KeysOf(plan, done), len(plan.Failed) > 0, 0
		if !done {
			m.settings = len(plan.Settings)
		}
	}
	if m.synced = r.InSync(); m.synced {
		m.inSync = at
	}
	if r.Err != nil {
		b.fail(&m.failure, errorID{mount: id}, r.Err, at, log, slog.LevelError, "mount not in sync; retrying")
		return
	}
	if m.failure.kind != "" {
		log.Info("mount synced again", "after", at.Sub(m.failure.since).Round(time.Second).String())
		m.failure.end()
	}
	if r.Written > 0 {
		m.forbidden = ""
	}
	m.holds(plan)
	log.Debug("mount synced", "written", r.Written, "conflicts", r.Conflicts, "in_sync", r.InSync())
}

// planned tells of what a plan warns of and could not read, unless the source told already.
func (b *Board) planned(id vaultsync.MountID, m *mountState, p *plan.Plan, at time.Time, log *slog.Logger) {
	told := make(map[string]bool, len(m.warned)) // a remote may be worth very many remarks
	for _, w := range m.warned {
		told[w] = true
	}
	logSome(log, "remark on the mount", "warning", slices.DeleteFunc(slices.Clone(p.Warnings), func(w string) bool { return told[w] }))
	m.warned = p.Warnings
	old := m.failed
	m.failed = map[pem.Owner]failure{}
	for _, f := range p.Failed {
		source := f.Owner
		if s := b.sources[source]; s != nil && s.failure.kind != "" {
			continue
		}
		if errors.Is(f.Err, jwks.ErrPending) { // no failure yet: the source tells what becomes of it
			continue
		}
		state := old[source]
		message := "keys kept"
		if errors.Is(f.Err, plan.ErrNoRoom) {
			message = "keys wait for room"
		}
		b.fail(&state, errorID{source: source, mount: id}, f.AsError(), at,
			log.With("cluster", source.Cluster, "region", source.Region, "kept", f.Kept), slog.LevelWarn, message)
		m.failed[source] = state
	}
	for source := range old {
		if _, still := m.failed[source]; !still && !slices.ContainsFunc(p.Failed, func(f plan.Failure) bool {
			return source == f.Owner
		}) {
			log.Info("cluster in sync again", "cluster", source.Cluster, "region", source.Region)
		}
	}
}

// holds notes what a mount trusts once a plan was carried out.
func (m *mountState) holds(p *plan.Plan) {
	m.trusted, m.read, m.foreign = map[pem.Fingerprint]pem.Owner{}, true, len(p.Foreign)
	m.twice = len(p.UnderTwoNames)
	for _, k := range slices.Concat(p.Claimed, p.Keep, p.Adopt, p.Add) {
		m.trusted[k.Fingerprint] = k.Owner
	}
}

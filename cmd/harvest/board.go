package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// board holds the last outcome of each source, mount and login. From it come the log, in
// which a failure stands once and not at each try, the metrics, and readiness. Its methods
// may be called from several goroutines at once. It grows with the configuration, never
// with time.
type board struct {
	log  *slog.Logger
	hint func(error) string // the way out of an error; "" for none

	mu      sync.Mutex
	kinds   map[string]string // what each cluster is read from
	sources map[sourceID]*sourceState
	mounts  map[mountID]*mountState
	logins  map[string]failure // by Vault; those that failed last
	errors  map[errorID]float64
	settled chan struct{}
}

// sourceID is a cluster and a region of it.
type sourceID struct{ cluster, region string }

// mountID is a mount as reports have it.
type mountID struct{ vault, namespace, path string }

func (id mountID) String() string { return vaultsync.MountName(id.vault, id.namespace, id.path) }

// errorID is what errors are counted by. A source's error has no mount, and the other way
// round; a mount's error about a cluster has both.
type errorID struct {
	kind   string
	source sourceID
	mount  mountID
}

// failure is an error as the log tells of it: once for each kind, since the words change
// with each try.
type failure struct {
	kind  string // "": none
	since time.Time
	last  lastError // stays when it is over
}

func (f *failure) end() { *f = failure{last: f.last} }

type sourceState struct {
	failure failure
	good    time.Time // when it was last known to be read
	arrived map[pem.Fingerprint]time.Time
	skipped map[jwks.Reason]int
	fetches *histogram // nil: none
}

type mountState struct {
	expected
	attempted bool
	failure   failure
	failed    map[sourceID]failure // beside what the source itself reports
	inSync    time.Time
	trusted   map[pem.Fingerprint]sourceID // foreign ones aside
	foreign   int
	read      bool // trusted and foreign are known
	warned    []string
	keys      shownKeys
	partial   bool   // some cluster's keys could not be learned
	synced    bool   // the last sync left it equal to what all its clusters publish
	forbidden string // why it can't be written, as Vault said when the watch began
	drift     float64
	conflicts float64
	writes    *histogram              // nil: none
	trust     map[sourceID]*histogram // from a key's arrival here until Vault trusted it
}

func newBoard(log *slog.Logger, hint func(error) string) *board {
	return &board{
		log: log, hint: hint, settled: make(chan struct{}),
		sources: map[sourceID]*sourceState{}, mounts: map[mountID]*mountState{},
		logins: map[string]failure{}, errors: map[errorID]float64{},
	}
}

// expected is a mount of the configuration: the clusters that it trusts, and the login by
// which it is reached.
type expected struct {
	clusters []string
	login    string
}

// expect says which mounts there are. What isn't among them, nor belongs to one, is
// forgotten.
func (b *board) expect(mounts map[mountID]expected) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, m := range mounts {
		if b.mounts[id] == nil {
			b.mounts[id] = &mountState{}
		}
		b.mounts[id].expected = m
	}
	b.forget(mounts)
	b.settle()
}

// forget drops what belongs to no mount of these; b.mu must be held.
func (b *board) forget(mounts map[mountID]expected) {
	clusters, logins := map[string]bool{}, map[string]bool{}
	for _, m := range mounts {
		logins[m.login] = true
		for _, name := range m.clusters {
			clusters[name] = true
		}
	}
	gone := func(id mountID) bool { _, there := mounts[id]; return !there }
	maps.DeleteFunc(b.mounts, func(id mountID, _ *mountState) bool { return gone(id) })
	for _, m := range b.mounts {
		maps.DeleteFunc(m.trust, func(id sourceID, _ *histogram) bool { return !slices.Contains(m.clusters, id.cluster) })
	}
	maps.DeleteFunc(b.sources, func(id sourceID, _ *sourceState) bool { return !clusters[id.cluster] })
	maps.DeleteFunc(b.logins, func(name string, _ failure) bool { return !logins[name] })
	maps.DeleteFunc(b.errors, func(id errorID, _ float64) bool {
		return id.mount.path != "" && gone(id.mount) || id.mount.path == "" && id.mount.vault != "" && !logins[id.mount.vault] ||
			id.source.cluster != "" && !clusters[id.source.cluster]
	})
}

// settle notices when each mount had its first sync; b.mu must be held.
func (b *board) settle() {
	for _, m := range b.mounts {
		if !m.attempted {
			return
		}
	}
	select {
	case <-b.settled:
	default:
		close(b.settled)
	}
}

// result takes in what a source gave at a time.
func (b *board) result(r jwks.Result, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := sourceID{r.Cluster, r.Region}
	s := b.sources[id]
	if s == nil {
		s = &sourceState{}
		b.sources[id] = s
	}
	log := b.log.With("cluster", id.cluster, "region", id.region)
	if r.Err != nil {
		if errors.Is(r.Err, jwks.ErrRegionGone) {
			// Regions come and go as a remote says: what is gone is told, and forgotten.
			log.Warn("region is gone; its trusted keys stay")
			delete(b.sources, id)
			maps.DeleteFunc(b.errors, func(e errorID, _ float64) bool { return e.source == id })
			return
		}
		b.fail(&s.failure, errorID{source: id}, r.Err, at, log, slog.LevelWarn, "cluster not read; its trusted keys stay, and it is asked again")
		return
	}
	again := s.failure.kind != ""
	s.failure.end()
	s.good = at
	s.answered(r)
	if r.Set == nil || len(r.Set.Keys) == 0 { // the list of a federation's regions
		if again {
			log.Info("cluster's regions read again")
		}
		return
	}
	old := s.arrived
	s.arrived = map[pem.Fingerprint]time.Time{}
	for _, k := range r.Set.Keys {
		f, err := pem.FingerprintOf(k.Public)
		if err != nil {
			continue
		}
		s.arrived[f] = at
		if since, known := old[f]; known {
			s.arrived[f] = since
		}
	}
	s.skipped = map[jwks.Reason]int{}
	for _, skipped := range r.Set.Skipped {
		s.skipped[skipped.Reason]++
	}
	message := "keys published"
	if again {
		message = "cluster read again"
	}
	log.Info(message, "keys", len(r.Set.Keys), "skipped", len(r.Set.Skipped), "new", len(s.arrived)-common(old, s.arrived), "index", r.Set.Index)
	var skipped []string
	for _, k := range r.Set.Skipped {
		skipped = append(skipped, k.Error())
	}
	logSome(log, "key not taken", "error", skipped)
	logSome(log, "remark on the key set", "warning", r.Set.Warnings)
}

// unchanged takes in that a source gave what it gave before.
func (b *board) unchanged(r jwks.Result, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.sources[sourceID{r.Cluster, r.Region}]; s != nil && s.failure.kind == "" {
		s.good = at
		s.answered(r)
	}
}

// answered counts the time that an answer took, if it is known. An error's isn't counted:
// one that stays is told of once, however often the source is asked.
func (s *sourceState) answered(r jwks.Result) {
	if r.Took > 0 {
		observe(&s.fetches, requestBuckets, r.Took)
	}
}

func common(a, b map[pem.Fingerprint]time.Time) int {
	n := 0
	for f := range a {
		if _, both := b[f]; both {
			n++
		}
	}
	return n
}

// event takes in what happened to a mount at a time.
func (b *board) event(id mountID, e vaultsync.Event, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.mounts[id]
	if m == nil {
		return
	}
	log := b.log.With("mount", id.String())
	owner := sourceID{e.Key.Cluster, e.Key.Region}
	switch e.Kind {
	case vaultsync.EventAdded, vaultsync.EventAdopted, vaultsync.EventRemoved:
		log.Info("key "+string(e.Kind), "cluster", owner.cluster, "region", owner.region, "kid", printable(e.Key.KeyID),
			"alg", e.Key.Algorithm, "sha256", e.Key.Fingerprint.String(), "reason", printable(e.Key.Reason))
	case vaultsync.EventConflict:
		m.conflicts++
		log.Warn("another writer undid a write; it is done again", "error", printable(e.Err.Error()))
		return
	case vaultsync.EventUnwritable:
		m.forbidden = shownError(e.Err)
		b.errors[errorID{kind: kindOf(e.Err), mount: id}]++
		log.Error("keys can't be written; watching all the same", "kind", kindOf(e.Err), "error", printable(mountCause(e.Err).Error()))
		return
	case vaultsync.EventFailed, vaultsync.EventError:
		return // the report has them too
	}
	m.keys.update(e)
	_, known := m.trusted[e.Key.Fingerprint]
	switch e.Kind {
	case vaultsync.EventAdded:
		if known {
			m.drift++
		} else if s := b.sources[owner]; s != nil {
			if since, ok := s.arrived[e.Key.Fingerprint]; ok {
				m.trustedAfter(owner, max(at.Sub(since), 0))
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

func (m *mountState) trustedAfter(owner sourceID, d time.Duration) {
	times := m.trust[owner]
	observe(&times, trustBuckets, d)
	if m.trust == nil {
		m.trust = map[sourceID]*histogram{}
	}
	m.trust[owner] = times
}

func (m *mountState) trusts(f pem.Fingerprint, owner sourceID) {
	if m.trusted == nil {
		m.trusted = map[pem.Fingerprint]sourceID{}
	}
	m.trusted[f] = owner
}

// report takes in what became of a sync at a time.
func (b *board) report(r *vaultsync.MountReport, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := mountID{r.Vault, r.Namespace, r.Path}
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
	plan, done := r.Last() // the first one knows nothing of what changed while it was tried again
	if plan != nil {
		b.planned(id, m, plan, at, log)
		m.keys, m.partial = shownOf(plan, done || r.Err == nil), len(plan.Failed) > 0
	}
	if m.synced = r.InSync(); m.synced {
		m.inSync = at
	}
	if r.Err != nil {
		b.fail(&m.failure, errorID{mount: id}, r.Err, at, log, slog.LevelError, "mount not in sync; trying on")
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
func (b *board) planned(id mountID, m *mountState, p *vaultsync.Plan, at time.Time, log *slog.Logger) {
	told := make(map[string]bool, len(m.warned)) // a remote may be worth very many remarks
	for _, w := range m.warned {
		told[w] = true
	}
	logSome(log, "remark on the mount", "warning", slices.DeleteFunc(slices.Clone(p.Warnings), func(w string) bool { return told[w] }))
	m.warned = p.Warnings
	old := m.failed
	m.failed = map[sourceID]failure{}
	for _, f := range p.Failed {
		source := sourceID{f.Cluster, f.Region}
		if s := b.sources[source]; s != nil && s.failure.kind != "" {
			continue
		}
		state := old[source]
		b.fail(&state, errorID{source: source, mount: id}, f.AsError(), at,
			log.With("cluster", source.cluster, "region", source.region, "kept", f.Kept), slog.LevelWarn, "keys kept")
		m.failed[source] = state
	}
	for source := range old {
		if _, still := m.failed[source]; !still && !slices.ContainsFunc(p.Failed, func(f vaultsync.Failure) bool {
			return source == sourceID{f.Cluster, f.Region}
		}) {
			log.Info("cluster in sync again", "cluster", source.cluster, "region", source.region)
		}
	}
}

// holds notes what a mount trusts once a plan was carried out.
func (m *mountState) holds(p *vaultsync.Plan) {
	m.trusted, m.read, m.foreign = map[pem.Fingerprint]sourceID{}, true, len(p.Foreign)
	for _, k := range slices.Concat(p.Claimed, p.Keep, p.Adopt, p.Add) {
		m.trusted[k.Fingerprint] = sourceID{k.Cluster, k.Region}
	}
}

// login takes in whether a Vault gave a token, or still honours it.
func (b *board) login(vault string, err error, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	log := b.log.With("vault", vault)
	state := b.logins[vault]
	if err != nil {
		id := errorID{kind: kindLogin, mount: mountID{vault: vault}}
		b.fail(&state, id, err, at, log, slog.LevelError, "no token for Vault; trying on")
		b.logins[vault] = state
		return
	}
	if state.kind != "" {
		log.Info("logged in to Vault again", "after", at.Sub(state.since).Round(time.Second).String())
	}
	delete(b.logins, vault)
}

// fail counts an error, and logs it where it is news; b.mu must be held.
func (b *board) fail(f *failure, id errorID, err error, at time.Time, log *slog.Logger, level slog.Level, message string) {
	if id.kind == "" {
		id.kind = kindOf(err)
	}
	b.errors[id]++
	news := f.kind != id.kind
	if f.kind == "" {
		f.since = at
	}
	f.kind = id.kind
	f.last = lastError{shownError(err), at}
	if !news {
		level = slog.LevelDebug
	}
	attributes := []any{"kind", id.kind, "error", printable(mountCause(cause(err)).Error())} // the line names cluster and mount
	if hint := b.hint(err); hint != "" && news {
		var lines []string
		for line := range strings.SplitSeq(hint, "\n") {
			lines = append(lines, strings.TrimSpace(printable(line)))
		}
		attributes = append(attributes, "hint", strings.Join(lines, " "))
	}
	log.Log(context.Background(), level, message, attributes...)
}

// unready returns what stands in the way of readiness: each mount that wasn't in sync
// within the bound. It names kinds of failures and no errors: who may ask isn't known.
func (b *board) unready(now time.Time, bound time.Duration) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var reasons []string
	for id, m := range b.mounts {
		if age := now.Sub(m.inSync); !m.inSync.IsZero() && age <= bound {
			continue
		}
		since := "not yet in sync"
		if !m.inSync.IsZero() {
			since = "last in sync " + inPresentTime(m.inSync, now).UTC().Format(time.RFC3339)
		}
		var why []string
		if m.failure.kind != "" {
			why = append(why, m.failure.kind)
		}
		if f := b.logins[m.login]; f.kind != "" {
			why = append(why, f.kind)
		}
		for source, f := range m.failed {
			why = append(why, fmt.Sprintf("%s: %s", pem.Owner{Cluster: source.cluster, Region: source.region}, f.kind))
		}
		for source, s := range b.sources {
			if s.failure.kind != "" && slices.Contains(m.clusters, source.cluster) {
				why = append(why, fmt.Sprintf("%s: %s", pem.Owner{Cluster: source.cluster, Region: source.region}, s.failure.kind))
			}
		}
		slices.Sort(why)
		reason := fmt.Sprintf("mount %s: %s", id, since)
		if len(why) > 0 {
			reason += " (" + strings.Join(why, ", ") + ")"
		}
		reasons = append(reasons, printable(reason))
	}
	slices.Sort(reasons)
	return reasons
}

package plan

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
)

// fit leaves out what there is no room for: more than Rules.MaxKeys keys of a cluster, and
// what would make it larger than Rules.MaxSize. The rules:
//
//  1. What a cluster publishes and the mount trusts already never goes for room. Nor does what
//     stays for a cluster that can't be read, for another harvester, or because it is foreign.
//  2. Removals need no room: they are planned whatever else has none.
//  3. Keys that stay for their retention period alone go first, the longest missing first.
//  4. Additions wait next. Where the whole is too large, those of the cluster that takes
//     most of its bytes wait, then those of the next, until the rest fits. Then as many of them
//     as fit go in, those of the smallest of these clusters first.
//  5. Within a cluster its regions take turns, that with the fewest keys on the mount first. The
//     keys of a region go in as it publishes them.
//  6. A longer annotation is an addition too, the last of its cluster: the key stays trusted
//     under the annotation that it has.
//  7. A key that several clusters publish waits only where it would for each of them. Else one
//     cluster could hold up another's keys by publishing them.
//
// Nothing that waits fits into the room that is left, so that the plan leaves nothing to do.
func (p *planner) fit() {
	if p.roomy() {
		return
	}
	b := p.newBudget()
	b.limitKeys()
	b.limitBytes()
	b.leaveOut()
}

// roomy reports whether there is room for all without looking closer, as on most mounts.
func (p *planner) roomy() bool {
	const escaped = 6 // bytes of JSON that a byte takes at most
	size := p.rules.Size
	for _, e := range p.next {
		size += escaped * len(e.raw)
	}
	return p.rules.fits(size) && len(p.next) <= p.rules.maxKeys()
}

// budget is the room there is, and who takes it.
type budget struct {
	*planner
	size   int // of the whole as JSON, with all that isn't left out
	shares map[string]*share
	order  []*share          // by name
	counts map[*entry]*share // for which cluster's number of keys an element counts
	waits  map[*entry]*share // for want of whose room an addition waits
	has    map[pem.Owner]int // the keys of a region that aren't additions
}

// share is what a cluster has of a mount.
type share struct {
	cluster   string
	published int      // keys that it publishes, or that stay for it
	keys      int      // that count for it, all but those that are left out
	bytes     int      // that its keys and its names take
	held      []*entry // for their retention period, the longest missing first
	additions []*entry // that count for it, in the order of rule 5
	wants     []*entry // of its bytes: additions in that order, then longer annotations
}

func (p *planner) newBudget() *budget {
	b := &budget{
		planner: p, size: p.rules.Size, shares: map[string]*share{},
		counts: map[*entry]*share{}, waits: map[*entry]*share{}, has: map[pem.Owner]int{},
	}
	for _, f := range p.offerOrder {
		for _, cluster := range p.offers[f].clusters() {
			b.share(cluster).published++
		}
	}
	for _, e := range p.next {
		e.size = jsonSize(e.raw)
		b.size += e.size
		if !e.addition() && !e.lapsing {
			b.has[e.key.Owner]++
		}
		s := b.share(e.key.Cluster)
		s.bytes += e.size
		for _, o := range e.also { // a name takes its own cluster's room
			n := len(o.String())
			s.bytes -= n
			b.share(o.Cluster).bytes += n
		}
		switch {
		case e.retained:
			s.held = append(s.held, e)
		case b.others(e):
		case p.offers[e.key.Fingerprint] == nil && !e.lapsing:
			s.published++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.shares)) {
		b.order = append(b.order, b.shares[name])
	}
	b.assign()
	return b
}

func (b *budget) share(cluster string) *share {
	if b.shares[cluster] == nil {
		b.shares[cluster] = &share{cluster: cluster}
	}
	return b.shares[cluster]
}

// assign decides for which cluster each element counts, and which cluster's bytes it is to take.
func (b *budget) assign() {
	byKeys := func(a, c *share) int {
		return cmp.Or(cmp.Compare(a.published, c.published), cmp.Compare(a.cluster, c.cluster))
	}
	byBytes := func(a, c *share) int { return cmp.Or(cmp.Compare(a.bytes, c.bytes), cmp.Compare(a.cluster, c.cluster)) }
	var longer []*entry
	for _, e := range b.next {
		of := b.sharesOf(e)
		b.counts[e] = slices.MinFunc(of, byKeys)
		if !e.lapsing && !b.others(e) {
			b.counts[e].keys++
		}
		switch {
		case e.addition():
			s := slices.MinFunc(of, byBytes)
			s.wants = append(s.wants, e)
			b.counts[e].additions = append(b.counts[e].additions, e)
		case e.growth() > 0:
			longer = append(longer, e)
		}
	}
	for _, s := range b.order {
		slices.SortFunc(s.held, longestMissing)
		s.additions, s.wants = b.inTurn(s.additions), b.inTurn(s.wants)
	}
	slices.SortFunc(longer, byFingerprint)
	for _, e := range longer {
		s := b.share(e.key.Cluster)
		for _, o := range e.also {
			if other := b.share(o.Cluster); byBytes(s, other) < 0 {
				s = other
			}
		}
		s.wants = append(s.wants, e)
	}
}

// others reports whether an element is foreign or another harvester's: it counts for nobody here.
func (b *budget) others(e *entry) bool {
	return e.returned || e.list == &b.plan.Foreign || e.list == &b.plan.Claimed
}

// sharesOf returns the shares of those who publish an element's key, else of its owner.
func (b *budget) sharesOf(e *entry) []*share {
	o := b.offers[e.key.Fingerprint]
	if o == nil || b.others(e) {
		return []*share{b.share(e.key.Cluster)}
	}
	var of []*share
	for _, cluster := range o.clusters() {
		of = append(of, b.share(cluster))
	}
	return of
}

// inTurn returns additions in the order of rule 5.
func (b *budget) inTurn(additions []*entry) []*entry {
	if len(additions) < 2 {
		return additions
	}
	before := map[pem.Owner]int{} // the additions of a region before one
	turn := map[*entry]int{}
	for _, e := range additions {
		turn[e] = b.has[e.key.Owner] + before[e.key.Owner]
		before[e.key.Owner]++
	}
	slices.SortStableFunc(additions, func(x, y *entry) int {
		return cmp.Or(cmp.Compare(turn[x], turn[y]), b.rank.compare(x.key.Owner, y.key.Owner))
	})
	return additions
}

func longestMissing(a, b *entry) int {
	return cmp.Or(a.missing.Compare(b.missing), byFingerprint(a, b))
}

func byFingerprint(a, b *entry) int {
	return slices.Compare(a.key.Fingerprint[:], b.key.Fingerprint[:])
}

// limitKeys keeps each cluster to Rules.MaxKeys.
func (b *budget) limitKeys() {
	most := b.rules.maxKeys()
	for _, s := range b.order {
		for _, e := range s.held {
			if s.keys > most {
				b.leave(e, s)
			}
		}
		for _, e := range slices.Backward(s.additions) {
			if s.keys > most {
				b.leave(e, s)
			}
		}
	}
}

// limitBytes keeps the whole to Rules.MaxSize.
func (b *budget) limitBytes() {
	var held []*entry
	for _, s := range b.order {
		held = append(held, s.held...)
	}
	slices.SortFunc(held, longestMissing)
	for _, e := range held {
		if !b.rules.fits(b.size) && !e.out {
			b.leave(e, b.counts[e])
		}
	}
	bySize := slices.Clone(b.order)
	slices.SortStableFunc(bySize, func(x, y *share) int { return cmp.Compare(y.bytes, x.bytes) })
	var waiting []*share
	for _, s := range bySize {
		if b.rules.fits(b.size) {
			break
		}
		for _, e := range s.wants {
			if !e.out {
				b.leave(e, s)
			}
		}
		waiting = append(waiting, s)
	}
	for _, s := range slices.Backward(waiting) {
		for _, e := range s.wants {
			if !b.rules.fits(b.size + e.growth()) {
				continue
			}
			if e.addition() && b.counts[e].keys >= b.rules.maxKeys() {
				continue
			}
			b.letIn(e)
		}
	}
}

// leave leaves an element out, for want of that cluster's room.
func (b *budget) leave(e *entry, s *share) {
	e.out = true
	b.waits[e] = s
	switch {
	case e.addition(), e.retained:
		b.size -= e.size
		b.counts[e].keys--
	default:
		b.size -= e.growth() // what is there stays
	}
}

// letIn undoes leave, of an addition or a longer annotation.
func (b *budget) letIn(e *entry) {
	e.out = false
	delete(b.waits, e)
	b.size += e.growth()
	if e.addition() {
		b.counts[e].keys++
	}
}

// leaveOut takes what is left out off the next list, and says so.
func (b *budget) leaveOut() {
	if len(b.waits) == 0 {
		return
	}
	waiting := map[*share]int{}
	longer := 0
	var next []*entry
	for _, e := range b.next {
		switch {
		case !e.out:
			next = append(next, e)
		case e.retained:
			delete(b.plan.Retained, e.key.Fingerprint)
			for _, t := range e.was {
				b.remove(t, "no longer published, and there is no room to retain it")
			}
		case e.addition():
			waiting[b.waits[e]]++
			e.key.Reason, e.key.Added = ReasonNoRoom, time.Time{}
			b.plan.Skipped = append(b.plan.Skipped, e.key)
		default:
			longer++
			next = append(next, e.unchanged(b.plan)...)
		}
	}
	b.next = next
	for _, s := range b.order {
		if n := waiting[s]; n > 0 {
			b.crowded = append(b.crowded, b.roomError(s, n))
		}
	}
	if longer > 0 {
		b.warn("there is no room for the annotation of %d trusted %s, which %s as %s", longer,
			text.Form(longer, "key", "keys"), text.Form(longer, "stays", "stay"), text.Form(longer, "it is", "they are"))
	}
}

// unchanged returns what an element takes the place of.
func (e *entry) unchanged(p *Plan) []*entry {
	list := e.list
	if list == &p.Adopt {
		list = &p.Keep
	}
	var all []*entry
	for _, t := range e.was {
		all = append(all, &entry{raw: t.Text, size: jsonSize(t.Text), key: t.Key(e.key.Reason + "; its annotation waits for room"), list: list, was: []Element{t}})
	}
	return all
}

// roomError returns why additions of a cluster wait.
func (b *budget) roomError(s *share, waiting int) *RoomError {
	e := &RoomError{Cluster: s.cluster, Waiting: waiting, Keys: s.keys, MaxSize: b.rules.MaxSize}
	if most := b.rules.maxKeys(); s.keys >= most {
		e.MaxKeys = most
	}
	for _, next := range b.next {
		switch {
		case next.list == &b.plan.Foreign:
			e.Foreign += next.size
		case next.list == &b.plan.Claimed:
			e.Claimed += next.size
		case next.key.Cluster == s.cluster:
			e.Bytes += next.size
		}
	}
	return e
}

// jsonSize returns how many bytes of a JSON list an element takes, with its comma.
func jsonSize(text string) int {
	b, _ := json.Marshal(text) // of a string there is no error
	return len(b) + len(",")
}

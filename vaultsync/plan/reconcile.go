package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/pem"
)

const notPinned = "not pinned"

// reconcile decides on each key that a cluster of this mount publishes or owns.
func (p *planner) reconcile() {
	for _, f := range p.offerOrder {
		switch {
		case len(p.owned[f]) > 0 || len(p.adoptable[f]) > 0:
			p.renew(f)
		case p.newersKey(f), p.sharedKey(f):
		case p.leftOut(p.offers[f]):
			p.leaveOut(p.offers[f])
		default:
			// Also where another harvester's element has the key: it may go any day.
			p.add(p.offers[f])
		}
	}
	for _, f := range p.ownedOrder {
		if p.offers[f] == nil {
			p.renew(f)
		}
	}
}

// newersKey reports whether a newer harvest keeps this key. An element of ours beside its
// would be for it to renew, and for us to make again.
func (p *planner) newersKey(f pem.Fingerprint) bool {
	return slices.ContainsFunc(p.claimedAs[f], func(t Element) bool { return t.Block.Annotation.Newer() })
}

// sharedKey reports whether another harvester's element has this key for the clusters that
// publish it here, too. An element of ours beside it would be merged into the other by who knows
// all of these clusters, and be made again by us, at each sync.
func (p *planner) sharedKey(f pem.Fingerprint) bool {
	return slices.ContainsFunc(p.claimedAs[f], func(t Element) bool {
		named := map[string]bool{}
		for _, o := range t.Block.Annotation.Also {
			named[o.Cluster] = true
		}
		return !slices.ContainsFunc(p.offers[f].owners, func(o pem.Owner) bool { return !named[o.Cluster] })
	})
}

// add trusts a key that isn't trusted yet.
func (p *planner) add(o *offer) {
	a := p.annotation(o.fingerprint, p.ownerFirst(o.fingerprint, slices.Clone(o.owners)), o, pem.Annotation{})
	p.write(&p.plan.Add, o.fingerprint, pem.Block{Public: o.Public, Annotation: a}, nil, "published, not yet trusted")
}

// renew decides on a key that is trusted: for whom it stays, or that it goes.
func (p *planner) renew(f pem.Fingerprint) {
	elements := slices.Concat(p.owned[f], p.adoptable[f])
	owners := p.owners(f)
	if len(owners) == 0 {
		p.retire(f, elements)
		return
	}
	o := p.offers[f]
	if o == nil {
		// It stays for a failed owner's sake, its retention period neither begun
		// nor ended.
		for _, owner := range p.failedOf(owners) {
			p.kept[owner]++
		}
	}
	p.annotate(elements, p.annotation(f, owners, o, merged(elements)), p.keepReason(o, owners), "")
}

// annotate makes one element of several with the same key and that annotation, or keeps the
// only one where it has it.
func (p *planner) annotate(elements []Element, a pem.Annotation, keepReason, adoptReason string) *entry {
	first := elements[0]
	if len(elements) == 1 && !first.Foreign() && sameAnnotation(a, first.Block.Annotation) {
		return p.take(&p.plan.Keep, first, keepReason)
	}
	if adoptReason == "" {
		adoptReason = p.adoptReason(elements, first.Block.Annotation, a)
	}
	b := pem.Block{Public: first.Block.Public, Annotation: a, Comment: first.Block.Comment}
	return p.write(&p.plan.Adopt, first.Fingerprint, b, elements, adoptReason)
}

// owners returns for whom a trusted key stays: those who publish it, and those of its owners
// who could not be asked. A key that must not be trusted is no longer published, whatever they
// would answer. Who owns it keeps it; else the first in the order of the mount's
// clusters does. The others follow by name, so that two harvesters with the same clusters
// in another order write the same.
func (p *planner) owners(f pem.Fingerprint) []pem.Owner {
	var owners []pem.Owner
	if o := p.offers[f]; o != nil {
		owners = slices.Clone(o.owners)
	}
	publish := setOf(owners)
	for _, owner := range p.previousOwners(f) {
		unknown := !p.ours(owner.Cluster) || p.failed[owner] != nil && p.weak[f] == nil
		if unknown && !p.rules.retires(owner) && !publish[owner] {
			owners = append(owners, owner)
		}
	}
	return p.ownerFirst(f, owners)
}

func (p *planner) ownerFirst(f pem.Fingerprint, owners []pem.Owner) []pem.Owner {
	if len(owners) == 0 {
		return nil
	}
	first := slices.MinFunc(owners, p.rank.compare)
	if trusted := p.owned[f]; len(trusted) > 0 {
		all := setOf(owners)
		if i := slices.IndexFunc(trusted, func(t Element) bool { return all[t.Block.Annotation.Owner()] }); i >= 0 {
			first = trusted[i].Block.Annotation.Owner()
		}
	}
	slices.SortFunc(owners, func(a, b pem.Owner) int {
		switch {
		case a == b:
			return 0
		case a == first:
			return -1
		case b == first:
			return 1
		}
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Region, b.Region))
	})
	return owners
}

// previousOwners returns whose a trusted key is, by its annotations, each region under the
// name that it has now.
func (p *planner) previousOwners(f pem.Fingerprint) []pem.Owner {
	var owners []pem.Owner
	seen := map[pem.Owner]bool{}
	for _, t := range p.owned[f] {
		for _, owner := range t.Block.Annotation.Owners() {
			if name, ok := p.renamed[owner]; ok {
				owner = name
			}
			if !seen[owner] {
				seen[owner] = true
				owners = append(owners, owner)
			}
		}
	}
	return owners
}

func setOf[T comparable](list []T) map[T]bool {
	set := make(map[T]bool, len(list))
	for _, e := range list {
		set[e] = true
	}
	return set
}

func (p *planner) failedOf(owners []pem.Owner) []pem.Owner {
	return slices.DeleteFunc(slices.Clone(owners), func(o pem.Owner) bool { return p.failed[o] == nil })
}

// annotation returns the annotation of a key for its owners. What the first owner
// publishes wins over what was known before; the day it was added never changes.
func (p *planner) annotation(f pem.Fingerprint, owners []pem.Owner, o *offer, old pem.Annotation) pem.Annotation {
	owners = p.named(f, writable(owners))
	a := old
	a.Version = pem.Version
	a.Cluster, a.Region, a.Also = owners[0].Cluster, owners[0].Region, owners[1:]
	if o != nil {
		a.Missing = time.Time{}
		if i := slices.Index(o.owners, owners[0]); i >= 0 {
			k := o.as[i]
			a.KeyID, a.Algorithms = k.KeyID, inOrder(k.Algorithms, old.Algorithms)
		}
		if marked := a; p.keepsMark(owners, old) {
			if marked.Missing = old.Missing; sameAnnotation(marked, old) {
				a = marked
			}
		}
	}
	if old.IsZero() {
		a.Added = p.rules.Now.UTC().Truncate(time.Millisecond)
	}
	return a
}

// keepsMark reports whether the beginning of a retention period may stay in the annotation of a key
// that is published again: the answers of a source without an index come and go, and to clear it
// alone isn't worth a write. In the last quarter of the period to clear it is worth one: later on,
// the next answer without the key would remove the key. A watch clears it at once: it may end at
// any time, and the next one goes by what is written.
func (p *planner) keepsMark(owners []pem.Owner, old pem.Annotation) bool {
	return p.rules.History == nil && !old.Missing.IsZero() && p.isLoose(owners) && !old.Missing.After(p.rules.Now.Add(maxSkew)) &&
		p.rules.Now.Before(old.Missing.Add(p.retain(owners)/4*3))
}

// isLoose reports whether the source of one of the owners has no index.
func (p *planner) isLoose(owners []pem.Owner) bool {
	return slices.ContainsFunc(owners, func(o pem.Owner) bool { return p.loose[o] })
}

// retain returns how long a key stays that these owners no longer publish.
func (p *planner) retain(owners []pem.Owner) time.Duration {
	if p.rules.Retain == 0 && p.isLoose(owners) {
		return UnindexedRetain
	}
	return max(p.rules.Retain, 0)
}

// inOrder returns algorithms as an annotation has them: one first, the others sorted. The first
// stays that of old where it still is one of them: a document may list them in any order.
func inOrder(algs, old []string) []string {
	if len(algs) < 2 {
		return algs
	}
	out := slices.Clone(algs)
	if len(old) > 0 && slices.Contains(out, old[0]) {
		out[0], out[slices.Index(out, old[0])] = old[0], out[0]
	}
	slices.Sort(out[1:])
	return out
}

// writable returns the owners so that an annotation can carry them. A region with a blank in its
// name, as harvest gives none, can only stand first. It is a retired one's: of several, one is
// enough to tell that the key was theirs.
func writable(owners []pem.Owner) []pem.Owner {
	odd := func(o pem.Owner) bool { return strings.Contains(o.Region, " ") }
	at := slices.IndexFunc(owners, odd)
	if at < 0 {
		return owners
	}
	return append([]pem.Owner{owners[at]}, slices.DeleteFunc(slices.Clone(owners), odd)...)
}

// retire deals with a key that nobody publishes any more and nobody could.
func (p *planner) retire(f pem.Fingerprint, elements []Element) {
	old := merged(elements)
	began := old.Missing                       // the retention period
	if began.After(p.rules.Now.Add(maxSkew)) { // a wrong clock's, or somebody's who wants it to stay
		began = time.Time{}
	}
	var struck, left []pem.Owner // owners: retired ones, and those who no longer publish it
	for _, owner := range p.previousOwners(f) {
		if p.rules.retires(owner) {
			struck = append(struck, owner)
		} else {
			left = append(left, owner)
		}
	}
	pinned := slices.DeleteFunc(slices.Clone(left), func(o pem.Owner) bool { return !p.rules.pins(o.Cluster, f) })
	unpinned := len(left) > 0 && len(pinned) == 0
	// Not for an owner whose pins rule the key out: it would be all that is trusted for that one,
	// and what it publishes a turnover.
	left = p.ownerFirst(f, pinned)
	keep := func(reason string) *entry {
		return p.annotate(elements, p.annotation(f, p.ownerFirst(f, p.previousOwners(f)), nil, old), reason, reason)
	}
	newcomer, unread := p.newcomer, p.unread
	period := p.retain(left)
	if p.rules.History != nil && p.isLoose(left) && !p.rules.Now.Before(began.Add(2*period)) && !p.seenMissing(f) {
		// It ended long ago and nobody looked: the key may have been published since. A watch
		// that hasn't seen the period run begins it again. A sync doesn't: run once a day, it would
		// begin it again each day, and never remove the key.
		began = time.Time{}
	}
	switch {
	case p.rules.Partial: // who hasn't answered yet may publish it
		keep("kept until all clusters have answered").lapsing = true
	case unpinned:
		p.removeAll(elements, notPinned)
	case p.weak[f] == nil && slices.ContainsFunc(left, func(o pem.Owner) bool { return p.addedSince(f, old, o) }):
		p.plan.Unconfirmed = true
		keep("added since its cluster was asked")
	case p.weak[f] == nil && len(struck) > 0 && unread:
		keep(fmt.Sprintf("%s is retired; kept while %s can't be read, whose key it may be", struck[0], newcomer))
	case p.weak[f] == nil && mayBeUnnamed(old.Also) && unread:
		keep(fmt.Sprintf("kept while %s can't be read, whose key it may be: the annotation has no room for all owners", newcomer))
	case p.returns(old):
		p.giveBack(f, elements, old, began)
	case len(left) == 0:
		p.removeAll(elements, fmt.Sprintf("%s is retired", struck[0]))
	case period == 0, p.weak[f] != nil: // anyone may have its private half: it is not retained
		p.removeAll(elements, p.whyGone(f))
	case !began.IsZero() && !p.rules.Now.Before(began.Add(period)) && !p.retainedLess(f, period):
		p.removeAll(elements, "no longer published since "+began.Format(time.RFC3339))
	default:
		a := p.annotation(f, left, nil, old)
		p.plan.retain(f, began.IsZero())
		if a.Missing = began; began.IsZero() {
			a.Missing = p.rules.Now.UTC().Truncate(time.Millisecond)
		}
		p.keepRetained(elements, a, left, a.Missing.Add(period))
	}
}

// keepRetained keeps a key until the end of its retention period.
func (p *planner) keepRetained(elements []Element, a pem.Annotation, left []pem.Owner, until time.Time) {
	reason := "no longer published; retained until " + until.UTC().Format(time.RFC3339)
	if p.isLoose(left) {
		p.remarks = append(p.remarks, fmt.Sprintf("%s: key %q (%s) is missing from its answers; it stays trusted until %s, or until it is denied",
			left[0], a.KeyID, elements[0].Fingerprint.Short(), until.UTC().Format(time.RFC3339)))
		reason += ", or until it is denied"
	}
	p.annotate(elements, a, reason, reason).retained = true
}

// whyGone says why a key that its owners don't publish goes.
func (p *planner) whyGone(f pem.Fingerprint) string {
	if refusal := p.weak[f]; refusal != nil {
		return fmt.Sprintf("must not be trusted: %s: %s", refusal.Reason, refusal.Detail)
	}
	return "no longer published"
}

// addedSince reports whether a key came to be trusted after its owner was asked, by a
// harvester that knows more than this plan. A day in the future is a wrong clock's, and no
// reason to keep a key until then. Where the clocks of two harvesters differ, what a watch
// has seen with its own eyes holds.
func (p *planner) addedSince(f pem.Fingerprint, a pem.Annotation, owner pem.Owner) bool {
	asked := p.asked[owner]
	if asked.IsZero() {
		return false
	}
	byDay := !a.Added.Before(asked.Truncate(time.Millisecond)) && !a.Added.After(p.rules.Now.Add(maxSkew))
	return byDay || p.rules.History != nil && p.rules.History.NewerThan(f, asked)
}

// retainedLess reports whether a key is known to have been retained for less than it should be.
func (p *planner) retainedLess(f pem.Fingerprint, period time.Duration) bool {
	if p.rules.History == nil {
		return false
	}
	ran, seen := p.rules.History.Missing(f)
	return seen && ran < period
}

// seenMissing reports whether this process has seen a key's retention period run all the time.
func (p *planner) seenMissing(f pem.Fingerprint) bool {
	_, seen := p.rules.History.Missing(f)
	return seen
}

// maxSkew is how far the clock of another harvester may run ahead of this one.
const maxSkew = time.Minute

func (p *planner) removeAll(elements []Element, reason string) {
	for _, t := range elements {
		p.remove(t, reason)
	}
}

func (p *planner) keepReason(o *offer, owners []pem.Owner) string {
	if o != nil {
		return ReasonPublished
	}
	if failed := p.failedOf(owners); len(failed) > 0 {
		if errors.Is(p.failed[failed[0]], ErrTurnover) {
			return fmt.Sprintf("kept: the turnover of %s is refused", failed[0])
		}
		return fmt.Sprintf("kept: %s could not be read", failed[0])
	}
	return fmt.Sprintf("kept for %s, another harvester's", owners[0])
}

func (p *planner) adoptReason(elements []Element, old, a pem.Annotation) string {
	switch {
	case elements[0].Foreign():
		return "pasted by hand, to be annotated"
	case len(elements) > 1:
		return "listed more than once; once is enough"
	case old.Owner() != a.Owner():
		return fmt.Sprintf("moves from %s to %s", old.Owner(), a.Owner())
	case !slices.Equal(old.Also, a.Also):
		var also []string
		for _, owner := range a.Also {
			also = append(also, owner.String())
		}
		if len(also) == 0 {
			return "no longer published by another cluster"
		}
		return "published by " + strings.Join(also, ", ") + " too"
	case !old.Missing.IsZero():
		return "published again"
	default:
		return "kid or algorithm corrected"
	}
}

// merged returns one annotation for several elements with one key: that of the first, with
// the latest end of a retention period. The first is the one that was added first. The key is
// adopted if one of them is, or is foreign.
func merged(elements []Element) pem.Annotation {
	a := elements[0].Block.Annotation
	a.Adopted = a.Adopted || elements[0].Foreign()
	for _, t := range elements[1:] {
		b := t.Block.Annotation
		a.Adopted = a.Adopted || b.Adopted || t.Foreign()
		if !b.IsZero() && (b.Missing.IsZero() || b.Missing.After(a.Missing)) && !a.Missing.IsZero() {
			a.Missing = b.Missing
		}
	}
	return a
}

// sameAnnotation reports whether two annotations differ in nothing that is worth a write.
func sameAnnotation(a, b pem.Annotation) bool {
	return a.Owner() == b.Owner() && slices.Equal(a.Also, b.Also) && a.KeyID == b.KeyID && a.Adopted == b.Adopted &&
		slices.Equal(a.Algorithms, b.Algorithms) && a.Missing.Equal(b.Missing)
}

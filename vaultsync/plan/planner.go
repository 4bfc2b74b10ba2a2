package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// planner makes one Plan. Its methods run in the order in which New calls them.
type planner struct {
	want  Desired
	rules ruleIndex
	plan  *Plan

	// What was read, by owner; each owner is in one of the two.
	sets    map[pem.Owner][]publishedKey
	failed  map[pem.Owner]error
	asked   map[pem.Owner]time.Time
	loose   map[pem.Owner]bool // whose source has no index
	read    []pem.Owner        // the owners of sets, in the order in which they own
	rank    ranking
	renamed map[pem.Owner]pem.Owner // regions that are published under another name now

	// What is trusted, by fingerprint and in the order of the list.
	trusted                        []Element
	owned, adoptable               map[pem.Fingerprint][]Element
	trustedFor                     map[pem.Owner][]pem.Fingerprint
	trusts                         map[trustedKey]bool           // the same, to look up
	claimedAs                      map[pem.Fingerprint][]Element // claimed, but for what is odd
	claimed, foreign, placeholders []Element
	ownedOrder                     []pem.Fingerprint
	weak                           map[pem.Fingerprint]*jwks.KeyError // owned, and not to be trusted

	// An owner that could not be read and that the mount has no key of, if unread: a key that seems
	// to be nobody's may be its. Then such a key isn't removed.
	newcomer pem.Owner
	unread   bool

	// What may be trusted, in the order in which it was published.
	offers     map[pem.Fingerprint]*offer
	offerOrder []pem.Fingerprint

	kept map[pem.Owner]int // keys that stay for a failed owner's sake
	next []*entry

	unwritable error // why an element can't be written

	crowded []*RoomError // clusters whose keys don't all fit

	// What there was no time to judge: a published key waits, but for one of owns, which is trusted
	// for this configuration's clusters already and stays.
	unjudged map[pem.Fingerprint]bool
	hasty    map[string]*RoomError // whose they are
	owns     map[pem.Fingerprint]bool

	unnamed map[pem.Fingerprint][]pem.Owner // owners that annotations have no room for

	remarks []string // on the sets; they follow the plan's own warnings
}

// trustedKey is one key that is trusted for an owner.
type trustedKey struct {
	pem.Owner
	key pem.Fingerprint
}

type publishedKey struct {
	jwks.Key
	fingerprint pem.Fingerprint
}

// offer is a key that one or more clusters publish and that may be trusted.
type offer struct {
	publishedKey // as the first of the owners publishes it
	owners       []pem.Owner
	as           []*jwks.Key // as each of them does, in their order
}

func newPlanner(elements []Element, want Desired, rules Rules) *planner {
	rank := rankingOf(want.Clusters)
	p := &planner{
		want: want, rules: rules.index(),
		plan:       &Plan{Made: rules.Now, Clusters: want.Clusters, Base: digest(elements)},
		sets:       map[pem.Owner][]publishedKey{},
		failed:     map[pem.Owner]error{},
		asked:      map[pem.Owner]time.Time{},
		loose:      map[pem.Owner]bool{},
		renamed:    map[pem.Owner]pem.Owner{},
		rank:       rank,
		trusted:    elements,
		owned:      map[pem.Fingerprint][]Element{},
		weak:       map[pem.Fingerprint]*jwks.KeyError{},
		adoptable:  map[pem.Fingerprint][]Element{},
		trustedFor: map[pem.Owner][]pem.Fingerprint{},
		trusts:     map[trustedKey]bool{},
		claimedAs:  map[pem.Fingerprint][]Element{},
		offers:     map[pem.Fingerprint]*offer{},
		kept:       map[pem.Owner]int{},
		unnamed:    map[pem.Fingerprint][]pem.Owner{},
		unjudged:   map[pem.Fingerprint]bool{},
		hasty:      map[string]*RoomError{},
		owns:       map[pem.Fingerprint]bool{},
	}
	for _, t := range elements {
		if p.rules.owns(t, rank) {
			p.owns[t.Fingerprint] = true
		}
	}
	return p
}

func (p *planner) ours(cluster string) bool { return p.rank.has(cluster) }

// clusters returns who publishes a key, each cluster once: the regions of one stand together.
func (o *offer) clusters() []string {
	var names []string
	for _, owner := range o.owners {
		names = append(names, owner.Cluster)
	}
	return slices.Compact(names)
}

// ranking is the desired clusters' order, by name.
type ranking map[string]int

func rankingOf(clusters []string) ranking {
	r := ranking{}
	for i, name := range clusters {
		r[name] = i
	}
	return r
}

func (r ranking) has(cluster string) bool {
	_, ok := r[cluster]
	return ok
}

// compare puts the desired clusters first, in their order, and regions in theirs.
func (r ranking) compare(a, b pem.Owner) int {
	of := func(o pem.Owner) int {
		if i, ok := r[o.Cluster]; ok {
			return i
		}
		return len(r)
	}
	return cmp.Or(cmp.Compare(of(a), of(b)), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Region, b.Region))
}

// readResults sorts what the clusters gave into sets and failures.
func (p *planner) readResults() error {
	for _, r := range p.want.Results {
		owner := pem.Owner{Cluster: r.Cluster, Region: r.Region}
		if !p.ours(r.Cluster) {
			continue
		}
		if p.sets[owner] != nil || p.failed[owner] != nil {
			return fmt.Errorf("cluster %q: two results of region %q", r.Cluster, r.Region)
		}
		p.asked[owner] = r.Asked
		if !rule.IsRegion(r.Region) && r.Region != AllRegions {
			p.failed[owner] = fmt.Errorf("region name %q can't stand in an annotation", r.Region)
			continue
		}
		if p.rules.retires(owner) {
			p.warn("%s is retired on this mount: what it publishes is passed over", owner)
			continue
		}
		switch {
		case r.Err != nil:
			p.failed[owner] = r.Err
		case r.Set == nil || len(r.Set.Keys) == 0:
			p.failed[owner] = jwks.ErrNoKeys
		default:
			p.readSet(owner, r.Set)
		}
	}
	slices.SortFunc(p.read, p.rank.compare)
	return nil
}

// readSet takes in the keys of a set that may be trusted. Each is judged here, no matter who read
// or made the set.
func (p *planner) readSet(owner pem.Owner, set *jwks.Set) {
	var refusals []*jwks.KeyError
	var skipped []Key
	seen := map[pem.Fingerprint]bool{}
	known := p.rules.Verdicts.Of(set)
	waiting := 0
	for i, k := range set.Keys {
		f, refusal, err := known[i].Fingerprint, known[i].Refusal, known[i].Err
		switch {
		case known[i].Unjudged && p.owns[f]: // it stays, until there is time
			p.sets[owner] = append(p.sets[owner], publishedKey{k, f})
		case known[i].Unjudged:
			waiting++
			p.unjudged[f] = true
			skipped = append(skipped, Key{
				Owner: owner, KeyID: k.KeyID, Fingerprint: f, Reason: notJudged,
			})
		case refusal != nil:
			refusals = append(refusals, refusal)
			skipped = append(skipped, Key{
				Owner: owner, KeyID: refusal.KeyID, Fingerprint: f,
				Reason: p.whyRefused(f, refusal),
			})
		case err != nil: // never of a key that was judged
			p.failed[owner] = fmt.Errorf("key %q: %w", k.KeyID, err)
			return
		case !seen[f]: // Parse lists a key once, others may not
			seen[f] = true
			p.sets[owner] = append(p.sets[owner], publishedKey{k, f})
		}
	}
	if waiting > 0 {
		p.waitForJudge(owner.Cluster, waiting)
	}
	if len(p.sets[owner]) == 0 && waiting > 0 {
		p.failed[owner] = p.hasty[owner.Cluster]
		p.plan.Skipped = append(p.plan.Skipped, skipped...)
		return
	}
	if len(p.sets[owner]) == 0 {
		p.failed[owner] = &jwks.NoKeysError{Skipped: slices.Concat(set.Skipped, refusals)}
		return
	}
	p.read = append(p.read, owner)
	p.loose[owner] = set.Unindexed
	for _, skipped := range set.Skipped {
		p.plan.Skipped = append(p.plan.Skipped, Key{
			Owner: owner, KeyID: skipped.KeyID,
			Reason: string(skipped.Reason) + ": " + skipped.Detail,
		})
	}
	p.plan.Skipped = append(p.plan.Skipped, skipped...)
	for _, w := range set.Warnings {
		p.remarks = append(p.remarks, fmt.Sprintf("%s: %s", owner, w))
	}
}

const notJudged = "published; waits to be judged"

// waitForJudge notes that keys of a cluster wait to be judged.
func (p *planner) waitForJudge(cluster string, n int) {
	if p.hasty[cluster] == nil {
		p.hasty[cluster] = &RoomError{Cluster: cluster}
	}
	p.hasty[cluster].Unjudged += n
	p.hasty[cluster].Waiting += n
	p.plan.Unjudged = true
}

func (p *planner) whyRefused(f pem.Fingerprint, refusal *jwks.KeyError) string {
	if p.rules.denies(f) {
		return ReasonDenied
	}
	return string(refusal.Reason) + ": " + refusal.Detail
}

// readTrusted sorts what the mount trusts. A denied key goes, no matter whose it is.
func (p *planner) readTrusted() {
	for _, t := range p.trusted {
		a := t.Block.Annotation
		switch {
		case !t.Opaque && p.rules.denies(t.Fingerprint):
			p.remove(t, ReasonDenied)
		case t.Foreign():
			p.foreign = append(p.foreign, t)
		case a.Newer():
			p.claim(t)
		case a.Placeholder:
			p.placeholders = append(p.placeholders, t)
		case p.rules.owns(t, p.rank):
			if p.owned[t.Fingerprint] == nil {
				p.ownedOrder = append(p.ownedOrder, t.Fingerprint)
				if refusal := p.rules.Verdicts.OfTrusted(t.Fingerprint, t.Block); refusal != nil {
					p.weak[t.Fingerprint] = refusal
				}
			}
			p.owned[t.Fingerprint] = append(p.owned[t.Fingerprint], t)
			if p.weak[t.Fingerprint] != nil {
				continue // it goes, and says nothing about its owners
			}
			for _, owner := range a.Owners() {
				p.noteTrusted(owner, t.Fingerprint)
			}
		default:
			p.claim(t)
		}
	}
	slices.SortFunc(p.placeholders, byText)
	for _, elements := range p.owned {
		slices.SortFunc(elements, func(a, b Element) int { // whatever their order on the list
			return cmp.Or(a.Block.Annotation.Added.Compare(b.Block.Annotation.Added), byText(a, b))
		})
	}
}

func (p *planner) claim(t Element) {
	p.claimed = append(p.claimed, t)
	if p.rules.oddity(t.Block.Annotation) == "" {
		p.claimedAs[t.Fingerprint] = append(p.claimedAs[t.Fingerprint], t)
	}
}

// owns reports whether an element is a key of these clusters, or of retired ones.
func (r Rules) owns(t Element, clusters ranking) bool {
	a := t.Block.Annotation
	return !t.Foreign() && !a.Newer() && !a.Placeholder &&
		(clusters.has(a.Cluster) || r.retires(a.Owner())) && r.oddity(a) == ""
}

// byText orders elements that differ in nothing that matters, whatever their order on the list.
func byText(a, b Element) int { return cmp.Compare(a.Text, b.Text) }

func (p *planner) noteTrusted(owner pem.Owner, f pem.Fingerprint) {
	if t := (trustedKey{owner, f}); !p.trusts[t] {
		p.trusts[t] = true
		p.trustedFor[owner] = append(p.trustedFor[owner], f)
	}
}

// publishes returns the keys of what was read of an owner.
func (p *planner) publishes(owner pem.Owner) map[pem.Fingerprint]bool {
	set := map[pem.Fingerprint]bool{}
	for _, k := range p.sets[owner] {
		set[k.fingerprint] = true
	}
	return set
}

// refuseTurnovers treats a set that shares no key with what is trusted as not read: the
// address may be wrong, the cluster rebuilt, or its name used twice.
func (p *planner) refuseTurnovers() {
	p.read = slices.DeleteFunc(p.read, func(owner pem.Owner) bool {
		trusted := p.trustedFor[owner]
		var published []pem.Fingerprint
		for _, k := range p.sets[owner] {
			published = append(published, k.fingerprint)
			if p.trusts[trustedKey{owner, k.fingerprint}] {
				return false
			}
		}
		if len(trusted) == 0 || p.rules.mayTurnOver(owner) {
			return false
		}
		p.failed[owner] = &TurnoverError{owner, trusted, published, p.sameKeyID(owner)}
		delete(p.sets, owner)
		return true
	})
}

func (p *planner) sameKeyID(owner pem.Owner) string {
	published := map[string]bool{}
	for _, k := range p.sets[owner] {
		published[k.KeyID] = true
	}
	for _, f := range p.trustedFor[owner] {
		if kid := sameKeyID(owner, p.owned[f], published); kid != "" {
			return kid
		}
	}
	return ""
}

// sameKeyID returns a key ID under which a key of the owner is trusted and one is published; ""
// where there is none. The keys differ: it is a turnover.
func sameKeyID(owner pem.Owner, trusted []Element, published map[string]bool) string {
	for _, t := range trusted {
		if a := t.Block.Annotation; a.KeyID != "" && published[a.KeyID] && slices.Contains(a.Owners(), owner) {
			return a.KeyID
		}
	}
	return ""
}

// noteDoubts finds whose answer lacks a key though that says little.
func (p *planner) noteDoubts() {
	for _, owner := range p.read {
		if !p.loose[owner] || p.rules.Partial {
			continue
		}
		published := p.publishes(owner)
		if slices.ContainsFunc(p.trustedFor[owner], func(f pem.Fingerprint) bool { return !published[f] }) {
			p.plan.Doubtful = append(p.plan.Doubtful, owner)
		}
	}
}

// noteMissingRegions finds owners of trusted keys that no result speaks of. A region whose
// last server fails drops off the federation's list, so missing means failed.
func (p *planner) noteMissingRegions() {
	own := map[string]map[pem.Fingerprint]bool{}
	for _, owner := range p.read {
		if owner.Region == "" {
			own[owner.Cluster] = p.publishes(owner)
		}
	}
	for owner := range p.trustedFor {
		if owner.Region == AllRegions || !p.ours(owner.Cluster) || p.rules.retires(owner) ||
			p.sets[owner] != nil || p.failed[owner] != nil {
			continue
		}
		if name, ok := p.newName(owner, own); ok {
			p.renamed[owner] = name
			continue
		}
		p.failed[owner] = ErrNotRead
		if err := p.failed[pem.Owner{Cluster: owner.Cluster, Region: AllRegions}]; err != nil {
			p.failed[owner] = err
		}
	}
}

// newName returns under which name a region that no result speaks of is published now, if it
// is: the agent's own region, "", has a name too. One key in common tells. own are the keys that
// agents publish as their own region's, by cluster.
func (p *planner) newName(owner pem.Owner, own map[string]map[pem.Fingerprint]bool) (pem.Owner, bool) {
	if owner.Region != "" {
		published := own[owner.Cluster]
		return pem.Owner{Cluster: owner.Cluster}, slices.ContainsFunc(p.trustedFor[owner], func(f pem.Fingerprint) bool { return published[f] })
	}
	for _, other := range p.read {
		if other.Cluster == owner.Cluster &&
			slices.ContainsFunc(p.sets[other], func(k publishedKey) bool { return p.trusts[trustedKey{owner, k.fingerprint}] }) {
			return other, true
		}
	}
	return pem.Owner{}, false
}

// noteSilentClusters fails the clusters that nothing at all was said of.
func (p *planner) noteSilentClusters() {
	heard := map[string]bool{}
	for _, owner := range p.read {
		heard[owner.Cluster] = true
	}
	for owner := range p.failed {
		heard[owner.Cluster] = true
	}
	for _, name := range p.want.Clusters {
		if !heard[name] {
			p.failed[pem.Owner{Cluster: name}] = ErrNotRead
		}
	}
}

// offer collects what may be trusted of what is published.
func (p *planner) offer() {
	for _, owner := range p.read {
		set := p.sets[owner]
		for i := range set { // of which a federation may have hundreds of thousands
			k := &set[i]
			switch o := p.offers[k.fingerprint]; {
			case p.rules.denies(k.fingerprint):
				p.skip(owner, k, ReasonDenied)
			case !p.rules.pins(owner.Cluster, k.fingerprint):
				p.skip(owner, k, notPinned)
			case o == nil:
				p.offers[k.fingerprint] = &offer{*k, []pem.Owner{owner}, []*jwks.Key{&k.Key}}
				p.offerOrder = append(p.offerOrder, k.fingerprint)
			default:
				o.owners, o.as = append(o.owners, owner), append(o.as, &k.Key)
			}
		}
	}
	p.foreign = slices.DeleteFunc(p.foreign, func(t Element) bool {
		if t.Opaque || p.offers[t.Fingerprint] == nil {
			return false
		}
		p.adoptable[t.Fingerprint] = append(p.adoptable[t.Fingerprint], t)
		return true
	})
	for _, elements := range p.adoptable {
		slices.SortFunc(elements, byText)
	}
}

// skip names a published key that is not to be trusted.
func (p *planner) skip(owner pem.Owner, k *publishedKey, reason string) {
	skipped := newKey(owner, k.Key, k.fingerprint)
	skipped.Reason = reason
	p.plan.Skipped = append(p.plan.Skipped, skipped)
}

// noteNewcomer finds the newcomer, once all failures are known.
func (p *planner) noteNewcomer() {
	var found []pem.Owner
	for owner := range p.failed {
		if len(p.trustedFor[owner]) == 0 || p.rules.retires(owner) {
			found = append(found, owner)
		}
	}
	if p.unread = len(found) > 0; p.unread {
		p.newcomer = slices.MinFunc(found, p.rank.compare)
	}
}

// passThrough deals with the keys that aren't this configuration's.
func (p *planner) passThrough() {
	for _, t := range p.claimed {
		reason := fmt.Sprintf("cluster %q is not one of these: another harvester's, kept", t.Block.Annotation.Cluster)
		if a := t.Block.Annotation; a.Newer() {
			reason = fmt.Sprintf("annotated by a newer harvest (harvest/%d), kept", a.Version)
		} else if odd := p.rules.oddity(a); odd != "" {
			reason = fmt.Sprintf("annotated with %s, kept", odd)
		}
		if o := p.offers[t.Fingerprint]; o != nil {
			reason += "; published by " + o.owners[0].String() + " too"
		}
		p.take(&p.plan.Claimed, t, reason)
		p.noteSecondName(t)
	}
	p.warnOfSecondNames()
	n := 0
	for _, t := range p.foreign {
		reason := "nobody's; kept, as foreign keys are here"
		if p.rules.foreign() == ForeignRemove {
			if !p.unread && !p.rules.Partial && !p.unjudged[t.Fingerprint] {
				p.remove(t, "nobody's, and foreign keys are removed here")
				continue
			}
			reason = fmt.Sprintf("nobody's; kept while %s can't be read, whose key it may be", p.newcomer)
			if p.unjudged[t.Fingerprint] {
				reason = "published; kept until it is judged"
			}
		}
		p.take(&p.plan.Foreign, t, reason)
		n++
	}
	if n > 0 && p.rules.foreign() == ForeignWarn {
		p.warn("%d of the trusted keys %s no cluster's: anyone who holds a private half of one can log in", n, text.Form(n, "is", "are"))
	}
}

// passPlaceholders lets go of what stood in for an empty list, unless the list is empty still.
func (p *planner) passPlaceholders() {
	for i, t := range p.placeholders {
		if len(p.next) > 0 || i > 0 {
			p.remove(t, "stood in for an empty list")
			continue
		}
		p.take(&p.plan.Keep, t, "stands in for an empty list: nobody can sign with it")
	}
}

func (p *planner) remove(t Element, reason string) {
	p.plan.Remove = append(p.plan.Remove, t.Key(reason))
}

func (p *planner) warn(format string, args ...any) {
	p.plan.Warnings = append(p.plan.Warnings, fmt.Sprintf(format, args...))
}

// finish puts the plan together.
func (p *planner) finish() (*Plan, error) {
	plan := p.plan
	if p.unwritable != nil {
		return nil, p.unwritable
	}
	p.list()
	p.listFailures()
	if len(p.next) == 0 && len(p.trusted) > 0 {
		if !p.rules.AllowEmpty {
			return nil, fmt.Errorf("%w: %d would go (%s)", ErrLastKey, len(plan.Remove), plan.Remove[0].Reason)
		}
		plan.Emptied = true
	}
	var list []string
	for _, t := range p.trusted {
		list = append(list, t.Text)
	}
	plan.Changed = !same(plan.Next, list)
	p.findLockedOut()
	p.remarkOnUnnamed()
	plan.Remarks = append(plan.Remarks, p.remarks...)
	return plan, nil
}

func (p *planner) listFailures() {
	for owner, err := range p.failed {
		p.plan.Failed = append(p.plan.Failed, Failure{owner, p.kept[owner], err})
	}
	slices.SortFunc(p.plan.Failed, func(a, b Failure) int { return p.rank.compare(a.Owner, b.Owner) })
	for cluster, err := range p.hasty {
		if i := slices.IndexFunc(p.crowded, func(e *RoomError) bool { return e.Cluster == cluster }); i >= 0 {
			p.crowded[i].Unjudged += err.Unjudged
			p.crowded[i].Waiting += err.Waiting
			continue
		}
		if !errors.Is(p.failed[pem.Owner{Cluster: cluster}], err) {
			p.crowded = append(p.crowded, err)
		}
	}
	for _, err := range p.crowded {
		p.plan.Fail(pem.Owner{Cluster: err.Cluster}, 0, err)
	}
}

// Fail adds a failure of a cluster, or of a region of it, to those that it has already. kept counts
// only for the first.
func (p *Plan) Fail(owner pem.Owner, kept int, err error) {
	rank := rankingOf(p.Clusters)
	i, failed := slices.BinarySearchFunc(p.Failed, owner, func(f Failure, o pem.Owner) int { return rank.compare(f.Owner, o) })
	if failed {
		p.Failed[i].Err = fmt.Errorf("%w; %w", p.Failed[i].Err, err)
		return
	}
	p.Failed = slices.Insert(p.Failed, i, Failure{owner, kept, err})
}

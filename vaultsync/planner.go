package vaultsync

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// planner makes one Plan. Its methods run in the order in which NewPlan calls them.
type planner struct {
	want  Desired
	o     Options
	given circumstances
	plan  *Plan

	// What was read, by owner; each owner is in one of the two.
	sets    map[pem.Owner][]publishedKey
	failed  map[pem.Owner]error
	asked   map[pem.Owner]time.Time
	read    []pem.Owner             // the owners of sets, in the order in which they own
	rank    map[string]int          // the mount's clusters, by name
	renamed map[pem.Owner]pem.Owner // regions that are published under another name now

	// What is trusted, by fingerprint and in the order of the list.
	trusted                        []trusted
	owned, adoptable               map[pem.Fingerprint][]trusted
	trustedFor                     map[pem.Owner][]pem.Fingerprint
	claimed, foreign, placeholders []trusted
	ownedOrder                     []pem.Fingerprint
	weak                           map[pem.Fingerprint]*jwks.KeyError // owned, and not to be trusted

	// What may be trusted, in the order in which it was published.
	offers     map[pem.Fingerprint]*offer
	offerOrder []pem.Fingerprint

	kept map[pem.Owner]int // keys that stay for a failed owner's sake
	next []*element

	unwritable error // why an element can't be written

	crowded []*RoomError // clusters whose keys don't all fit

	unnamed map[pem.Fingerprint][]pem.Owner // owners that annotations have no room for

	remarks []string // on the sets; they follow the plan's own warnings
}

type publishedKey struct {
	jwks.Key
	fingerprint pem.Fingerprint
}

// offer is a key that one or more clusters publish and that may be trusted.
type offer struct {
	publishedKey // as the first of the owners publishes it
	owners       []pem.Owner
	as           map[pem.Owner]jwks.Key // as each of them does
}

func newPlanner(current Config, want Desired, o Options, given circumstances) *planner {
	rank := map[string]int{}
	for i, name := range want.Clusters {
		rank[name] = i
	}
	elements := current.parse()
	given.history.note(elements)
	return &planner{
		want: want, o: o, given: given,
		plan:       &Plan{current: current, set: map[string]any{}},
		sets:       map[pem.Owner][]publishedKey{},
		failed:     map[pem.Owner]error{},
		asked:      map[pem.Owner]time.Time{},
		renamed:    map[pem.Owner]pem.Owner{},
		rank:       rank,
		trusted:    elements,
		owned:      map[pem.Fingerprint][]trusted{},
		weak:       map[pem.Fingerprint]*jwks.KeyError{},
		adoptable:  map[pem.Fingerprint][]trusted{},
		trustedFor: map[pem.Owner][]pem.Fingerprint{},
		offers:     map[pem.Fingerprint]*offer{},
		kept:       map[pem.Owner]int{},
		unnamed:    map[pem.Fingerprint][]pem.Owner{},
	}
}

func (p *planner) ours(cluster string) bool {
	_, ok := p.rank[cluster]
	return ok
}

// clusters returns who publishes a key, each cluster once.
func (o *offer) clusters() []string {
	var names []string
	for _, owner := range o.owners {
		if !slices.Contains(names, owner.Cluster) {
			names = append(names, owner.Cluster)
		}
	}
	return names
}

// compareOwners puts the clusters of the mount first, in their order, and regions in theirs.
func (p *planner) compareOwners(a, b pem.Owner) int {
	rank := func(o pem.Owner) int {
		if i, ok := p.rank[o.Cluster]; ok {
			return i
		}
		return len(p.rank)
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Region, b.Region))
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
		if !isRegionName(r.Region) && r.Region != allRegions {
			p.failed[owner] = fmt.Errorf("region name %q can't stand in an annotation", r.Region)
			continue
		}
		if p.o.retired(owner) {
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
	slices.SortFunc(p.read, p.compareOwners)
	return nil
}

// readSet takes in the keys of a set that may be trusted: this is where each is judged, whoever
// read or made the set.
func (p *planner) readSet(owner pem.Owner, set *jwks.Set) {
	var refusals []*jwks.KeyError
	var skipped []Key
	seen := map[pem.Fingerprint]bool{}
	verdicts := p.given.verdicts.of(set)
	for i, k := range set.Keys {
		f, refusal, err := verdicts[i].fingerprint, verdicts[i].refusal, verdicts[i].err
		switch {
		case refusal != nil:
			refusals = append(refusals, refusal)
			skipped = append(skipped, Key{
				Cluster: owner.Cluster, Region: owner.Region, KeyID: refusal.KeyID, Fingerprint: f,
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
	if len(p.sets[owner]) == 0 {
		p.failed[owner] = &jwks.NoKeysError{Skipped: slices.Concat(set.Skipped, refusals)}
		return
	}
	p.read = append(p.read, owner)
	for _, skipped := range set.Skipped {
		p.plan.Skipped = append(p.plan.Skipped, Key{
			Cluster: owner.Cluster, Region: owner.Region, KeyID: skipped.KeyID,
			Reason: string(skipped.Reason) + ": " + skipped.Detail,
		})
	}
	p.plan.Skipped = append(p.plan.Skipped, skipped...)
	for _, w := range set.Warnings {
		p.remarks = append(p.remarks, fmt.Sprintf("%s: %s", owner, w))
	}
}

func (p *planner) whyRefused(f pem.Fingerprint, refusal *jwks.KeyError) string {
	if p.o.denied(f) {
		return ReasonDenied
	}
	return string(refusal.Reason) + ": " + refusal.Detail
}

// readTrusted sorts what the mount trusts. A denied key goes, whoever it belongs to.
func (p *planner) readTrusted() {
	for _, t := range p.trusted {
		a := t.block.Annotation
		switch {
		case !t.opaque && p.o.denied(t.fingerprint):
			p.remove(t, ReasonDenied)
		case t.foreign():
			p.foreign = append(p.foreign, t)
		case a.Newer():
			p.claimed = append(p.claimed, t)
		case a.Placeholder:
			p.placeholders = append(p.placeholders, t)
		case (p.ours(a.Cluster) || p.o.retired(a.Owner())) && !p.oddRegion(a):
			if p.owned[t.fingerprint] == nil {
				p.ownedOrder = append(p.ownedOrder, t.fingerprint)
				if refusal, refused := errors.AsType[*jwks.KeyError](jwks.Judge(jwks.Key{Public: t.block.Public})); refused {
					p.weak[t.fingerprint] = refusal
				}
			}
			p.owned[t.fingerprint] = append(p.owned[t.fingerprint], t)
			if p.weak[t.fingerprint] != nil {
				continue // it goes, and says nothing about its owners
			}
			for _, owner := range a.Owners() {
				p.noteTrusted(owner, t.fingerprint)
			}
		default:
			p.claimed = append(p.claimed, t)
		}
	}
	slices.SortFunc(p.placeholders, byText)
	for _, elements := range p.owned {
		slices.SortFunc(elements, func(a, b trusted) int { // whatever their order on the list
			return cmp.Or(a.block.Annotation.Added.Compare(b.block.Annotation.Added), byText(a, b))
		})
	}
}

// byText orders elements that differ in nothing that matters, whatever their order on the list.
func byText(a, b trusted) int { return cmp.Compare(a.raw, b.raw) }

// oddRegion says whether an annotation names a region as harvest never does: one that
// couldn't be written among a key's further owners, or that stands for all of them.
func (p *planner) oddRegion(a pem.Annotation) bool {
	return slices.ContainsFunc(a.Owners(), func(o pem.Owner) bool {
		return !isRegionName(o.Region) && !p.o.retired(o)
	})
}

func (p *planner) noteTrusted(owner pem.Owner, f pem.Fingerprint) {
	if list := p.trustedFor[owner]; !slices.Contains(list, f) {
		p.trustedFor[owner] = append(list, f)
	}
}

// allRegions is the Region of a jwks.Result that stands for the list of regions.
const allRegions = "*"

// refuseTurnovers treats a set that shares no key with what is trusted as not read: the
// address may be wrong, the cluster rebuilt, or its name used twice.
func (p *planner) refuseTurnovers() {
	p.read = slices.DeleteFunc(p.read, func(owner pem.Owner) bool {
		trusted := p.trustedFor[owner]
		var published []pem.Fingerprint
		for _, k := range p.sets[owner] {
			published = append(published, k.fingerprint)
			if slices.Contains(trusted, k.fingerprint) {
				return false
			}
		}
		if len(trusted) == 0 || p.o.mayTurnOver(owner) {
			return false
		}
		delete(p.sets, owner)
		p.failed[owner] = &TurnoverError{owner.Cluster, owner.Region, trusted, published}
		return true
	})
}

// noteMissingRegions finds owners of trusted keys that no result speaks of. A region whose
// last server fails drops off the federation's list, so missing means failed.
func (p *planner) noteMissingRegions() {
	for owner := range p.trustedFor {
		if owner.Region == allRegions || !p.ours(owner.Cluster) || p.o.retired(owner) ||
			p.sets[owner] != nil || p.failed[owner] != nil {
			continue
		}
		if name, ok := p.newName(owner); ok {
			p.renamed[owner] = name
			continue
		}
		p.failed[owner] = ErrNotRead
		if err := p.failed[pem.Owner{Cluster: owner.Cluster, Region: allRegions}]; err != nil {
			p.failed[owner] = err
		}
	}
}

// newName returns under which name a region that no result speaks of is published now, if it
// is: the agent's own region, "", has a name too. One key in common tells.
func (p *planner) newName(owner pem.Owner) (pem.Owner, bool) {
	for _, other := range p.read {
		if other.Cluster == owner.Cluster && (other.Region == "" || owner.Region == "") &&
			slices.ContainsFunc(p.sets[other], func(k publishedKey) bool {
				return slices.Contains(p.trustedFor[owner], k.fingerprint)
			}) {
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
		for _, k := range p.sets[owner] {
			skipped := Key{
				Cluster: owner.Cluster, Region: owner.Region, KeyID: k.KeyID, Public: k.Public, Fingerprint: k.fingerprint,
			}
			skipped.setAlgorithms(k.Algorithms)
			switch {
			case p.o.denied(k.fingerprint):
				skipped.Reason = ReasonDenied
				p.plan.Skipped = append(p.plan.Skipped, skipped)
			case !p.o.pinned(owner.Cluster, k.fingerprint):
				skipped.Reason = notPinned
				p.plan.Skipped = append(p.plan.Skipped, skipped)
			case p.offers[k.fingerprint] == nil:
				p.offers[k.fingerprint] = &offer{k, []pem.Owner{owner}, map[pem.Owner]jwks.Key{owner: k.Key}}
				p.offerOrder = append(p.offerOrder, k.fingerprint)
			default:
				o := p.offers[k.fingerprint]
				o.owners = append(o.owners, owner)
				o.as[owner] = k.Key
			}
		}
	}
	p.foreign = slices.DeleteFunc(p.foreign, func(t trusted) bool {
		if t.opaque || p.offers[t.fingerprint] == nil {
			return false
		}
		p.adoptable[t.fingerprint] = append(p.adoptable[t.fingerprint], t)
		return true
	})
	for _, elements := range p.adoptable {
		slices.SortFunc(elements, byText)
	}
}

// newcomer returns an owner that could not be read and that the mount has no key of: a
// key that seems to be nobody's may be its. Then such a key isn't removed.
func (p *planner) newcomer() (pem.Owner, bool) {
	var found []pem.Owner
	for owner := range p.failed {
		if len(p.trustedFor[owner]) == 0 || p.o.retired(owner) {
			found = append(found, owner)
		}
	}
	if len(found) == 0 {
		return pem.Owner{}, false
	}
	return slices.MinFunc(found, p.compareOwners), true
}

// passThrough deals with the keys that aren't this configuration's.
func (p *planner) passThrough() {
	newcomer, unread := p.newcomer()
	for _, t := range p.claimed {
		reason := fmt.Sprintf("cluster %q is not one of these: another harvester's, kept", t.block.Annotation.Cluster)
		switch a := t.block.Annotation; {
		case p.oddRegion(a):
			reason = "annotated with a region whose name harvest doesn't write, kept"
		case a.Newer():
			reason = fmt.Sprintf("annotated by a newer harvest (harvest/%d), kept", a.Version)
		}
		if o := p.offers[t.fingerprint]; o != nil {
			reason += "; published by " + o.owners[0].String() + " too"
		}
		p.take(&p.plan.Claimed, t, reason)
		p.noteSecondName(t)
	}
	p.warnOfSecondNames()
	n := 0
	for _, t := range p.foreign {
		reason := `nobody's; kept, because foreign = "` + string(p.o.foreign()) + `"`
		if p.o.foreign() == ForeignRemove {
			if !unread && !p.given.early {
				p.remove(t, `nobody's, and foreign = "remove"`)
				continue
			}
			reason = fmt.Sprintf("nobody's; kept while %s can't be read, whose key it may be", newcomer)
		}
		p.take(&p.plan.Foreign, t, reason)
		n++
	}
	if n > 0 && p.o.foreign() == ForeignWarn {
		p.warn("%d of the trusted keys %s no cluster's: whoever holds a private half of one can log in", n, plural(n, "is", "are"))
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

func (p *planner) remove(t trusted, reason string) {
	p.plan.Remove = append(p.plan.Remove, t.key(reason))
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
		if !p.o.AllowEmpty {
			return nil, fmt.Errorf("%w: %d would go (%s), and Vault takes no empty list",
				ErrLastKey, len(plan.Remove), plan.Remove[0].Reason)
		}
		plan.placeholder = true
		p.warn("nobody will be able to log in on this mount: a key that nobody holds stands in for the empty list")
	}
	plan.Changed = plan.placeholder || !sameElements(plan.next, plan.current.Keys())
	if plan.current.mode() != "" && (len(plan.next) > 0 || plan.placeholder) {
		if err := p.convert(); err != nil {
			return nil, err
		}
	}
	p.set()
	if plan.Changed {
		if err := plan.checkSize(); err != nil {
			return nil, err
		}
	}
	p.lint()
	p.warnUnnamed()
	plan.Warnings = append(plan.Warnings, p.remarks...)
	return plan, nil
}

// convert drops what static keys exclude. What the mount trusted by way of a URL isn't
// known, so every cluster must have been read: else one would be cut off.
func (p *planner) convert() error {
	if len(p.plan.Failed) > 0 {
		f := p.plan.Failed[0]
		return fmt.Errorf("%w: not converted while keys of %s are missing, which would be cut off: %w",
			ErrNotStaticKeys, pem.Owner{Cluster: f.Cluster, Region: f.Region}, f.Err)
	}
	p.plan.without = p.plan.current.excluded()
	p.plan.Changed = true
	p.warn("converted to static keys: %s cleared", strings.Join(p.plan.without, ", "))
	return nil
}

func (p *planner) listFailures() {
	for owner, err := range p.failed {
		p.plan.Failed = append(p.plan.Failed, Failure{owner.Cluster, owner.Region, p.kept[owner], err})
	}
	for _, err := range p.crowded {
		i := slices.IndexFunc(p.plan.Failed, func(f Failure) bool { return f.Cluster == err.Cluster && f.Region == "" })
		if i < 0 {
			p.plan.Failed = append(p.plan.Failed, Failure{Cluster: err.Cluster, Err: err})
			continue
		}
		p.plan.Failed[i].Err = fmt.Errorf("%w; %w", p.plan.Failed[i].Err, err) // the agent's own region
	}
	p.sortFailures()
}

func (p *planner) sortFailures() {
	slices.SortFunc(p.plan.Failed, func(a, b Failure) int {
		return p.compareOwners(pem.Owner{Cluster: a.Cluster, Region: a.Region}, pem.Owner{Cluster: b.Cluster, Region: b.Region})
	})
}

// lint warns where a login would fail although its key is trusted.
func (p *planner) lint() {
	issuer := p.plan.current.BoundIssuer()
	if stated := p.o.Settings.BoundIssuer; stated != nil {
		issuer = *stated
	}
	if issuer != "" && len(p.want.Clusters) > 1 {
		p.warn("bound_issuer is %q: of the %d clusters on this mount, only those with that very issuer can log in",
			issuer, len(p.want.Clusters))
	}
	p.findLockedOut()
}

// sameElements compares two lists as multisets: order alone is no reason to write.
func sameElements(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

package plan

import (
	"cmp"
	"slices"
	"time"

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

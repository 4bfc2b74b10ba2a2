package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

var (
	// ErrStale: the list is no longer what the plan was made of, or the plan is too old.
	ErrStale = errors.New("the plan is stale: make another one")
	// ErrRefused: the plan does what the rules wouldn't plan now.
	ErrRefused = errors.New("the plan does what is refused now")
)

// defaultMaxAge is Rules.MaxAge where that is zero.
const defaultMaxAge = 24 * time.Hour

// Check returns the plan as it may be written now, for a plan that was made earlier and perhaps
// stored. It refuses the plan if the list has changed since, unless it holds what the plan says. It
// also refuses what these rules wouldn't plan: keys that must not be trusted, that are denied, not
// pinned, of a retired cluster or more than there is room for, and removals that nobody asked for.
// The error names what it refuses. Check goes by what is to be written, and refuses a plan whose
// lists of keys say something else.
//
// The error wraps [ErrStale], [ErrRefused], [ErrLastKey], [ErrTurnover] or [ErrNoRoom], or says
// what is wrong with the rules.
func (p *Plan) Check(current []Element, rules Rules) (*Plan, error) {
	if err := rules.Check(p.Clusters); err != nil {
		return nil, err
	}
	if err := p.checkAge(rules); err != nil {
		return nil, err
	}
	list, _, _ := strings.Cut(p.Base, " ")
	landed := list != digest(current)
	if landed && !p.Holds(current) {
		return nil, fmt.Errorf("%w: the list has changed since", ErrStale)
	}
	whole := *p
	for _, keys := range []*[]Key{&whole.Add, &whole.Adopt, &whole.Keep, &whole.Claimed, &whole.Foreign} {
		*keys = slices.Clone(*keys)
	}
	if err := whole.resolve(current); err != nil {
		return nil, err
	}
	if err := whole.matchElements(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	c := checker{
		p: &whole, rules: rules.index(), rank: rankingOf(p.Clusters), current: current, next: Read(whole.Next),
		refusals: map[pem.Fingerprint]*jwks.KeyError{},
	}
	if landed {
		return &whole, c.kept()
	}
	// Room comes first: to judge a key takes long, and a file may have any number of them.
	for _, check := range []func() error{c.room, c.written, c.taken, c.emptied, c.turnovers} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return &whole, nil
}

func (p *Plan) checkAge(rules Rules) error {
	age, most := rules.Now.Sub(p.Made), cmp.Or(rules.MaxAge, defaultMaxAge)
	switch {
	case p.Made.IsZero():
		return fmt.Errorf("%w: it doesn't say when it was made", ErrStale)
	case age > most:
		return fmt.Errorf("%w: it was made %v ago, over %v", ErrStale, age.Round(time.Second), most)
	case age < -maxSkew:
		return fmt.Errorf("%w: it was made at %s, which is yet to come", ErrStale, p.Made.Format(time.RFC3339))
	}
	return nil
}

// checker holds a plan against the rules of the day.
type checker struct {
	p             *Plan
	rules         ruleIndex
	rank          ranking
	current, next []Element
	refusals      map[pem.Fingerprint]*jwks.KeyError // of the judged keys; nil of a sound one
}

func refuse(e Element, format string, args ...any) error {
	return fmt.Errorf("%w: key %s: %s", ErrRefused, e.Key(""), fmt.Sprintf(format, args...))
}

// texts returns how often each element stands on a list.
func texts(elements []Element) map[string]int {
	all := map[string]int{}
	for _, e := range elements {
		all[e.Text]++
	}
	return all
}

func (c *checker) ours(o pem.Owner) bool {
	return c.rank.has(o.Cluster) || c.rules.retires(o)
}

func (c *checker) owned(e Element) bool { return c.rules.owns(e, c.rank) }

// written refuses elements that aren't to be written now. A key that is trusted already may be
// denied meanwhile, and no more: the rest is for additions.
func (c *checker) written() error {
	there, trusted, shared := texts(c.current), map[pem.Fingerprint]bool{}, map[trustedKey]bool{}
	for _, e := range c.current {
		if c.owned(e) {
			for _, o := range e.Block.Annotation.Owners() {
				shared[trustedKey{o, e.Fingerprint}] = true
			}
		}
		trusted[e.Fingerprint] = trusted[e.Fingerprint] || !e.Opaque && e.Foreign() || c.owned(e)
	}
	for _, e := range c.next {
		if !e.Opaque && c.rules.denies(e.Fingerprint) {
			return refuse(e, "it is denied")
		}
		if there[e.Text] > 0 {
			continue
		}
		a := e.Block.Annotation
		switch {
		case e.Foreign() || a.Newer() || a.Placeholder:
			return refuse(e, "it has no owner")
		case overlong(a.Also):
			return refuse(e, "it has %s", c.rules.oddity(a))
		case trusted[e.Fingerprint] && c.ours(a.Owner()),
			shared[trustedKey{a.Owner(), e.Fingerprint}]: // left to another harvester, whose it is too
			continue
		}
		if err := c.addition(e); err != nil {
			return err
		}
	}
	return nil
}

// addition refuses an element that must not be added.
func (c *checker) addition(e Element) error {
	a := e.Block.Annotation
	switch {
	case !c.rank.has(a.Cluster) || !rule.IsRegion(a.Region):
		return refuse(e, "%s is none of the plan's clusters", a.Owner())
	case c.rules.retires(a.Owner()):
		return refuse(e, "%s is retired", a.Owner())
	case !c.rules.pins(a.Cluster, e.Fingerprint):
		return refuse(e, "it is %s for %s", notPinned, a.Cluster)
	case c.rules.LeaveOut != "" && !rule.Admits(c.rules.Algorithms, a.Algorithms, e.Block.Public):
		return refuse(e, "%s", c.rules.LeaveOut)
	}
	if refusal := c.judge(e); refusal != nil {
		return refuse(e, "it must not be trusted: %s: %s", refusal.Reason, refusal.Detail)
	}
	return nil
}

// kept refuses what a plan that was carried out has on the list and wouldn't add now. What was
// taken is gone, and nothing is to be written.
func (c *checker) kept() error {
	added := map[pem.Fingerprint]bool{}
	for _, k := range c.p.Add {
		added[k.Fingerprint] = true
	}
	for _, e := range c.next {
		switch {
		case e.Opaque:
		case c.rules.denies(e.Fingerprint):
			return refuse(e, "it is denied")
		case added[e.Fingerprint] && c.p.fresh[e.Text]:
			if err := c.addition(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge judges a key once, however often it stands on the lists.
func (c *checker) judge(e Element) *jwks.KeyError {
	refusal, judged := c.refusals[e.Fingerprint]
	if !judged {
		refusal = verdicts.Refusal(jwks.Key{Public: e.Block.Public})
		c.refusals[e.Fingerprint] = refusal
	}
	return refusal
}

// taken refuses the removal, and the new annotation, of elements that aren't ours to take, and
// removals that the plan doesn't list.
func (c *checker) taken() error {
	stays, written := texts(c.next), map[pem.Fingerprint]bool{}
	for _, e := range c.next {
		written[e.Fingerprint] = true
	}
	listed := map[pem.Fingerprint]bool{}
	for _, k := range c.p.Remove {
		listed[k.Fingerprint] = true
	}
	gone := map[pem.Fingerprint]bool{}
	for _, e := range c.current {
		if stays[e.Text] > 0 {
			stays[e.Text]--
			continue
		}
		denied := !e.Opaque && c.rules.denies(e.Fingerprint)
		adopted := !e.Opaque && written[e.Fingerprint]
		a := e.Block.Annotation
		switch {
		case denied, adopted && e.Foreign():
		case e.Foreign() && c.rules.foreign() != ForeignRemove:
			return refuse(e, "foreign keys are kept")
		case e.Foreign(), a.Placeholder:
		case !c.owned(e):
			return refuse(e, "it is another harvester's")
		}
		switch {
		case listed[e.Fingerprint]:
			gone[e.Fingerprint] = true
		case !adopted:
			return refuse(e, "it would go, and is not on the list of what goes")
		}
	}
	for _, k := range c.p.Remove {
		if !gone[k.Fingerprint] {
			return fmt.Errorf("%w: key %s is on the list of what goes, and would stay", ErrRefused, k)
		}
	}
	return nil
}

func (c *checker) emptied() error {
	switch {
	case c.p.Emptied && len(c.next) > 0:
		return fmt.Errorf("%w: the list would be emptied, and have %d keys", ErrRefused, len(c.next))
	case len(c.next) > 0 || len(c.current) == 0:
	case !c.p.Emptied || !c.rules.AllowEmpty:
		return fmt.Errorf("%w: %d would go", ErrLastKey, len(c.current))
	}
	return nil
}

// turnovers refuses that new keys replace all that are trusted for a region, and might be.
func (c *checker) turnovers() error {
	trusted, published := map[pem.Owner][]pem.Fingerprint{}, map[pem.Owner][]pem.Fingerprint{}
	collect := func(elements []Element, into map[pem.Owner][]pem.Fingerprint) {
		for _, e := range elements {
			if !c.stands(e) {
				continue
			}
			for _, o := range e.Block.Annotation.Owners() {
				if c.rules.pins(o.Cluster, e.Fingerprint) {
					into[o] = append(into[o], e.Fingerprint)
				}
			}
		}
	}
	collect(c.current, trusted)
	collect(c.next, published)
	for _, o := range slices.SortedFunc(maps.Keys(published), c.rank.compare) {
		before := setOf(trusted[o])
		shared := slices.ContainsFunc(published[o], func(f pem.Fingerprint) bool { return before[f] })
		if len(trusted[o]) > 0 && !shared && !c.rules.mayTurnOver(o) {
			return &TurnoverError{o, trusted[o], published[o], c.sameKeyID(o)}
		}
	}
	return nil
}

// stands reports whether an element says something about its owners: one that goes for its key's
// sake doesn't.
func (c *checker) stands(e Element) bool {
	return !e.Foreign() && !c.rules.denies(e.Fingerprint) && c.judge(e) == nil
}

func (c *checker) sameKeyID(o pem.Owner) string {
	published := map[string]bool{}
	for _, e := range c.next {
		if a := e.Block.Annotation; slices.Contains(a.Owners(), o) {
			published[a.KeyID] = true
		}
	}
	trusted := slices.DeleteFunc(slices.Clone(c.current), func(e Element) bool { return !c.stands(e) })
	return sameKeyID(o, trusted, published)
}

// room refuses a list that gets larger than the store takes, and more additions than a cluster has
// room for. Keys of several clusters count for none: that a plan had room for them depends on who
// publishes what. Nor does a key that was foreign and that nobody publishes any more: it may be
// nobody's again.
func (c *checker) room() error {
	size := func(elements []Element) int {
		n := c.rules.Size
		for _, e := range elements {
			n += jsonSize(e.Text)
		}
		return n
	}
	if is := size(c.next); !c.rules.fits(is) && is > size(c.current) {
		return fmt.Errorf("%w: %d keys would make %d bytes of configuration, over %d", ErrNoRoom, len(c.next), is, c.rules.MaxSize)
	}
	there, counts, added, listed := texts(c.current), map[string]int{}, map[string]int{}, map[pem.Fingerprint]bool{}
	for _, k := range c.p.Add {
		listed[k.Fingerprint] = true
	}
	for _, e := range c.next {
		a := e.Block.Annotation
		if !c.owned(e) || a.Adopted && !a.Missing.IsZero() || slices.ContainsFunc(a.Also, func(o pem.Owner) bool { return o.Cluster != a.Cluster }) {
			continue
		}
		counts[a.Cluster]++
		if there[e.Text] == 0 && listed[e.Fingerprint] {
			added[a.Cluster]++
		}
	}
	for _, name := range c.p.Clusters {
		if most := c.rules.maxKeys(); counts[name] > most && added[name] > 0 {
			return &RoomError{Cluster: name, Waiting: min(counts[name]-most, added[name]), Keys: most, MaxKeys: most}
		}
	}
	return nil
}

package plan

import (
	"fmt"
	"time"

	"github.com/jwksharvest/harvest/pem"
)

// strays reports whether there are keys on the mount that aren't this configuration's: foreign
// ones, or another harvester's. Somebody else uses it then.
func (p *planner) strays() bool { return len(p.foreign)+len(p.claimed) > 0 }

// returns reports whether a key that no cluster publishes goes back to foreign: it was foreign
// before a cluster published it, so somebody else may still need it. A cluster that publishes a
// foreign key for a while would otherwise have it removed.
func (p *planner) returns(a pem.Annotation) bool {
	return a.Adopted && p.rules.foreign() != ForeignRemove && p.strays()
}

// giveBack keeps an adopted key as the foreign key that it was. Its annotation remembers since
// when.
func (p *planner) giveBack(f pem.Fingerprint, elements []Element, old pem.Annotation, since time.Time) {
	owners := p.ownerFirst(f, p.previousOwners(f))
	a := p.annotation(f, owners, nil, old)
	if a.Missing = since; since.IsZero() {
		a.Missing = p.rules.Now.UTC().Truncate(time.Millisecond)
	}
	day := a.Missing.Format(time.RFC3339)
	reason := fmt.Sprintf("adopted, and no longer published since %s: nobody's again, and kept", day)
	e := p.annotate(elements, a, reason, reason)
	e.returned = true
	if len(elements) == 1 {
		e.list = &p.plan.Foreign
	}
	p.plan.GivenBack = append(p.plan.GivenBack, e.key)
	p.warn("key %s was foreign before %s published it, which it no longer does since %s: it stays trusted; deny it, or have "+
		"foreign keys removed, to remove it", f, owners[0], day)
}

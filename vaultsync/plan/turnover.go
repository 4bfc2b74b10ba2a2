package plan

import (
	"slices"

	"github.com/jwksharvest/harvest/pem"
)

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

package plan

import (
	"slices"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// leftOut reports whether a key that isn't trusted yet is not to be: none of its owners' logins
// would be taken, and that is meant.
func (p *planner) leftOut(o *offer) bool {
	return p.rules.LeaveOut != "" && !slices.ContainsFunc(o.as, p.admits)
}

func (p *planner) admits(k *jwks.Key) bool {
	return rule.Admits(p.rules.Algorithms, k.Algorithms, k.Public)
}

// leaveOut names a key that is left out. Its logins would be refused anyway.
func (p *planner) leaveOut(o *offer) {
	p.skip(o.owners[0], &o.publishedKey, p.rules.LeaveOut)
}

// findLockedOut lists the clusters with trusted keys whose logins aren't taken.
func (p *planner) findLockedOut() {
	trusted := map[pem.Fingerprint]bool{}
	for _, k := range slices.Concat(p.plan.Add, p.plan.Adopt, p.plan.Keep, p.plan.Claimed) {
		trusted[k.Fingerprint] = true
	}
	at := map[pem.Owner]int{} // in the list
	for _, f := range p.offerOrder {
		o := p.offers[f]
		if !trusted[f] {
			continue
		}
		for n, owner := range o.owners {
			if p.admits(o.as[n]) {
				continue
			}
			i, known := at[owner]
			if !known {
				i = len(p.plan.LockedOut)
				at[owner] = i
				p.plan.LockedOut = append(p.plan.LockedOut, nil)
			}
			p.plan.LockedOut[i] = append(p.plan.LockedOut[i], newKey(owner, *o.as[n], f))
		}
	}
}

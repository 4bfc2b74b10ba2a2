package plan

import (
	"slices"

	"github.com/jwksharvest/harvest/pem"
)

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

package plan

// UnderTwoNames returns the keys on Claimed that a cluster of this mount has too. It may be one
// cluster under two names: what it drops stays trusted under the other.
func (p *Plan) UnderTwoNames() []Key { return p.underTwoNames }

// noteSecondName takes in that a claimed key is a cluster of this mount's too, under a name that
// isn't ours. Where its annotation names a cluster of ours, its harvester knows both.
func (p *planner) noteSecondName(t Element) {
	a := t.Block.Annotation
	if a.Newer() || p.oddRegion(a) || p.offers[t.Fingerprint] == nil && p.owned[t.Fingerprint] == nil {
		return
	}
	for _, o := range a.Owners() {
		if p.ours(o.Cluster) {
			return
		}
	}
	p.plan.underTwoNames = append(p.plan.underTwoNames, t.Key(""))
}

// warnOfSecondNames tells of each name once.
func (p *planner) warnOfSecondNames() {
	keys := map[string][]string{}
	var names []string
	for _, k := range p.plan.underTwoNames {
		if keys[k.Cluster] == nil {
			names = append(names, k.Cluster)
		}
		keys[k.Cluster] = append(keys[k.Cluster], k.Fingerprint.Short())
	}
	for _, name := range names {
		p.warn("keys of this configuration's clusters are trusted for cluster %q too (%s): if that is one of them by another name, "+
			"what it drops stays trusted; retire the wrong name", name, some(keys[name]))
	}
}

// mostNamed is how many keys or owners a warning names.
const mostNamed = 3

package plan

// noteSecondName takes in that a claimed key is a cluster of this mount's too, under a name that
// isn't ours. Where its annotation names a cluster of ours, its harvester knows both.
func (p *planner) noteSecondName(t Element) {
	a := t.Block.Annotation
	if a.Newer() || p.rules.oddity(a) != "" || p.offers[t.Fingerprint] == nil && p.owned[t.Fingerprint] == nil {
		return
	}
	for _, o := range a.Owners() {
		if p.ours(o.Cluster) {
			return
		}
	}
	p.plan.UnderTwoNames = append(p.plan.UnderTwoNames, t.Key(""))
}

// warnOfSecondNames tells of each name once.
func (p *planner) warnOfSecondNames() {
	keys := map[string][]string{}
	var names []string
	for _, k := range p.plan.UnderTwoNames {
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

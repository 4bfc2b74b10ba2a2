package plan

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
)

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
		reason := "nobody's; foreign keys are kept here"
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

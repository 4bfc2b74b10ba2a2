package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

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
		if !rule.IsRegion(r.Region) && r.Region != AllRegions {
			p.failed[owner] = fmt.Errorf("region name %q can't stand in an annotation", r.Region)
			continue
		}
		if p.rules.retires(owner) {
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
	slices.SortFunc(p.read, p.rank.compare)
	return nil
}

// readSet takes in the keys of a set that may be trusted. Each is judged here, no matter who read
// or made the set.
func (p *planner) readSet(owner pem.Owner, set *jwks.Set) {
	var refusals []*jwks.KeyError
	var skipped []Key
	seen := map[pem.Fingerprint]bool{}
	known := p.rules.Verdicts.Of(set)
	waiting := 0
	for i, k := range set.Keys {
		f, refusal, err := known[i].Fingerprint, known[i].Refusal, known[i].Err
		switch {
		case known[i].Unjudged && p.owns[f]: // it stays, until there is time
			p.sets[owner] = append(p.sets[owner], publishedKey{k, f})
		case known[i].Unjudged:
			waiting++
			p.unjudged[f] = true
			skipped = append(skipped, Key{
				Owner: owner, KeyID: k.KeyID, Fingerprint: f, Reason: notJudged,
			})
		case refusal != nil:
			refusals = append(refusals, refusal)
			skipped = append(skipped, Key{
				Owner: owner, KeyID: refusal.KeyID, Fingerprint: f,
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
	if waiting > 0 {
		p.waitForJudge(owner.Cluster, waiting)
	}
	if len(p.sets[owner]) == 0 && waiting > 0 {
		p.failed[owner] = p.hasty[owner.Cluster]
		p.plan.Skipped = append(p.plan.Skipped, skipped...)
		return
	}
	if len(p.sets[owner]) == 0 {
		p.failed[owner] = &jwks.NoKeysError{Skipped: slices.Concat(set.Skipped, refusals)}
		return
	}
	p.read = append(p.read, owner)
	p.loose[owner] = set.Unindexed
	for _, skipped := range set.Skipped {
		p.plan.Skipped = append(p.plan.Skipped, Key{
			Owner: owner, KeyID: skipped.KeyID,
			Reason: string(skipped.Reason) + ": " + skipped.Detail,
		})
	}
	p.plan.Skipped = append(p.plan.Skipped, skipped...)
	for _, w := range set.Warnings {
		p.remarks = append(p.remarks, fmt.Sprintf("%s: %s", owner, w))
	}
}

const notJudged = "published; waits to be judged"

// waitForJudge notes that keys of a cluster wait to be judged.
func (p *planner) waitForJudge(cluster string, n int) {
	if p.hasty[cluster] == nil {
		p.hasty[cluster] = &RoomError{Cluster: cluster}
	}
	p.hasty[cluster].Unjudged += n
	p.hasty[cluster].Waiting += n
	p.plan.Unjudged = true
}

func (p *planner) whyRefused(f pem.Fingerprint, refusal *jwks.KeyError) string {
	if p.rules.denies(f) {
		return ReasonDenied
	}
	return string(refusal.Reason) + ": " + refusal.Detail
}

// readTrusted sorts what the mount trusts. A denied key goes, no matter whose it is.
func (p *planner) readTrusted() {
	for _, t := range p.trusted {
		a := t.Block.Annotation
		switch {
		case !t.Opaque && p.rules.denies(t.Fingerprint):
			p.remove(t, ReasonDenied)
		case t.Foreign():
			p.foreign = append(p.foreign, t)
		case a.Newer():
			p.claim(t)
		case a.Placeholder:
			p.placeholders = append(p.placeholders, t)
		case p.rules.owns(t, p.rank):
			if p.owned[t.Fingerprint] == nil {
				p.ownedOrder = append(p.ownedOrder, t.Fingerprint)
				if refusal := p.rules.Verdicts.OfTrusted(t.Fingerprint, t.Block); refusal != nil {
					p.weak[t.Fingerprint] = refusal
				}
			}
			p.owned[t.Fingerprint] = append(p.owned[t.Fingerprint], t)
			if p.weak[t.Fingerprint] != nil {
				continue // it goes, and says nothing about its owners
			}
			for _, owner := range a.Owners() {
				p.noteTrusted(owner, t.Fingerprint)
			}
		default:
			p.claim(t)
		}
	}
	slices.SortFunc(p.placeholders, byText)
	for _, elements := range p.owned {
		slices.SortFunc(elements, func(a, b Element) int { // whatever their order on the list
			return cmp.Or(a.Block.Annotation.Added.Compare(b.Block.Annotation.Added), byText(a, b))
		})
	}
}

func (p *planner) claim(t Element) {
	p.claimed = append(p.claimed, t)
	if p.rules.oddity(t.Block.Annotation) == "" {
		p.claimedAs[t.Fingerprint] = append(p.claimedAs[t.Fingerprint], t)
	}
}

// byText orders elements that differ in nothing that matters, whatever their order on the list.
func byText(a, b Element) int { return cmp.Compare(a.Text, b.Text) }

func (p *planner) noteTrusted(owner pem.Owner, f pem.Fingerprint) {
	if t := (trustedKey{owner, f}); !p.trusts[t] {
		p.trusts[t] = true
		p.trustedFor[owner] = append(p.trustedFor[owner], f)
	}
}

// publishes returns the keys of what was read of an owner.
func (p *planner) publishes(owner pem.Owner) map[pem.Fingerprint]bool {
	set := map[pem.Fingerprint]bool{}
	for _, k := range p.sets[owner] {
		set[k.fingerprint] = true
	}
	return set
}

package vaultsync

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/pem"
)

const notPinned = "not pinned"

// reconcile decides on each key that a cluster of this mount publishes or owns.
func (p *planner) reconcile() {
	for _, f := range p.offerOrder {
		if len(p.owned[f]) == 0 && len(p.adoptable[f]) == 0 {
			if !slices.ContainsFunc(p.claimed, func(t trusted) bool { return t.fingerprint == f }) {
				p.add(p.offers[f])
			}
			continue
		}
		p.renew(f)
	}
	for _, f := range p.ownedOrder {
		if p.offers[f] == nil {
			p.renew(f)
		}
	}
}

// add trusts a key that isn't trusted yet.
func (p *planner) add(o *offer) {
	a := p.annotation(o.owners, o, pem.Annotation{})
	k := p.write(pem.Block{Public: o.Public, Annotation: a}, o.fingerprint)
	k.Reason = "published, not yet trusted"
	p.plan.Add = append(p.plan.Add, k)
}

// renew decides on a key that is trusted: for whom it stays, or that it goes.
func (p *planner) renew(f pem.Fingerprint) {
	elements := slices.Concat(p.owned[f], p.adoptable[f])
	first := elements[0]
	old := merged(elements)
	owners := p.owners(f)
	if len(owners) == 0 {
		p.retire(f, elements, old)
		return
	}
	o := p.offers[f]
	if o == nil {
		// It stays for a failed owner's sake, its retention period neither begun
		// nor ended.
		for _, owner := range p.failedOf(owners) {
			p.kept[owner]++
		}
	}
	a := p.annotation(owners, o, old)
	if len(elements) == 1 && !first.foreign() && sameAnnotation(a, first.block.Annotation) {
		p.keep(first, p.keepReason(o, owners))
		return
	}
	p.adopt(first, a, p.adoptReason(elements, old, a))
}

// owners returns for whom a trusted key stays, in the order in which they own it: those who
// publish it, and those of its owners who could not be asked.
func (p *planner) owners(f pem.Fingerprint) []pem.Owner {
	var owners []pem.Owner
	if o := p.offers[f]; o != nil {
		owners = slices.Clone(o.owners)
	}
	for _, t := range p.owned[f] {
		for _, owner := range t.block.Annotation.Owners() {
			unknown := !p.ours(owner.Cluster) || p.failed[owner] != nil
			if unknown && !p.o.retired(owner) && !slices.Contains(owners, owner) {
				owners = append(owners, owner)
			}
		}
	}
	slices.SortStableFunc(owners, p.compareOwners)
	return owners
}

func (p *planner) failedOf(owners []pem.Owner) []pem.Owner {
	return slices.DeleteFunc(slices.Clone(owners), func(o pem.Owner) bool { return p.failed[o] == nil })
}

// annotation returns the annotation of a key for its owners. What the first owner
// publishes wins over what was known before; the day it was added never changes.
func (p *planner) annotation(owners []pem.Owner, o *offer, old pem.Annotation) pem.Annotation {
	a := old
	a.Version = pem.Version
	a.Cluster, a.Region, a.Also = owners[0].Cluster, owners[0].Region, owners[1:]
	if o != nil {
		a.Missing = time.Time{}
		if slices.Contains(o.owners, owners[0]) {
			a.KeyID, a.Algorithm = o.KeyID, o.Algorithm
		}
	}
	if old.IsZero() {
		a.Added = p.o.Now.UTC().Truncate(time.Second)
	}
	return a
}

// retire deals with a key that nobody publishes any more and nobody could.
func (p *planner) retire(f pem.Fingerprint, elements []trusted, old pem.Annotation) {
	first := elements[0]
	all := old.Owners()
	struck := slices.ContainsFunc(all, p.o.retired)
	unpinned := slices.ContainsFunc(p.read, func(owner pem.Owner) bool {
		return slices.ContainsFunc(p.sets[owner], func(k publishedKey) bool { return k.fingerprint == f })
	})
	until := old.Missing.Add(p.o.Retain)
	switch {
	case unpinned:
		p.removeAll(elements, notPinned)
	case struck:
		if newcomer, unread := p.newcomer(); unread {
			p.keepAll(elements, fmt.Sprintf("%s is retired; kept while %s can't be read, whose key it may be", old.Owner(), newcomer))
			return
		}
		p.removeAll(elements, fmt.Sprintf("%s is retired", old.Owner()))
	case p.o.Retain == 0:
		p.removeAll(elements, "no longer published")
	case old.Missing.IsZero():
		a := old
		a.Missing = p.o.Now.UTC().Truncate(time.Second)
		p.adopt(first, a, retained(a.Missing.Add(p.o.Retain)))
	case p.o.Now.Before(until):
		p.keepAll(elements, retained(until))
	default:
		p.removeAll(elements, "no longer published since "+old.Missing.Format(time.RFC3339))
	}
}

func retained(until time.Time) string {
	return "no longer published; retained until " + until.Format(time.RFC3339)
}

func (p *planner) keep(t trusted, reason string) {
	p.plan.Keep = append(p.plan.Keep, t.key(reason))
	p.take(t)
}

func (p *planner) keepAll(elements []trusted, reason string) {
	for _, t := range elements {
		p.keep(t, reason)
	}
}

func (p *planner) removeAll(elements []trusted, reason string) {
	for _, t := range elements {
		p.remove(t, reason)
	}
}

func (p *planner) adopt(t trusted, a pem.Annotation, reason string) {
	k := p.write(pem.Block{Public: t.block.Public, Annotation: a, Comment: t.block.Comment}, t.fingerprint)
	k.Reason = reason
	p.plan.Adopt = append(p.plan.Adopt, k)
}

// write puts a new element on the next list.
func (p *planner) write(b pem.Block, f pem.Fingerprint) Key {
	text, err := b.MarshalText()
	if err != nil {
		// Every key here was parsed by jwks or pem, and every name checked: what can't
		// be written is a comment, and a key without its comment is better than none.
		b.Comment = ""
		b.Annotation.Unknown = nil
		text, err = b.MarshalText()
		if err != nil {
			panic("vaultsync: " + err.Error())
		}
	}
	p.next = append(p.next, element{string(text), b.Annotation.Added, f.String()})
	a := b.Annotation
	return Key{
		Cluster: a.Cluster, Region: a.Region, KeyID: a.KeyID, Public: b.Public,
		Algorithm: usualAlgorithm(a.Algorithm, b.Public), Fingerprint: f, Added: a.Added,
	}
}

func (p *planner) keepReason(o *offer, owners []pem.Owner) string {
	if o != nil {
		return "published"
	}
	if failed := p.failedOf(owners); len(failed) > 0 {
		return fmt.Sprintf("kept: %s could not be read", failed[0])
	}
	return fmt.Sprintf("kept for %s, another harvester's", owners[0])
}

func (p *planner) adoptReason(elements []trusted, old, a pem.Annotation) string {
	switch {
	case elements[0].foreign():
		return "pasted by hand, to be annotated"
	case len(elements) > 1:
		return "listed more than once; once is enough"
	case old.Owner() != a.Owner():
		return fmt.Sprintf("moves from %s to %s", old.Owner(), a.Owner())
	case !slices.Equal(old.Also, a.Also):
		var also []string
		for _, owner := range a.Also {
			also = append(also, owner.String())
		}
		if len(also) == 0 {
			return "no longer published by another cluster"
		}
		return "published by " + strings.Join(also, ", ") + " too"
	case !old.Missing.IsZero():
		return "published again"
	default:
		return "kid or algorithm corrected"
	}
}

// merged returns the annotation of several elements with one key: that of the first, all
// their owners, and the earliest day.
func merged(elements []trusted) pem.Annotation {
	a := elements[0].block.Annotation
	for _, t := range elements[1:] {
		b := t.block.Annotation
		if b.IsZero() {
			continue
		}
		if !b.Added.IsZero() && b.Added.Before(a.Added) {
			a.Added = b.Added
		}
		if b.Missing.IsZero() {
			a.Missing = time.Time{}
		}
	}
	return a
}

// sameAnnotation says whether two annotations differ in nothing that is worth a write.
func sameAnnotation(a, b pem.Annotation) bool {
	return a.Owner() == b.Owner() && slices.Equal(a.Also, b.Also) && a.KeyID == b.KeyID &&
		a.Algorithm == b.Algorithm && a.Missing.Equal(b.Missing)
}

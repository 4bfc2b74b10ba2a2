package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/pem"
)

// entry is an element of the next list, and where it comes from.
type entry struct {
	raw  string
	size int // of raw in a configuration's JSON, once there is a budget
	key  Key
	list *[]Key      // of the plan, that key is to be on
	was  []Element   // the elements that it takes the place of; none: it is an addition
	also []pem.Owner // beside the key's

	returned bool      // nobody's again, so that it counts for no cluster
	retained bool      // stays for its retention period alone
	missing  time.Time // since when, where it is retained
	lapsing  bool      // to be removed once all clusters have answered
	out      bool      // left out of the list for want of room
}

// addition reports whether the element's key isn't trusted yet.
func (e *entry) addition() bool { return len(e.was) == 0 }

// growth returns how many bytes more an element takes than what it takes the place of.
func (e *entry) growth() int {
	if len(e.was) == 1 && e.was[0].Text == e.raw {
		return 0
	}
	n := e.size
	for _, t := range e.was {
		n -= jsonSize(t.Text)
	}
	return n
}

// take puts an element on the next list as it is.
func (p *planner) take(list *[]Key, t Element, reason string) *entry {
	return p.put(list, t, []Element{t}, reason)
}

func (p *planner) put(list *[]Key, t Element, was []Element, reason string) *entry {
	e := &entry{
		raw: t.Text, key: t.Key(reason), list: list, was: was, also: t.Block.Annotation.Also,
		missing: t.Block.Annotation.Missing,
	}
	p.next = append(p.next, e)
	return e
}

// write puts a new element of the key f on the next list, in the place of others or of none.
func (p *planner) write(list *[]Key, f pem.Fingerprint, b pem.Block, was []Element, reason string) *entry {
	text, err := b.MarshalText()
	if err != nil {
		// Every key here was parsed by jwks or pem, and every name checked: what can't
		// be written is a comment, and a key without its comment is better than none.
		b.Comment = ""
		b.Annotation.Unknown = nil
		text, err = b.MarshalText()
	}
	if err != nil {
		p.unwritable = cmp.Or(p.unwritable, fmt.Errorf("key %s of %s: %w", f, b.Annotation.Owner(), err))
	}
	return p.put(list, Element{Text: string(text), Block: b, Fingerprint: f}, was, reason)
}

// list puts the plan's lists together from what stays of the next list.
func (p *planner) list() {
	for _, e := range p.next {
		*e.list = append(*e.list, e.key)
	}
	slices.SortStableFunc(p.next, newestFirst)
	for _, e := range p.next {
		p.plan.Next = append(p.plan.Next, e.raw)
		if len(e.was) != 1 || e.was[0].Text != e.raw {
			if p.plan.fresh == nil {
				p.plan.fresh = map[string]bool{}
			}
			p.plan.fresh[e.raw] = true
		}
	}
}

// newestFirst orders elements so that a login, which tries them in turn, finds the key in
// use soonest. Elements of unknown age come last, in the order they had.
func newestFirst(a, b *entry) int {
	if c := b.key.Added.Compare(a.key.Added); c != 0 {
		return c
	}
	if a.key.Added.IsZero() {
		return 0
	}
	return byFingerprint(a, b)
}

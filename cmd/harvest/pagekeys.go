package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// keyState is how a key stands to a mount; the page shows the word.
type keyState string

const (
	stateTrusted  keyState = "trusted"
	statePending  keyState = "pending"
	stateRetained keyState = "retained"
	stateOutgoing keyState = "outgoing"
	stateDenied   keyState = "denied"
	stateClaimed  keyState = "claimed"
	stateForeign  keyState = "foreign"
	stateSkipped  keyState = "skipped"
)

// legends say what each state means, in the order of the table.
var legends = []legend{
	{statePending, "published, and not trusted yet"},
	{stateTrusted, "on the mount: whoever holds its private half can log in"},
	{stateRetained, "no longer published, and trusted until its retention period ends"},
	{stateOutgoing, "trusted, and to be removed"},
	{stateClaimed, "trusted, and another harvester's: never touched here"},
	{stateForeign, "trusted, and of no known cluster"},
	{stateDenied, "named as denied: not trusted, or about to go"},
	{stateSkipped, "published, and not trusted; the note says why"},
}

func stateRank(s keyState) int {
	return slices.IndexFunc(legends, func(l legend) bool { return l.State == s })
}

// shownKey is what stays of a key once its plan is gone. Its strings are shared: one cluster's
// keys are on many mounts.
type shownKey struct {
	source           sourceID
	kid, alg, reason string
	fingerprint      pem.Fingerprint
	added            time.Time
	state            keyState
	trusted          bool // it is on the mount
}

// shownKeys are the keys of a mount: maxShownRows of them, and how many more there are.
type shownKeys struct {
	list []shownKey
	more map[standingKey]int
}

// standingKey is what is counted of a key that isn't shown.
type standingKey struct {
	state   keyState
	trusted bool
}

// shownOf returns the keys of a plan, as they stand before it is carried out or after. What
// changes comes first: it is shown, however many keys stay as they are.
func shownOf(p *vaultsync.Plan, done bool) shownKeys {
	var s shownKeys
	for _, part := range []struct {
		keys  []vaultsync.Key
		state keyState
		kind  vaultsync.EventKind
	}{
		{p.Remove, stateOutgoing, vaultsync.EventRemoved}, {p.Add, statePending, vaultsync.EventAdded}, {p.Adopt, stateTrusted, vaultsync.EventAdopted},
		{p.Keep, stateTrusted, ""}, {p.Claimed, stateClaimed, ""}, {p.Foreign, stateForeign, ""},
		{p.Skipped, stateSkipped, ""},
	} {
		for _, k := range part.keys {
			state := part.state
			switch {
			case state == statePending && done:
				state, k.Reason = stateTrusted, ""
			case state == stateOutgoing && done:
				continue
			case k.Reason == vaultsync.ReasonDenied:
				state = stateDenied
				if part.state == stateOutgoing {
					k.Reason = "denied, and still trusted: to be removed"
				}
			case state == stateTrusted && p.Retained(k.Fingerprint):
				state = stateRetained
			case state == stateTrusted && (k.Reason == "published" || done && part.kind == vaultsync.EventAdopted):
				k.Reason = "" // the state says it
			}
			s.add(k, state, state == stateTrusted || part.state != statePending && part.state != stateSkipped)
		}
	}
	return s
}

// shownTrusted returns the keys that a mount trusts, compared with nothing.
func shownTrusted(keys []vaultsync.Key) shownKeys {
	var s shownKeys
	for _, k := range keys {
		state := stateTrusted
		if k.Cluster == "" {
			state = stateForeign
		}
		s.add(k, state, true)
	}
	return s
}

func (s *shownKeys) add(k vaultsync.Key, state keyState, trusted bool) {
	if len(s.list) == maxShownRows {
		if s.more == nil {
			s.more = map[standingKey]int{}
		}
		s.more[standingKey{state, trusted}]++
		return
	}
	share := func(s string) string { return unique.Make(text.Cut(s, maxShownText)).Value() }
	s.list = append(s.list, shownKey{
		source: sourceID{share(k.Cluster), share(k.Region)}, kid: share(k.KeyID), alg: share(k.Algorithm), reason: share(k.Reason),
		fingerprint: k.Fingerprint, added: k.Added, state: state, trusted: trusted,
	})
}

// sort puts what waits first, then each owner's keys, the newest first.
func (s *shownKeys) sort() {
	slices.SortStableFunc(s.list, func(a, b shownKey) int {
		return cmp.Or(
			cmp.Compare(stateRank(a.state), stateRank(b.state)), compareSources(a.source, b.source), b.added.Compare(a.added),
			cmp.Compare(a.kid, b.kid), slices.Compare(a.fingerprint[:], b.fingerprint[:]),
		)
	})
}

// update takes in what happened to a key since the plan.
func (s *shownKeys) update(e vaultsync.Event) {
	shown := len(s.list)
	s.list = slices.DeleteFunc(s.list, func(k shownKey) bool {
		return k.fingerprint == e.Key.Fingerprint && k.state != stateSkipped && k.state != stateClaimed
	})
	if len(s.list) == shown { // it is one of those that are only counted, or new
		s.uncount(e.Kind)
	}
	if e.Kind != vaultsync.EventRemoved {
		e.Key.Reason = ""
		s.add(e.Key, stateTrusted, true)
	}
}

// uncount takes one from those that aren't shown and could be what an event is of.
func (s *shownKeys) uncount(kind vaultsync.EventKind) {
	for _, was := range map[vaultsync.EventKind][]standingKey{
		vaultsync.EventAdded:   {{statePending, false}},
		vaultsync.EventAdopted: {{stateTrusted, true}, {stateForeign, true}},
		vaultsync.EventRemoved: {{stateOutgoing, true}, {stateDenied, true}},
	}[kind] {
		if s.more[was] > 0 {
			s.more[was]--
			return
		}
	}
}

func (s *shownKeys) trusted() int {
	return s.count(func(k standingKey) bool { return k.trusted })
}

// pending returns how many keys are to be added, and how many to be removed.
func (s *shownKeys) pending() (add, remove int) {
	return s.count(func(k standingKey) bool { return k.state == statePending }),
		s.count(func(k standingKey) bool { return k.state == stateOutgoing || k.state == stateDenied && k.trusted })
}

// count counts keys, shown or not.
func (s *shownKeys) count(of func(standingKey) bool) int {
	n := 0
	for _, k := range s.list {
		if of(standingKey{k.state, k.trusted}) {
			n++
		}
	}
	for k, times := range s.more {
		if of(k) {
			n += times
		}
	}
	return n
}

// unshown says how many keys aren't shown, by their states; "": all are.
func (s *shownKeys) unshown() string {
	sum := 0
	var parts []string
	for _, l := range legends {
		n := s.more[standingKey{l.State, false}] + s.more[standingKey{l.State, true}]
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, l.State))
		}
		sum += n
	}
	if sum == 0 {
		return ""
	}
	return fmt.Sprintf("%d more %s shown: %s.", sum, map[bool]string{true: "key isn't", false: "keys aren't"}[sum == 1], strings.Join(parts, ", "))
}

// newest returns when each owner's newest key came to be trusted.
func (s *shownKeys) newest() map[sourceID]time.Time {
	newest := map[sourceID]time.Time{}
	for _, k := range s.list {
		if k.state == stateTrusted && k.added.After(newest[k.source]) {
			newest[k.source] = k.added
		}
	}
	return newest
}

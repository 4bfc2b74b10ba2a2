package main

import (
	"cmp"
	"slices"
	"time"
	"unique"

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

// shownKeys are the keys of a mount, maxShownRows at the most.
type shownKeys struct {
	list []shownKey
	more int
}

// shownOf returns the keys of a plan, as they stand before it is carried out or after.
func shownOf(p *vaultsync.Plan, done bool) shownKeys {
	var s shownKeys
	for _, part := range []struct {
		keys  []vaultsync.Key
		state keyState
		kind  vaultsync.EventKind
	}{
		{p.Add, statePending, vaultsync.EventAdded}, {p.Keep, stateTrusted, ""}, {p.Adopt, stateTrusted, vaultsync.EventAdopted},
		{p.Claimed, stateClaimed, ""}, {p.Foreign, stateForeign, ""}, {p.Remove, stateOutgoing, vaultsync.EventRemoved},
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
		s.more++
		return
	}
	share := func(text string) string { return unique.Make(bounded(text, maxShownText)).Value() }
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
	s.list = slices.DeleteFunc(s.list, func(k shownKey) bool {
		return k.fingerprint == e.Key.Fingerprint && k.state != stateSkipped && k.state != stateClaimed
	})
	if e.Kind != vaultsync.EventRemoved {
		e.Key.Reason = ""
		s.add(e.Key, stateTrusted, true)
	}
}

func (s *shownKeys) trusted() int {
	n := 0
	for _, k := range s.list {
		if k.trusted {
			n++
		}
	}
	return n
}

func (s *shownKeys) count(states ...keyState) int {
	n := 0
	for _, k := range s.list {
		if slices.Contains(states, k.state) {
			n++
		}
	}
	return n
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

package monitor

import (
	"cmp"
	"slices"
	"time"
	"unique"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// KeyState is how a key stands to a mount; the page shows the word.
type KeyState string

// States.
const (
	Pending  KeyState = "pending"  // published, and not trusted yet
	Refused  KeyState = "refused"  // published, and not trusted: the turnover is refused
	Trusted  KeyState = "trusted"  // on the mount
	Retained KeyState = "retained" // no longer published, and trusted until its retention period ends
	Outgoing KeyState = "outgoing" // trusted, and to be removed
	Claimed  KeyState = "claimed"  // trusted, and another harvester's
	Foreign  KeyState = "foreign"  // trusted, and of no known cluster
	Denied   KeyState = "denied"   // named as denied: not trusted, or to be removed
	Skipped  KeyState = "skipped"  // published, and not trusted
)

// states are in the order in which they are shown: what changes comes first, however many keys stay
// as they are.
var states = []KeyState{Pending, Refused, Outgoing, Denied, Trusted, Retained, Claimed, Foreign, Skipped}

// Key is what stays of a key once its plan is gone. Its strings are shared: one cluster's
// keys are on many mounts.
type Key struct {
	Owner                    pem.Owner
	KeyID, Algorithm, Reason string
	Fingerprint              pem.Fingerprint
	Added                    time.Time
	State                    KeyState
	Trusted                  bool // it is on the mount
}

// Keys are the keys of a mount. Of those that are skipped, which a remote may have very many of,
// MaxRows at most are listed.
type Keys struct {
	List     []Key
	Unlisted int
}

// KeysOf returns the keys of a plan, as they stand before it is carried out or after.
func KeysOf(p *plan.Plan, done bool) Keys {
	var s Keys
	for _, part := range []struct {
		keys  []plan.Key
		state KeyState
		kind  vaultsync.EventKind
	}{
		{p.Remove, Outgoing, vaultsync.EventRemoved}, {p.Add, Pending, vaultsync.EventAdded}, {p.Adopt, Trusted, vaultsync.EventAdopted},
		{p.Keep, Trusted, ""}, {p.Claimed, Claimed, ""}, {p.Foreign, Foreign, ""},
		{p.Skipped, Skipped, ""},
	} {
		for _, k := range part.keys {
			state := part.state
			switch {
			case state == Pending && done:
				state, k.Reason = Trusted, ""
			case state == Outgoing && done:
				continue
			case k.Reason == plan.ReasonDenied:
				state = Denied
				if part.state == Outgoing {
					k.Reason = "denied, and still trusted: to be removed"
				}
			case state == Trusted && retained(p, k.Fingerprint):
				state = Retained
			case state == Trusted && (k.Reason == "published" || done && part.kind == vaultsync.EventAdopted):
				k.Reason = "" // the state says it
			}
			s.add(k, state, state == Trusted || part.state != Pending && part.state != Skipped)
		}
	}
	return s
}

func retained(p *plan.Plan, f pem.Fingerprint) bool {
	_, retained := p.Retained[f]
	return retained
}

// TrustedKeys returns the keys that a mount trusts, compared with nothing.
func TrustedKeys(keys []plan.Key) Keys {
	var s Keys
	for _, k := range keys {
		state := Trusted
		if k.Cluster == "" {
			state = Foreign
		}
		s.add(k, state, true)
	}
	return s
}

func (s *Keys) add(k plan.Key, state KeyState, trusted bool) {
	if !trusted && state != Pending && len(s.List) >= MaxRows {
		s.Unlisted++
		return
	}
	s.List = append(s.List, Key{
		Owner: pem.Owner{Cluster: share(k.Cluster), Region: share(k.Region)}, KeyID: share(k.KeyID), Algorithm: share(k.Algorithm),
		Reason: share(k.Reason), Fingerprint: k.Fingerprint, Added: k.Added, State: state, Trusted: trusted,
	})
}

// share returns a string that many keys have, cut where it is long.
func share(s string) string { return unique.Make(text.Cut(s, MaxText)).Value() }

// AddPublished adds a cluster's keys that aren't among these: the plan left them out, because their
// turnover is refused, or there has been no plan since they came.
func (s *Keys) AddPublished(keys []Key, refused bool) {
	listed := make(map[pem.Fingerprint]bool, len(s.List))
	for _, k := range s.List {
		listed[k.Fingerprint] = true
	}
	for _, k := range keys {
		if listed[k.Fingerprint] {
			continue
		}
		k.State = Pending
		if refused {
			k.State = Refused
		}
		s.List = append(s.List, k)
	}
}

// Sort puts what changes first, then each owner's keys, the newest first.
func (s *Keys) Sort() {
	slices.SortStableFunc(s.List, func(a, b Key) int {
		return cmp.Or(
			cmp.Compare(slices.Index(states, a.State), slices.Index(states, b.State)), CompareOwners(a.Owner, b.Owner), b.Added.Compare(a.Added),
			cmp.Compare(a.KeyID, b.KeyID), slices.Compare(a.Fingerprint[:], b.Fingerprint[:]),
		)
	})
}

// update takes in what happened to a key since the plan.
func (s *Keys) update(e vaultsync.Event) {
	s.List = slices.DeleteFunc(s.List, func(k Key) bool {
		return k.Fingerprint == e.Key.Fingerprint && k.State != Skipped && k.State != Claimed
	})
	if e.Kind != vaultsync.EventRemoved {
		e.Key.Reason = ""
		s.add(e.Key, Trusted, true)
	}
}

// TrustedCount returns how many keys are on the mount.
func (s *Keys) TrustedCount() int {
	return s.count(func(k Key) bool { return k.Trusted })
}

// PendingCount returns how many keys are to be added, and how many to be removed.
func (s *Keys) PendingCount() (add, remove int) {
	return s.count(func(k Key) bool { return k.State == Pending }),
		s.count(func(k Key) bool { return k.State == Outgoing || k.State == Denied && k.Trusted })
}

// RefusedCount returns how many keys wait because their turnover is refused.
func (s *Keys) RefusedCount() int {
	return s.count(func(k Key) bool { return k.State == Refused })
}

func (s *Keys) count(of func(Key) bool) int {
	n := 0
	for _, k := range s.List {
		if of(k) {
			n++
		}
	}
	return n
}

// Newest returns when each owner's newest key came to be trusted.
func (s *Keys) Newest() map[pem.Owner]time.Time {
	newest := map[pem.Owner]time.Time{}
	for _, k := range s.List {
		if k.State == Trusted && k.Added.After(newest[k.Owner]) {
			newest[k.Owner] = k.Added
		}
	}
	return newest
}

// CompareOwners sorts by cluster, then by region.
func CompareOwners(a, b pem.Owner) int {
	return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Region, b.Region))
}

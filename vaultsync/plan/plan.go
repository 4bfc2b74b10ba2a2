// Package plan decides how a list of trusted keys must change to hold what clusters publish now. It
// knows no store: it works on annotated elements (see package pem) and [Rules], reads no clock and
// no network, uses no randomness, and gives the same plan for the same arguments. A Vault mount is
// one store of such a list; package vaultsync keeps it.
//
//	want := plan.Desired{Clusters: []string{"us-east"}, Results: results}
//	p, err := plan.New(plan.Read(list), want, plan.Rules{Now: now})
//	…
//	write(p.Next)
package plan

import (
	"crypto"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

var (
	// ErrTurnover: none of a cluster's published keys is trusted already. [Rules.AllowTurnover]
	// allows it. Wrapped by a *TurnoverError.
	ErrTurnover = errors.New("none of the published keys is trusted already")
	// ErrLastKey: no key would be left.
	ErrLastKey = errors.New("no key would be left on the mount")
	// ErrNotRead: a region that the list has keys of, or a whole cluster, was not
	// among those fetched.
	ErrNotRead = errors.New("no longer configured, or gone from the federation")
)

// Desired is what a list should hold.
type Desired struct {
	// Clusters are the names that are trusted. The first one that publishes a key owns it.
	Clusters []string
	// Results are what they publish now. Results of other clusters are ignored.
	Results []jwks.Result
}

// Key is one key in a plan.
type Key struct {
	pem.Owner                    // whose it is; zero for foreign keys
	KeyID       string           `json:"kid"`
	Algorithm   string           `json:"alg"`            // the first one that it signs with
	Algorithms  []string         `json:"algs,omitempty"` // all, where there are several
	Fingerprint pem.Fingerprint  `json:"sha256"`
	Added       time.Time        `json:"added,omitzero"` // when it came to be trusted
	Reason      string           `json:"reason"`
	Public      crypto.PublicKey `json:"-"`
}

// newKey returns a published key as a plan shows it.
func newKey(owner pem.Owner, k jwks.Key, f pem.Fingerprint) Key {
	key := Key{Owner: owner, KeyID: k.KeyID, Fingerprint: f, Public: k.Public}
	key.setAlgorithms(k.Algorithms)
	return key
}

// String returns whose the key is, its id, what it signs with, and its shortened fingerprint.
func (k Key) String() string {
	return strings.Join(strings.Fields(strings.Join([]string{k.Owner.String(), k.KeyID, k.Algorithm, k.Fingerprint.Short()}, " ")), " ")
}

// Failure is a cluster, or a region of it, whose keys could not be read, for whose keys there is no
// room, or whose logins are refused although its keys are trusted. Its trusted keys stay.
type Failure struct {
	pem.Owner
	Kept int   // trusted keys that stay because of it; if a mount refuses its logins, those that are useless
	Err  error // ErrTurnover, ErrNotRead, ErrNoRoom, jwks.ErrNoKeys, what the fetch gave, or what a store finds
}

// String returns the failure as an error's text.
func (f Failure) String() string { return f.AsError().Error() }

// AsError returns the failure as the error of its cluster and region.
func (f Failure) AsError() *jwks.ClusterError {
	if wrapped, ok := errors.AsType[*jwks.ClusterError](f.Err); ok {
		return wrapped
	}
	return &jwks.ClusterError{Cluster: f.Cluster, Region: f.Region, Err: f.Err}
}

// Plan is what must change on a list. Each element of the list is on one of Adopt, Keep, Remove,
// Claimed and Foreign. A key with several elements may be on several, and a denied key that is
// published is on Remove and on Skipped.
type Plan struct {
	Store    string    // what keeps the list; "": not said
	Made     time.Time // Rules.Now
	Clusters []string  // Desired.Clusters
	// Base identifies the list that the plan was made for. A store may add what else its writes
	// depend on.
	Base string

	Changed bool      // whether anything is to be written
	Add     []Key     // published, not trusted
	Adopt   []Key     // trusted, and its annotation is written again
	Keep    []Key     // trusted, and stays as it is
	Remove  []Key     // trusted, and goes
	Claimed []Key     // of another harvester, or of a newer harvest; stays
	Foreign []Key     // nobody's; stays
	Skipped []Key     // published, but not to be trusted; the reason says why
	Failed  []Failure // what could not be read, or has no room

	// Settings are what a store writes besides the list, by field.
	Settings []Change

	// Warnings say why a login could still fail, and other things: at most one for each setting,
	// name or cluster's region.
	Warnings []string
	// Remarks are about the sets, each of which has at most 1,000 members, and about annotations.
	// Show them after Warnings.
	Remarks []string
	// LockedOut are published and trusted keys that sign with none of [Rules.Algorithms], by their
	// owner, who can't log in with them.
	LockedOut [][]Key

	// Next is the new list, newest keys first. A plan that was read back has none until Check
	// returns it.
	Next []string
	// Emptied reports whether Next is empty and the list was not ([Rules.AllowEmpty]).
	Emptied bool
	// Unjudged reports whether a published key waits because there was no time to judge it.
	Unjudged bool
	// Doubtful are the owners whose source has no index and whose answer lacks a key that is
	// trusted for them: another answer, a moment later, may have it.
	Doubtful []pem.Owner
	// Unconfirmed reports whether a key stays because its cluster was asked before the key was
	// added: the next answer decides.
	Unconfirmed bool

	// Retained are keys on Keep or Adopt that are no longer published, and stay only for their
	// retention period. True: it begins with this plan.
	Retained map[pem.Fingerprint]bool
	// GivenBack are keys that were foreign, then published by a cluster, and no longer are. On a
	// list that holds others' keys too they stay trusted until they are denied.
	GivenBack []Key
	// UnderTwoNames are the keys on Claimed that a cluster of this list has too. Perhaps one
	// cluster has two names: a key that it drops stays trusted under the other.
	UnderTwoNames []Key

	fresh  map[string]bool // elements of Next that don't stand on the list as they are
	stored []string        // of a plan that was read back: those, and references to the others
}

// Change is one field that changes; both sides are JSON texts.
type Change struct {
	Field  string `json:"field"`
	Before string `json:"before"` // "" where there is nothing
	After  string `json:"after"`
}

// Reasons of keys that a caller decides by.
const (
	ReasonDenied    = "denied"                                 // of a key on Remove or Skipped
	ReasonPublished = "published"                              // of a key on Keep that a cluster publishes now
	ReasonNoRoom    = "published; waits for room on the mount" // of a key on Skipped
)

func (p *Plan) retain(f pem.Fingerprint, begins bool) {
	if p.Retained == nil {
		p.Retained = map[pem.Fingerprint]bool{}
	}
	p.Retained[f] = begins
}

// TurnoverError is ErrTurnover with the keys on both sides.
type TurnoverError struct {
	pem.Owner
	Trusted, Published []pem.Fingerprint
	// SameKeyID is a key ID that names different keys on both sides; "": there is none. One key ID
	// should name one key, so the cluster's servers disagree, or somebody imitates the cluster.
	SameKeyID string
}

// Error implements error.
func (e *TurnoverError) Error() string {
	why := "a wrong address, a rebuilt cluster, or one name for two clusters"
	if e.SameKeyID != "" {
		why = fmt.Sprintf("both sides have kid %q, of different keys: servers of the cluster disagree, as leader and follower of Nomad 1.7.0 did, "+
			"or somebody imitates it; ask each server, and mend those that differ", e.SameKeyID)
	}
	return fmt.Sprintf("%v: trusted %s, published %s; %s", ErrTurnover, shorts(e.Trusted), shorts(e.Published), why)
}

// Is reports true for ErrTurnover.
func (e *TurnoverError) Is(target error) bool { return target == ErrTurnover }

func shorts(fps []pem.Fingerprint) string {
	const most = 4
	var out []string
	for _, f := range fps[:min(len(fps), most)] {
		out = append(out, f.Short())
	}
	if len(fps) > most {
		out = append(out, fmt.Sprintf("and %d more", len(fps)-most))
	}
	return strings.Join(out, ", ")
}

// New returns what must change on a list of elements so that it holds what want does, under these
// rules. A cluster that could not be read is no error: it is on Plan.Failed, and its keys stay.
// Neither is a cluster whose keys have no room: see [Rules.MaxKeys] and [Rules.MaxSize].
//
// The error wraps [ErrLastKey], or says what is wrong with the arguments.
func New(elements []Element, want Desired, rules Rules) (*Plan, error) {
	if rules.Now.IsZero() {
		return nil, errors.New("Now is not set: a plan needs the time")
	}
	if err := rules.Check(want.Clusters); err != nil {
		return nil, err
	}
	p := newPlanner(elements, want, rules)
	if err := p.readResults(); err != nil {
		return nil, err
	}
	p.readTrusted()
	p.noteDoubts()
	p.refuseTurnovers()
	p.noteMissingRegions()
	p.noteSilentClusters()
	p.noteNewcomer()
	p.offer()
	p.reconcile()
	p.passThrough()
	p.fit()
	p.passPlaceholders()
	return p.finish()
}

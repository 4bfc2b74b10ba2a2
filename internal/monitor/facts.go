package monitor

import (
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Facts are what a status page is made of: as a watch remembers them, or as a run of status has
// just read them.
type Facts struct {
	Clusters []ClusterFacts
	Mounts   []MountFacts
	Problems []Problem // of neither, such as a login
	Watching bool
	Rotation time.Duration // Nomad's root_key_rotation_threshold; zero: not said
}

// ClusterFacts are what is known of a cluster, or of a region of it.
type ClusterFacts struct {
	Owner     pem.Owner
	From      string // what it is read from; "": unknown
	Read      time.Time
	Failing   bool
	Last      LastError
	Published int // keys; -1: unknown
	Skipped   int // members of its set that aren't taken
}

// MountFacts are what is known of a mount.
type MountFacts struct {
	ID        vaultsync.MountID
	Clusters  []string // that it is to trust
	Synced    time.Time
	Known     bool // its keys are
	Syncing   bool // for the first time
	InSync    bool
	Failing   bool
	Last      LastError
	Keys      Keys
	Partial   bool            // some cluster's keys could not be learned
	Failures  []SourceFailure // of such clusters, beside what they have themselves
	Settings  int             // stated settings that are otherwise
	Warnings  []string
	Repaired  int // keys put back or taken away again
	Conflicts int
	Problems  []Problem // what a check of its roles and its configuration finds
}

// LastError is what went wrong last, also where it goes well since.
type LastError struct {
	Text string // "": nothing
	At   time.Time
	Hint string // what to do about it, in lines; "": the text says it
}

// SourceFailure is what a mount has against a cluster that was read.
type SourceFailure struct {
	Owner pem.Owner
	Last  LastError
}

// Problem is something to look at.
type Problem struct {
	Severity string // error, warning or note
	Where    string // a mount, a cluster, a Vault
	Message  string
	Fix      string // may have several lines; "": the message says it
}

// Severities.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
	SeverityNote    = "note"
)

// Bounds of what a remote says; the page shows no more of it.
const (
	MaxText    = 300 // bytes of an error or a reason
	maxHint    = 4096
	MaxRows    = 2000 // of a table
	MaxRemarks = 50   // of a mount
)

// FromNomad is what ClusterFacts.From says of a Nomad, whose keys have a next rotation.
const FromNomad = "Nomad"

// Shown is an error as a page shows it, beside the name of what it is of.
func Shown(err error) string {
	return strings.Clone(text.Cut(MountCause(ClusterCause(err)).Error(), MaxText))
}

// Describe takes in what each cluster is read from.
func (b *Board) Describe(from map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.from = from
}

// Published returns the keys of a set, which may be nil, as those of an owner.
func Published(owner pem.Owner, set *jwks.Set) []Key {
	var keys []Key
	if set == nil {
		return nil
	}
	for _, k := range set.Keys {
		if f, err := pem.FingerprintOf(k.Public); err == nil {
			keys = append(keys, Key{Owner: owner, KeyID: share(k.KeyID), Algorithm: share(append(k.Algorithms, "")[0]), Fingerprint: f})
		}
	}
	return keys
}

// keys are those that the source publishes.
func (s *sourceState) keys(owner pem.Owner) []Key {
	var keys []Key
	for f, k := range s.arrived {
		keys = append(keys, Key{Owner: owner, KeyID: k.keyID, Algorithm: k.algorithm, Fingerprint: f})
	}
	return keys
}

// keysOf returns a mount's keys, and those that its clusters publish besides; b.mu must be held.
func (b *Board) keysOf(m *mountState) Keys {
	keys := Keys{slices.Clone(m.keys.List), m.keys.Unlisted}
	for source, s := range b.sources {
		if slices.Contains(m.Clusters, source.Cluster) {
			keys.AddPublished(s.keys(source), m.failed[source].kind == "turnover")
		}
	}
	return keys
}

// Facts returns a copy of what a page shows, its times as they are called now.
func (b *Board) Facts(now time.Time) Facts {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return inPresentTime(t, now)
	}
	last := func(e LastError) LastError { return LastError{e.Text, at(e.At), e.Hint} }
	f := Facts{Watching: true}
	for id, s := range b.sources {
		c := ClusterFacts{
			Owner: id, From: b.from[id.Cluster], Read: at(s.good), Failing: s.failure.kind != "", Last: last(s.failure.last), Published: -1,
		}
		if s.arrived != nil {
			c.Published = len(s.arrived)
			for _, n := range s.skipped {
				c.Skipped += n
			}
		}
		f.Clusters = append(f.Clusters, c)
	}
	for id, m := range b.mounts {
		one := MountFacts{
			ID: id, Clusters: m.Clusters, Synced: at(m.inSync), Known: m.attempted && m.read || len(m.keys.List) > 0,
			Syncing: !m.attempted, InSync: m.synced, Partial: m.partial, Failing: m.failure.kind != "",
			Last: last(m.failure.last), Keys: b.keysOf(m), Warnings: m.warned,
			Repaired: int(m.drift), Conflicts: int(m.conflicts), Settings: m.settings,
		}
		for source, failed := range m.failed {
			one.Failures = append(one.Failures, SourceFailure{source, last(failed.last)})
		}
		if m.forbidden != "" {
			one.Problems = append(one.Problems, Problem{
				Severity: SeverityError, Message: "keys can't be written: " + m.forbidden, Fix: "The policy that harvest policy prints suffices.",
			})
		}
		f.Mounts = append(f.Mounts, one)
	}
	for vault, failed := range b.logins {
		f.Problems = append(f.Problems, Problem{
			Severity: SeverityError, Where: text.Escape("Vault " + vault), Message: text.Escape("no token: " + failed.last.Text),
		})
	}
	return f
}

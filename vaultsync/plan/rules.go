package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/pem"
)

// Foreign says what to do with trusted keys that have no annotation.
type Foreign string

// What to do with foreign keys. One that a cluster publishes is adopted in any case.
const (
	ForeignKeep   Foreign = "keep"   // stay, without a word
	ForeignWarn   Foreign = "warn"   // stay, with a warning; what "" means
	ForeignRemove Foreign = "remove" // are removed, once every cluster, region and list of regions has been read or has keys here
)

// AllRegions is the Region of a jwks.Result that stands for the list of regions.
const AllRegions = "*"

// NoRetain is the Rules.Retain that keeps no key for longer than it is published.
const NoRetain time.Duration = -1

// UnindexedRetain is how long keys of sources without an index are kept where Rules.Retain is zero.
const UnindexedRetain = time.Hour

// DefaultMaxKeys is Rules.MaxKeys where that is zero.
const DefaultMaxKeys = 256

// Rules are the rules of a plan. The zero value, with Now set, is the careful default.
type Rules struct {
	// Now is the time of the plan; it must be set.
	Now time.Time
	// Foreign says what to do with keys without an annotation; "" is ForeignWarn.
	Foreign Foreign
	// Retired strikes off clusters ("old") and single regions ("us-east/eu-1", or "us-east/" for
	// the agent's own): their keys move to a desired cluster that publishes them, or are removed.
	// This is how a cluster is renamed.
	Retired []string
	// Retain is how long to keep a key after it was first seen to be no longer published. Zero is
	// UnindexedRetain for the keys of sources without an index (jwks.Set.Unindexed), whose answers
	// may differ although nothing changed, and no time for others. NoRetain is no time for all.
	Retain time.Duration
	// AllowTurnover names clusters, or single regions in the form of Retired, whose trusted keys
	// may all be replaced at once. "*" is every cluster.
	AllowTurnover []string
	// Pin names, by cluster, the only keys that are trusted from it. A cluster that it doesn't name
	// isn't limited.
	Pin map[string][]pem.Fingerprint
	// Deny names keys that are never trusted. They are removed wherever they are found, no matter
	// whose they are.
	Deny []pem.Fingerprint
	// AllowEmpty lets the last key go.
	AllowEmpty bool
	// MaxKeys is how many keys of one cluster the list takes; zero is DefaultMaxKeys. Keys that are
	// trusted and still published stay, however many they are.
	MaxKeys int

	// MaxAge is how old a plan may be for [Plan.Check]; zero is a day.
	MaxAge time.Duration

	// MaxSize is how many bytes the store takes: the elements as JSON, and Size for everything
	// else. Zero: no limit. Keys that are trusted and still published stay, however large they are.
	MaxSize, Size int
	// Algorithms are what the store's logins may be signed with; empty: any.
	Algorithms []string
	// LeaveOut is the reason that is given when a key that signs with none of Algorithms is left
	// out; "": such a key is added.
	LeaveOut string

	// Partial: not all clusters have answered yet, and another plan follows when they have. This
	// plan removes only denied keys.
	Partial bool
	// History is what a process that watches the list has seen, by its own clock, which nobody can
	// set; nil: nothing. The times in an annotation come from a clock that somebody can set,
	// perhaps another machine's.
	History interface {
		// NewerThan reports whether a key is known to have been added to the list after that time.
		NewerThan(f pem.Fingerprint, t time.Time) bool
		// Missing returns for how long a key's retention period is known to have run, without the
		// key having been published in between; false: it isn't known to have begun.
		Missing(f pem.Fingerprint) (time.Duration, bool)
	}
	// Verdicts are those that a sync reached before, so that the plan takes a short time. The plan
	// judges the keys that have none; if it is nil, all of them. Its type is internal to this
	// module.
	Verdicts *verdicts.Known
}

func (r Rules) maxKeys() int {
	if r.MaxKeys == 0 {
		return DefaultMaxKeys
	}
	return r.MaxKeys
}

// fits reports whether a store has room for that many bytes.
func (r Rules) fits(size int) bool { return r.MaxSize == 0 || size <= r.MaxSize }

func (r Rules) foreign() Foreign {
	if r.Foreign == "" {
		return ForeignWarn
	}
	return r.Foreign
}

// ruleIndex are rules with their lists of keys to look up: there may be hundreds of thousands of
// keys to ask of.
type ruleIndex struct {
	Rules
	denied map[pem.Fingerprint]bool
	pinned map[string]map[pem.Fingerprint]bool
}

func (r Rules) index() ruleIndex {
	x := ruleIndex{r, setOf(r.Deny), map[string]map[pem.Fingerprint]bool{}}
	x.Algorithms = slices.Compact(slices.Sorted(slices.Values(r.Algorithms)))
	for cluster, pins := range r.Pin {
		x.pinned[cluster] = setOf(pins)
	}
	return x
}

func (x ruleIndex) denies(f pem.Fingerprint) bool { return x.denied[f] }

// pins reports whether a key may be trusted from a cluster, as far as pins go.
func (x ruleIndex) pins(cluster string, f pem.Fingerprint) bool {
	pins, limited := x.pinned[cluster]
	return !limited || pins[f]
}

// oddity returns what an annotation has that harvest never writes, so that its element isn't
// harvest's: more owners than are named, or a region that couldn't be written among a key's further
// owners, or that stands for all of them. "" if it has no such thing.
func (r Rules) oddity(a pem.Annotation) string {
	odd := func(o pem.Owner) bool { return !rule.IsRegion(o.Region) && !r.retires(o) }
	switch {
	case overlong(a.Also):
		return "more owners than harvest writes"
	case slices.ContainsFunc(a.Owners(), odd):
		return "a region whose name harvest doesn't write"
	}
	return ""
}

// retires reports whether an owner is struck off.
func (r Rules) retires(owner pem.Owner) bool { return rule.Names(r.Retired, owner) }

func (r Rules) mayTurnOver(owner pem.Owner) bool {
	return slices.Contains(r.AllowTurnover, "*") || rule.Names(r.AllowTurnover, owner)
}

// ErrInvalid: wrong arguments.
var ErrInvalid = errors.New("wrong arguments")

// invalid is an error that is ErrInvalid too.
type invalid struct{ error }

// Is reports true for ErrInvalid.
func (invalid) Is(target error) bool { return target == ErrInvalid }

// Unwrap returns the error.
func (e invalid) Unwrap() error { return e.error }

// Check refuses rules that contradict themselves or the desired clusters. The error wraps
// [ErrInvalid].
func (r Rules) Check(clusters []string) error {
	if err := r.check(clusters); err != nil {
		return invalid{err}
	}
	return nil
}

func (r Rules) check(clusters []string) error {
	if len(clusters) == 0 {
		return errors.New("no clusters: name at least one that this mount trusts")
	}
	named := make(map[string]bool, len(clusters))
	for _, name := range clusters {
		if err := rule.CheckCluster(name); err != nil {
			return err
		}
		if named[name] {
			return fmt.Errorf("cluster %q is named twice", name)
		}
		named[name] = true
		if slices.Contains(r.Retired, name) {
			return fmt.Errorf("cluster %q is both trusted and retired: take it from one of the two", name)
		}
	}
	for _, name := range r.Retired {
		cluster, _, _ := strings.Cut(name, "/")
		if err := rule.CheckCluster(cluster); err != nil {
			return fmt.Errorf("retired: %w", err)
		}
	}
	for name, pins := range r.Pin {
		if err := rule.CheckCluster(name); err != nil {
			return fmt.Errorf("pin: %w", err)
		}
		if len(pins) == 0 {
			return fmt.Errorf("cluster %q: an empty list of pins would trust none of its keys; name one or drop the list", name)
		}
	}
	switch r.foreign() {
	case ForeignKeep, ForeignWarn, ForeignRemove:
	default:
		return fmt.Errorf("foreign keys: %q is none of keep, warn and remove", r.Foreign)
	}
	if r.Retain < 0 && r.Retain != NoRetain || r.MaxKeys < 0 || r.MaxAge < 0 {
		return errors.New("retain, the number of keys and the age of a plan can't be negative")
	}
	return nil
}

// owns reports whether an element is a key of these clusters, or of retired ones.
func (r Rules) owns(t Element, clusters ranking) bool {
	a := t.Block.Annotation
	return !t.Foreign() && !a.Newer() && !a.Placeholder &&
		(clusters.has(a.Cluster) || r.retires(a.Owner())) && r.oddity(a) == ""
}

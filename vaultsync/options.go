package vaultsync

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/pem"
)

// Foreign says what becomes of trusted keys that carry no annotation.
type Foreign string

// What becomes of foreign keys. One that a cluster publishes is adopted in any case.
const (
	ForeignKeep   Foreign = "keep"   // stay, without a word
	ForeignWarn   Foreign = "warn"   // stay, with a warning; what "" means
	ForeignRemove Foreign = "remove" // go, once every cluster, region and list of regions has been read or has keys here
)

// Options are the rules for one mount. The zero value is the careful default.
type Options struct {
	// Now is the time of the plan. [NewPlan] needs it; a zero Now is the current time
	// for everything else.
	Now time.Time
	// Foreign is what becomes of keys without an annotation; "" is ForeignWarn.
	Foreign Foreign
	// Retired strikes off clusters ("old") and single regions ("us-east/eu-1", or
	// "us-east/" for the agent's own): their keys are given to a cluster of this
	// mount that publishes them, else removed. It is how a cluster is renamed.
	Retired []string
	// Retain keeps a key for so long after it was first seen to be no longer
	// published; zero: not at all.
	Retain time.Duration
	// AllowTurnover names clusters, or single regions in the form of Retired, whose
	// published keys may all be other ones than the trusted ones. "*" is every cluster.
	AllowTurnover []string
	// Pin names, by cluster, the only keys that are trusted from it; a cluster that
	// isn't in it is not limited.
	Pin map[string][]pem.Fingerprint
	// Deny names keys that are never trusted and that are removed wherever they are
	// found, whoever they belong to.
	Deny []pem.Fingerprint
	// AllowEmpty lets the last key go. Vault takes no empty list, so a fresh key takes
	// its place whose private half is thrown away.
	AllowEmpty bool
	// MaxKeys is how many keys of one cluster the mount takes; zero is 256. What is trusted
	// and still published stays, however much that is.
	MaxKeys int
	// Convert turns a mount that takes its keys from a URL or by discovery into one
	// with static keys.
	Convert bool

	// DefaultRole is written as the mount's default_role where it has none and none is
	// stated; "" leaves it. One that it has stays.
	DefaultRole string

	// Settings are what is stated of the mount besides its keys; the zero value states
	// nothing. A key whose algorithms are all outside a stated list isn't added.
	Settings Settings

	// Settle is how long after a write the mount is looked at again, for another writer's
	// doing; zero is a second. It must exceed twice the longest time that a write takes to
	// reach Vault, and be the same for all who write the mount.
	Settle time.Duration
	// Writes is how often one sync writes at the most; zero is 10.
	Writes int

	// Logger hears about what is done; nil is silence.
	Logger *slog.Logger
	// OnEvent is called for each change and failure, from one goroutine per mount at
	// a time; nil is nobody.
	OnEvent func(Event)
}

const (
	defaultSettle = time.Second
	defaultWrites = 10
	// DefaultMaxKeys is Options.MaxKeys where that is zero.
	DefaultMaxKeys = 256
)

func (o Options) settle() time.Duration {
	if o.Settle == 0 {
		return defaultSettle
	}
	return o.Settle
}

func (o Options) writes() int {
	if o.Writes == 0 {
		return defaultWrites
	}
	return o.Writes
}

func (o Options) maxKeys() int {
	if o.MaxKeys == 0 {
		return DefaultMaxKeys
	}
	return o.MaxKeys
}

func (o Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

func (o Options) foreign() Foreign {
	if o.Foreign == "" {
		return ForeignWarn
	}
	return o.Foreign
}

func (o Options) at(now time.Time) Options {
	if o.Now.IsZero() {
		o.Now = now
	}
	return o
}

func (o Options) denied(f pem.Fingerprint) bool { return slices.Contains(o.Deny, f) }

func (o Options) pinned(cluster string, f pem.Fingerprint) bool {
	pins, limited := o.Pin[cluster]
	return !limited || slices.Contains(pins, f)
}

func (o Options) retired(owner pem.Owner) bool { return names(o.Retired, owner) }

func (o Options) mayTurnOver(owner pem.Owner) bool {
	return slices.Contains(o.AllowTurnover, "*") || names(o.AllowTurnover, owner)
}

// names says whether list has owner's cluster or that very region of it.
func names(list []string, owner pem.Owner) bool {
	return slices.Contains(list, owner.Cluster) || slices.Contains(list, owner.Cluster+"/"+owner.Region)
}

// clusterName is what a cluster may be called: it stands in annotations, where blanks and
// slashes separate names. The length is checked apart: to repeat a pattern 128 times takes
// more to compile than the rest of a sync.
var (
	clusterName = onFirstUse(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	regionName  = onFirstUse(`^[A-Za-z0-9._-]*$`)
)

// maxName is how many bytes the name of a cluster or a region may have.
const maxName = 128

func isRegionName(name string) bool { return len(name) <= maxName && regionName().MatchString(name) }

// CheckClusterName refuses a name that annotations can't carry: letters, digits, ".", "_"
// and "-", beginning with a letter or digit, 128 bytes at most.
func CheckClusterName(name string) error {
	if len(name) > maxName || !clusterName().MatchString(name) {
		return fmt.Errorf("cluster name %q: use letters, digits, '.', '_' and '-', beginning with a letter or digit, 128 at most", name)
	}
	return nil
}

// check refuses options that contradict themselves or the mount's clusters.
func (o Options) check(clusters []string) error {
	if len(clusters) == 0 {
		return fmt.Errorf("no clusters: name at least one that this mount trusts")
	}
	for i, name := range clusters {
		if err := CheckClusterName(name); err != nil {
			return err
		}
		if slices.Contains(clusters[:i], name) {
			return fmt.Errorf("cluster %q is named twice", name)
		}
		if slices.Contains(o.Retired, name) {
			return fmt.Errorf("cluster %q is both trusted and retired: take it from one of the two", name)
		}
	}
	for _, name := range o.Retired {
		cluster, _, _ := strings.Cut(name, "/")
		if err := CheckClusterName(cluster); err != nil {
			return fmt.Errorf("retired: %w", err)
		}
	}
	for name, pins := range o.Pin {
		if err := CheckClusterName(name); err != nil {
			return fmt.Errorf("pin: %w", err)
		}
		if len(pins) == 0 {
			return fmt.Errorf("cluster %q: an empty list of pins would trust none of its keys; name one or drop the list", name)
		}
	}
	switch o.foreign() {
	case ForeignKeep, ForeignWarn, ForeignRemove:
	default:
		return fmt.Errorf("foreign = %q: want keep, warn or remove", o.Foreign)
	}
	if err := o.Settings.Check(); err != nil {
		return err
	}
	if o.Retain < 0 || o.Settle < 0 || o.Writes < 0 || o.MaxKeys < 0 {
		return fmt.Errorf("retain, settle, writes and the number of keys can't be negative")
	}
	return nil
}

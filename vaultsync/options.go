package vaultsync

import (
	"errors"
	"log/slog"
	"time"

	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Foreign says what becomes of trusted keys that carry no annotation.
type Foreign = plan.Foreign

// What becomes of foreign keys. One that a cluster publishes is adopted in any case.
const (
	ForeignKeep   = plan.ForeignKeep   // stay, without a word
	ForeignWarn   = plan.ForeignWarn   // stay, with a warning; what "" means
	ForeignRemove = plan.ForeignRemove // go, once every cluster, region and list of regions has been read or has keys here
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
	// OnEvent hears what happens to the mount, from one goroutine at a time. May be nil. A
	// [Harvester] has an OnEvent for all of its mounts and clusters.
	OnEvent func(Event)
}

const (
	defaultSettle = time.Second
	defaultWrites = 10
	// DefaultMaxKeys is Options.MaxKeys where that is zero.
	DefaultMaxKeys = plan.DefaultMaxKeys
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

func (o Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

func (o Options) at(now time.Time) Options {
	if o.Now.IsZero() {
		o.Now = now
	}
	return o
}

// rules returns those of a plan.
func (o Options) rules() plan.Rules {
	return plan.Rules{
		Now: o.Now, Foreign: o.Foreign, Retired: o.Retired, Retain: o.Retain, AllowTurnover: o.AllowTurnover,
		Pin: o.Pin, Deny: o.Deny, AllowEmpty: o.AllowEmpty, MaxKeys: o.MaxKeys,
	}
}

// check refuses options that contradict themselves or the mount's clusters.
func (o Options) check(clusters []string) error {
	if err := o.rules().Check(clusters); err != nil {
		return err
	}
	if err := o.Settings.Check(); err != nil {
		return err
	}
	if o.Settle < 0 || o.Writes < 0 {
		return errors.New("settle and writes can't be negative")
	}
	return nil
}

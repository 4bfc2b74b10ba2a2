package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Options are the rules for one mount. The zero value is the careful default.
type Options struct {
	// Now is the time of the plan; zero is the current time.
	Now time.Time
	// The rules of the plan, each as in [plan.Rules]. AllowEmpty replaces the last key with a fresh
	// one whose private half is thrown away, because Vault takes no empty list.
	Foreign       plan.Foreign
	Retired       []string
	Retain        time.Duration
	AllowTurnover []string
	Pin           map[string][]pem.Fingerprint
	Deny          []pem.Fingerprint
	AllowEmpty    bool
	MaxKeys       int
	// Convert turns a mount that takes its keys from a URL or by discovery into one
	// with static keys.
	Convert bool

	// DefaultRole is written as the mount's default_role if it has none and none is stated. ""
	// writes none.
	DefaultRole string

	// Settings state the mount's other settings; the zero value states none. A key whose algorithms
	// are all outside a stated list isn't added.
	Settings Settings

	// Settle is how long after a write the mount is read again, in case another writer undid it;
	// zero is a second. It must exceed twice the longest time that a write takes to reach Vault,
	// and be the same for all who write the mount.
	Settle time.Duration
	// Writes is how many times one sync writes at most; zero is 10.
	Writes int

	// Review is called before each write, and may take its time: the mount is read again after it,
	// and the same changes don't need another approval. An error keeps the mount as it is, and the
	// sync's error wraps it and ErrReview. A Watch asks again at each try. Review must not change
	// the plan. Nil approves every plan.
	Review func(context.Context, *plan.Plan) error
	// MaxAge is how old a plan may be for [Mount.Apply]; zero is a day.
	MaxAge time.Duration

	// Logger gets a line for what is done. Nil logs nothing.
	Logger *slog.Logger
	// OnEvent is called for what happens to the mount, from one goroutine at a time. May be nil. A
	// [Harvester] has an OnEvent for all of its mounts and clusters.
	OnEvent func(Event)
}

const (
	defaultSettle = time.Second
	defaultWrites = 10
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
	if err := o.Settings.check(); err != nil {
		return &wrong{err}
	}
	if o.Settle < 0 || o.Writes < 0 || o.MaxAge < 0 {
		return &wrong{errors.New("settle, writes and the age of a plan can't be negative")}
	}
	return nil
}

// checkNames finds allowed turnovers and pins of clusters that there are not: a mistyped one would
// limit nothing.
func (o Options) checkNames(clusters map[string]bool) (all []error) {
	for _, name := range o.AllowTurnover {
		if cluster, _, _ := strings.Cut(name, "/"); cluster != "*" && !clusters[cluster] {
			all = append(all, fmt.Errorf("allowed turnover: cluster %q is not defined", cluster))
		}
	}
	for name := range o.Pin {
		if !clusters[name] {
			all = append(all, fmt.Errorf("pin: cluster %q is not defined", name))
		}
	}
	return all
}

// refuse returns the report of options that name other clusters than these; nil: they don't.
func (m *Mount) refuse(o Options, clusters []string) *MountReport {
	named := map[string]bool{}
	for _, name := range clusters {
		named[name] = true
	}
	all := o.checkNames(named)
	if len(all) == 0 {
		return nil
	}
	report := m.report()
	report.Err = m.Wrap(&wrong{errors.Join(all...)})
	return report
}

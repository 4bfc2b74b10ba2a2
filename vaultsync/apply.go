package vaultsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// ErrReview: [Options.Review] refused a plan. Wrapped with the error that it returned.
var ErrReview = errors.New("the plan was not approved")

// Apply writes a plan that was made earlier, by [Mount.Plan] or by another program that stored it,
// and reads back as [Mount.Sync] does. It writes what the plan says and nothing else. It doesn't
// trust the plan: it judges the keys again, and refuses what o wouldn't plan now, naming the key or
// cluster. A plan that changes nothing, or that was carried out already, is checked as well, and
// ends without a write and without a call of o.Review.
//
// The error is that of a Sync. It wraps [plan.ErrStale] if the mount has changed since, or changes
// meanwhile, or if the plan is older than o.MaxAge; [plan.ErrRefused], [plan.ErrTurnover],
// [plan.ErrNoRoom], [plan.ErrLastKey] or [ErrNotStaticKeys] where o refuses it; and else what a
// Sync's does.
func (m *Mount) Apply(ctx context.Context, p *plan.Plan, o Options) (*MountReport, error) {
	if p == nil {
		report := m.report()
		report.Err = m.Wrap(&wrong{errors.New("no plan to apply")})
		return report, report.Err
	}
	report := m.refuse(o, p.Clusters)
	if report == nil {
		report = m.sync(ctx, plan.Desired{Clusters: p.Clusters}, o, conduct{plan: func(current mountconfig.Config, o Options, written bool) (*plan.Plan, error) {
			return m.again(p, current, o, written)
		}})
	}
	o.conclude(m, report)
	return report, report.Failure()
}

// again returns the plan as it may be written now, Changed unless it was done. Once this Apply has
// written it, what others write beside it is theirs.
func (m *Mount) again(p *plan.Plan, current mountconfig.Config, o Options, written bool) (*plan.Plan, error) {
	if p.Store != "" && p.Store != m.String() {
		return nil, fmt.Errorf("%w: it is one for %s", plan.ErrRefused, p.Store)
	}
	if err := o.check(p.Clusters); err != nil {
		return nil, err
	}
	if err := current.Check(o.Convert); err != nil {
		return nil, err
	}
	elements := current.Elements()
	done := isDone(p, current, elements)
	if written && (done || hasLanded(p, current)) {
		unchanged := *p
		unchanged.Changed = false
		return &unchanged, nil
	}
	planner := mountPlanner{o: o, want: plan.Desired{Clusters: p.Clusters}, current: current}
	if !done && p.Base != current.Base(p.Base) {
		return nil, fmt.Errorf("%w: the mount has changed since", plan.ErrStale)
	}
	rules := planner.rules()
	rules.MaxAge = o.MaxAge
	whole, err := p.Check(elements, rules)
	if err != nil {
		return nil, err
	}
	if done {
		whole.Changed = false
		return whole, nil
	}
	if err := checkSettings(p, current, planner.stated()); err != nil {
		return nil, err
	}
	whole.Changed = true
	return whole, current.CheckSize(whole)
}

// isDone reports whether a mount holds what a plan says.
func isDone(p *plan.Plan, current mountconfig.Config, elements []plan.Element) bool {
	return p.Holds(elements) && current.Mode() == "" && len(settingsIn(p, current)) == len(p.Settings)
}

// hasLanded reports whether a mount shows all of a plan's changes, whatever others did since.
func hasLanded(p *plan.Plan, current mountconfig.Config) bool {
	done := landed(p, current)
	return len(done.Add) == len(p.Add) && len(done.Adopt) == len(p.Adopt) && len(done.Remove) == len(p.Remove) &&
		len(done.Settings) == len(p.Settings)
}

// checkSettings refuses settings that aren't stated any more, or that have changed since.
func checkSettings(p *plan.Plan, current mountconfig.Config, stated map[string]any) error {
	for _, c := range p.Settings {
		value, ok := stated[c.Field]
		if !ok || mountconfig.SettingText(value) != c.After {
			return fmt.Errorf("%w: %s is not stated as %s", plan.ErrRefused, vaultapi.Quote(c.Field), cmp.Or(c.After, "empty"))
		}
		if mountconfig.SettingText(current.Fields[c.Field]) != c.Before {
			return fmt.Errorf("%w: %s has changed since", plan.ErrStale, vaultapi.Quote(c.Field))
		}
	}
	return nil
}

// review asks the caller, unless the very changes were approved before: a write that was undone, or
// came too late, is done again.
func (c *convergence) review(ctx context.Context) (asked bool, err error) {
	if c.o.Review == nil || c.approved != nil && sameChanges(c.approved, c.plan) {
		return false, nil
	}
	if err := c.o.Review(ctx, c.plan); err != nil {
		return true, fmt.Errorf("%w: %w", ErrReview, err)
	}
	c.approved = c.plan
	return true, nil
}

// sameChanges reports whether two plans change the same. The times at which keys are added differ.
func sameChanges(a, b *plan.Plan) bool {
	type change struct {
		pem.Owner
		id, reason string
		f          pem.Fingerprint
	}
	of := func(keys []plan.Key) (all []change) {
		for _, k := range keys {
			all = append(all, change{k.Owner, k.KeyID, k.Reason, k.Fingerprint})
		}
		return all
	}
	return a.Base == b.Base && slices.Equal(of(a.Add), of(b.Add)) && slices.Equal(of(a.Adopt), of(b.Adopt)) &&
		slices.Equal(of(a.Remove), of(b.Remove)) && slices.Equal(a.Settings, b.Settings)
}

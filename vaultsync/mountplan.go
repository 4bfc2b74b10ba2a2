package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// planWithin is newPlan, which may take half of the time until ctx's deadline, if there is one.
// A cluster may publish a thousand keys that each take long to judge: one that there was no time
// for isn't added, and stays where it is trusted.
func planWithin(ctx context.Context, current mountconfig.Config, want plan.Desired, o Options) (*plan.Plan, error) {
	var known verdicts.Known
	until := judgeUntil(ctx, nil)
	known.JudgePublished(want.Results, past(until))
	if !until.IsZero() {
		known.JudgeTrusted(current.Annotated(), past(judgeUntil(ctx, nil)))
	}
	return newPlan(current, want, o, circumstances{verdicts: &known})
}

// newPlan returns what has to change on a mount with the configuration current, so that it trusts
// what want holds, under o. It reads no clock (o.Now is the time) and no network, and gives the
// same plan for the same arguments. The error wraps [ErrNotStaticKeys], [ErrUnreadableFields],
// [plan.ErrLastKey] or [ErrTooLarge], or says what is wrong with the arguments. A cluster that
// could not be read is no error: it is on Plan.Failed, and its keys stay. Nor is one whose keys
// have no room.
func newPlan(current mountconfig.Config, want plan.Desired, o Options, given circumstances) (*plan.Plan, error) {
	if err := o.check(want.Clusters); err != nil {
		return nil, err
	}
	if err := current.Check(o.Convert); err != nil {
		return nil, err
	}
	m := mountPlanner{o: o, given: given, want: want, current: current}
	elements := current.Elements()
	given.history.note(elements)
	p, err := plan.New(elements, want, m.rules())
	if errors.Is(err, plan.ErrLastKey) {
		return nil, fmt.Errorf("%w, and Vault takes no empty list", err)
	}
	if err != nil {
		return nil, err
	}
	m.plan = p
	p.Base = current.Base(p.Base)
	return m.finish()
}

// mountPlanner makes a plan for a list of keys one for a mount.
type mountPlanner struct {
	o       Options
	given   circumstances
	want    plan.Desired
	current mountconfig.Config
	plan    *plan.Plan
}

// rules returns what the mount's configuration and settings make of the options.
func (m *mountPlanner) rules() plan.Rules {
	rules := m.o.rules()
	rules.Partial, rules.Verdicts = m.given.early, m.given.verdicts
	if m.given.history != nil {
		rules.History = m.given.history
	}
	rules.MaxSize, rules.Size = vaultapi.MaxConfig, m.fixedSize()
	rules.Algorithms = m.supported()
	if stated := m.o.Settings.Algorithms; len(stated) > 0 {
		rules.LeaveOut = "left out: jwt_supported_algs is stated as " + vaultapi.Bracket(stated)
	}
	return rules
}

// fixedSize returns how many bytes of JSON the configuration takes without any key.
func (m *mountPlanner) fixedSize() int {
	var without []string
	if m.current.Mode() != "" {
		without = m.current.Excluded()
	}
	return mountconfig.Size(m.current.Body([]string{}, without, m.stated()))
}

// finish adds what is a mount's to the plan.
func (m *mountPlanner) finish() (*plan.Plan, error) {
	p := m.plan
	if p.Emptied && !m.current.Stored {
		m.warn("nobody will be able to log in on this mount: a key that nobody holds stands in for the empty list")
	}
	if m.current.Mode() != "" && m.hasKeys() {
		if err := m.convert(); err != nil {
			return nil, err
		}
	}
	m.setStated()
	if p.Changed {
		if err := m.current.CheckSize(p); err != nil {
			return nil, err
		}
	}
	m.warnOfIssuer()
	m.nameLockedOut()
	p.Warnings = append(p.Warnings, p.Remarks...)
	return p, nil
}

// hasKeys reports whether there is to be a key, a stand-in included.
func (m *mountPlanner) hasKeys() bool { return len(m.plan.Next) > 0 || m.plan.Emptied }

// convert drops what static keys exclude. What the mount trusted by way of a URL isn't
// known, so every cluster must have been read: else one would be cut off.
func (m *mountPlanner) convert() error {
	if len(m.plan.Failed) > 0 {
		f := m.plan.Failed[0]
		return fmt.Errorf("%w: not converted while keys of %s are missing, which would be cut off: %w", ErrNotStaticKeys, f.Owner, f.Err)
	}
	m.plan.Changed = true
	m.warn("converted to static keys: %s cleared", strings.Join(m.current.Excluded(), ", "))
	return nil
}

// warnOfIssuer warns where some of the clusters can't log in for their issuer.
func (m *mountPlanner) warnOfIssuer() {
	issuer := m.current.BoundIssuer()
	if stated := m.o.Settings.BoundIssuer; stated != nil {
		issuer = *stated
	}
	if issuer != "" && len(m.want.Clusters) > 1 {
		m.warn("bound_issuer is %q: of the %d clusters on this mount, only those with that very issuer can log in",
			issuer, len(m.want.Clusters))
	}
}

func (m *mountPlanner) warn(format string, args ...any) {
	m.plan.Warnings = append(m.plan.Warnings, fmt.Sprintf(format, args...))
}

// keepsKeys reports whether a plan for this configuration writes settings alone.
func keepsKeys(c mountconfig.Config, p *plan.Plan) bool {
	return len(p.Settings) > 0 && len(p.Add)+len(p.Adopt)+len(p.Remove) == 0 && c.Mode() == ""
}

// landed returns the part of a plan that a later configuration shows to have been done.
func landed(p *plan.Plan, after mountconfig.Config) *plan.Plan {
	trusted := map[pem.Fingerprint]bool{}
	for _, e := range after.Elements() {
		trusted[e.Fingerprint] = true
	}
	only := func(keys []plan.Key, there bool) []plan.Key {
		return slices.DeleteFunc(slices.Clone(keys), func(k plan.Key) bool { return trusted[k.Fingerprint] != there })
	}
	return &plan.Plan{
		Add: only(p.Add, true), Adopt: only(p.Adopt, true), Remove: only(p.Remove, false), Settings: settingsIn(p, after),
	}
}

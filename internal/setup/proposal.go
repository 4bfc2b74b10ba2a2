package setup

import (
	"context"
	"errors"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Proposal is what is to be done to one mount, its keys included.
type Proposal struct {
	*Plan
	Report *vaultsync.MountReport `json:"keys"`            // nil where the mount could not be read
	Error  string                 `json:"error,omitempty"` // why the mount could not be read or planned
	Token  string                 `json:"token"`           // where the token comes from; "" is nowhere

	Target  vaultsync.Target  `json:"-"` // its Mount is nil where its Vault can't be used
	Want    Setup             `json:"-"`
	Regions map[string]string `json:"-"` // what Nomad calls the one region of a cluster, where it is known
	Failure error             `json:"-"` // Error
}

// Propose reads a mount, and plans what is to be done to it: its keys are those of the results. It
// changes nothing.
func Propose(ctx context.Context, t vaultsync.Target, want Setup, results []jwks.Result) *Proposal {
	p := &Proposal{Target: t, Want: want}
	p.Fail(p.plan(ctx, results))
	if p.Plan == nil {
		p.Plan = &Plan{MountID: t.Mount.ID()}
	}
	return p
}

func (p *Proposal) plan(ctx context.Context, results []jwks.Result) (err error) {
	if p.Plan, err = NewPlan(ctx, p.Target.Mount, p.Want); err != nil {
		return err
	}
	mount := p.Target.Mount
	if p.Accessor == "" {
		mount = &vaultsync.Mount{Path: mount.Path, Store: unmade{}}
	}
	p.Report, _ = mount.Plan(ctx, plan.Desired{Clusters: p.Target.Clusters, Results: results}, p.Target.Options)
	if wrong, ok := errors.AsType[*vaultsync.MountError](p.Report.Err); ok {
		p.Report.Err = p.Target.Mount.Wrap(wrong.Err)
	}
	p.Report.MountID = p.MountID
	return p.Report.Err
}

// unmade is the list of keys of a mount that isn't there yet.
type unmade struct{}

// Read returns an empty list.
func (unmade) Read(context.Context) ([]string, error) { return nil, nil }

// Planned takes the plan.
func (unmade) Planned(context.Context, *plan.Plan) error { return nil }

// Write refuses: the mount is to be made first.
func (unmade) Write(context.Context, *plan.Plan) error { return vaultsync.ErrNoMount }

// Apply makes mount, policies and roles, as proposed; the keys are for a Sync. Where that fails, so
// has the proposal.
func (p *Proposal) Apply(ctx context.Context) {
	var err error
	p.Plan, err = Apply(ctx, p.Target.Mount, p.Plan)
	p.Fail(err)
}

// Fail notes why nothing can be done to the mount; nil is nothing.
func (p *Proposal) Fail(err error) {
	if err != nil {
		p.Failure, p.Error = err, err.Error()
	}
}

// Keys returns the plan for the mount's keys; nil where there is none.
func (p *Proposal) Keys() *plan.Plan {
	if p.Report == nil {
		return nil
	}
	return p.Report.Plan
}

// HasChanges reports whether there is anything to do.
func (p *Proposal) HasChanges() bool {
	return p.Failure == nil && (p.Changed() || p.Keys() != nil && p.Keys().Changed)
}

// IsPartial reports whether something stays as it is that should be otherwise: a step is refused,
// or a cluster's keys could not be learned.
func (p *Proposal) IsPartial() bool {
	return p.Err() != nil || p.Keys() != nil && len(p.Keys().Failed) > 0
}

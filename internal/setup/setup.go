// Package setup makes what Nomad workloads log in with besides keys: a mount, and its roles and
// policies.
package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// ErrNotOurs: a role or policy is there that harvest didn't make for this mount, and it
// differs from what is wanted. It is left as it is.
var ErrNotOurs = errors.New("not ours to change")

// Setup is what a mount needs besides its keys.
type Setup struct {
	// Access are the roles and their policies; none is the zero Access. Their roles
	// and policies must have different names.
	Access []Access
	// Overwrite changes roles and policies that harvest didn't make for this mount, too, but no
	// policy that speaks of another mount, and resets what makes a role narrower.
	Overwrite bool
}

func (s Setup) access() []Access {
	if len(s.Access) == 0 {
		return []Access{{}}
	}
	return s.Access
}

// Policies are the names of the policies that the roles of a mount at path have, where no earlier
// setup gave them others.
func (s Setup) Policies(path string) []string {
	var names []string
	for _, a := range s.access() {
		names = append(names, cmp.Or(a.Policy, defaultPolicy(a.role(), path)))
	}
	return names
}

// DefaultRole is the role of the first Access: what a mount's default_role should be.
func (s Setup) DefaultRole() string { return s.access()[0].role() }

// Check refuses names, paths and times that Vault would refuse or read as something else.
func (s Setup) Check() error {
	roles, policies := map[string]bool{}, map[string]bool{}
	for _, a := range s.access() {
		if err := a.check(); err != nil {
			return err
		}
		if roles[a.role()] || a.Policy != "" && policies[a.Policy] {
			return fmt.Errorf("role %q with policy %q: another role of this mount has one of these names", a.role(), a.Policy)
		}
		roles[a.role()], policies[a.Policy] = true, true
	}
	return nil
}

// StepKind says what a step is about.
type StepKind string

// Kinds of steps, in the order in which they are taken.
const (
	StepMount  StepKind = "mount"
	StepPolicy StepKind = "policy"
	StepRole   StepKind = "role"
)

// StepAction says what a step does.
type StepAction string

// Actions of steps.
const (
	ActionCreate StepAction = "create" // it isn't there
	ActionChange StepAction = "change" // it is there, and differs
	ActionKeep   StepAction = "keep"   // it is as it should be
	// ActionRefuse: it is somebody else's, and differs: it stays as it is. Or it isn't there, and
	// what it goes with is refused: it isn't made.
	ActionRefuse StepAction = "refuse"
)

// Step is one thing that a setup makes, changes or leaves.
type Step struct {
	Kind   StepKind   `json:"kind"`
	Name   string     `json:"name"` // of the role or policy, or the mount's path
	Path   string     `json:"path"` // of the request
	Action StepAction `json:"action"`
	// Foreign says whose it is where it isn't this mount's setup's: "made by somebody else",
	// "made for mount auth/jwt-other" or "made for a mount that is gone".
	Foreign string `json:"foreign,omitempty"`
	// Taken is a policy that speaks of another mount: it is never changed, because that would cut
	// off who logs in there.
	Taken bool `json:"taken,omitempty"`
	// Changes are the fields that differ, sorted by name.
	Changes []plan.Change `json:"changes"`
	// Narrower are the fields by which a role that is there gives less than this setup would, and
	// of which its Access says nothing: they stay unless Setup.Overwrite resets them. See [Breaks].
	Narrower []plan.Change `json:"narrower,omitempty"`
	// Body is what is written. The policy of a mount that isn't there yet holds
	// PendingAccessor in the place of the accessor.
	Body map[string]any `json:"body"`

	access Access
}

// PendingAccessor stands for the accessor of a mount that isn't there yet.
const PendingAccessor = "AUTH_METHOD_ACCESSOR"

// Plan is what a setup would do to one mount.
type Plan struct {
	vaultsync.MountID
	Accessor string `json:"accessor"` // "" where the mount isn't there yet
	Steps    []Step `json:"steps"`
	// Others are the mount's roles that this setup doesn't make, sorted. Nil is unknown: they could
	// not be listed.
	Others []string `json:"-"`
	// Warnings say what keeps jobs from their secrets all the same: no KV engine of version 2
	// where a policy says, or that this couldn't be seen.
	Warnings []string `json:"warnings,omitempty"`
}

// Changed reports whether anything is to be written.
func (p *Plan) Changed() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action == ActionCreate || s.Action == ActionChange })
}

// Err is an error that wraps ErrNotOurs for each step that is refused, or nil.
func (p *Plan) Err() error {
	var all []error
	for _, s := range p.Steps {
		if s.Action != ActionRefuse {
			continue
		}
		text := fmt.Sprintf("%s %q was %s and differs in %s; it was left as it is", s.Kind, s.Name, s.Foreign, fieldNames(s.Changes))
		switch {
		case s.Taken:
			text += "; give the policy of this mount another name (-policy, or policy in the role block)"
		case s.Foreign == "" && s.Kind == StepPolicy:
			text = fmt.Sprintf("policy %q wasn't made: role %q, which would give it, is somebody else's", s.Name, s.access.role())
		case s.Foreign == "":
			text = fmt.Sprintf("%s %q gives the policy %q, which is somebody else's; it was left as it is", s.Kind, s.Name, s.access.Policy)
		}
		all = append(all, &vaultsync.MountError{MountID: p.MountID, Err: fmt.Errorf("%w: %s", ErrNotOurs, text)})
	}
	return errors.Join(all...)
}

// Overwritable reports whether [Setup.Overwrite] would change what is refused.
func (p *Plan) Overwritable() bool {
	taken := slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Taken })
	return !taken && slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action == ActionRefuse })
}

func fieldNames(changes []plan.Change) string {
	var names []string
	for _, c := range changes {
		names = append(names, c.Field)
	}
	return strings.Join(names, ", ")
}

// NewPlan reads the mount, its roles and their policies, and returns what a setup would do,
// changing nothing. It needs the capabilities read and sudo on sys/auth/<path>, and read on the
// roles and policies; with read on sys/mounts it also looks for the KV engines: see
// [Plan.Warnings]. The error is a *vaultsync.MountError.
func NewPlan(ctx context.Context, m *vaultsync.Mount, want Setup) (*Plan, error) {
	if err := want.Check(); err != nil {
		return nil, m.Wrap(err)
	}
	api, err := m.Session()
	if err != nil {
		return nil, err
	}
	plan, err := (&session{api}).plan(ctx, want)
	if err != nil {
		return nil, m.Wrap(err)
	}
	plan.MountID = m.ID()
	return plan, nil
}

// session is that of the mount that is set up.
type session struct{ *vaultapi.Session }

func (s *session) plan(ctx context.Context, want Setup) (*Plan, error) {
	if err := s.HasNamespaces(ctx); err != nil {
		return nil, err
	}
	now, err := s.readSetup(ctx, want)
	if err != nil {
		return nil, err
	}
	if want.Access, err = now.named(s.Path, want.access()); err != nil {
		return nil, err
	}
	if err := s.readNamed(ctx, &now, want.Access); err != nil {
		return nil, err
	}
	plan := newPlan(s.Path, now, want)
	plan.Others = s.others(ctx, now)
	plan.Warnings = s.kvWarnings(ctx, want.Access)
	return plan, nil
}

// Apply does what a plan says, in its order, and returns the plan as it came out: with the
// accessor of a mount that was made. What is refused is passed over: see [Plan.Err]. Keys and
// default_role are for a Sync with [vaultsync.Options.DefaultRole]. The error is a
// *vaultsync.MountError; what was done before it stays, and the next plan goes on from there.
func Apply(ctx context.Context, m *vaultsync.Mount, plan *Plan) (*Plan, error) {
	done := *plan
	done.Steps = slices.Clone(plan.Steps)
	api, err := m.Session()
	if err != nil {
		return &done, err
	}
	s := &session{api}
	for i := range done.Steps {
		step := &done.Steps[i]
		if step.Kind == StepPolicy && plan.Accessor == "" {
			step.Body = map[string]any{"policy": step.access.PolicyText(done.Accessor)}
		}
		if step.Action != ActionCreate && step.Action != ActionChange {
			continue
		}
		if err := s.Write(ctx, step.Path, step.Body); err != nil {
			return &done, m.Wrap(fmt.Errorf("%s %q: %w", step.Kind, step.Name, err))
		}
		if step.Kind == StepMount {
			done.Accessor, _, err = s.readAuth(ctx)
			if err == nil && done.Accessor == "" {
				err = errors.New("the mount was made, and isn't there")
			}
			if err != nil {
				return &done, m.Wrap(err)
			}
		}
	}
	return &done, nil
}

// readAuth returns the mount's accessor and type; "" where there is none.
func (s *session) readAuth(ctx context.Context) (accessor, kind string, err error) {
	data, err := s.Lookup(ctx, "sys/auth/"+s.Path)
	if err != nil {
		return "", "", err
	}
	accessor, _ = data["accessor"].(string)
	kind, _ = data["type"].(string)
	return accessor, kind, nil
}

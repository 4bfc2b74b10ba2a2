package vaultsync

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
)

// ErrNotOurs: a role or policy is there that harvest didn't make for this mount, and it
// differs from what is wanted. It is left as it is.
var ErrNotOurs = errors.New("not ours to change")

// Setup is what a mount needs besides its keys.
type Setup struct {
	// Description is that of a mount that isn't there yet; "" is a usual one.
	Description string
	// Access are the roles and their policies; none is the zero Access. Their roles
	// and policies must have different names.
	Access []Access
	// Overwrite changes roles and policies that harvest didn't make for this mount, too.
	Overwrite bool
}

func (s Setup) access() []Access {
	if len(s.Access) == 0 {
		return []Access{{}}
	}
	return s.Access
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
		if roles[a.role()] || policies[a.policy()] {
			return fmt.Errorf("role %q with policy %q: another role of this mount has one of these names", a.role(), a.policy())
		}
		roles[a.role()], policies[a.policy()] = true, true
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
	ActionRefuse StepAction = "refuse" // it is somebody else's, and differs: it stays as it is
)

// Step is one thing that a setup makes, changes or leaves.
type Step struct {
	Kind   StepKind   `json:"kind"`
	Name   string     `json:"name"` // of the role or policy, or the mount's path
	Path   string     `json:"path"` // of the request
	Action StepAction `json:"action"`
	// Foreign says whose it is where it isn't this mount's setup's: "made by somebody else",
	// or "made for another mount".
	Foreign string `json:"foreign,omitempty"`
	// Changes are the fields that differ, sorted by name.
	Changes []Change `json:"changes"`
	// Body is what is written. The policy of a mount that isn't there yet holds
	// PendingAccessor in the place of the accessor.
	Body map[string]any `json:"body"`

	access Access
}

// Change is one field that a step changes, in JSON.
type Change struct {
	Field  string `json:"field"`
	Before string `json:"before"` // "" where there is nothing
	After  string `json:"after"`
}

// PendingAccessor stands for the accessor of a mount that isn't there yet.
const PendingAccessor = "AUTH_METHOD_ACCESSOR"

// SetupPlan is what a setup would do to one mount.
type SetupPlan struct {
	Vault     string `json:"vault"`
	Namespace string `json:"namespace"`
	Path      string `json:"path"`
	Accessor  string `json:"accessor"` // "" where the mount isn't there yet
	Steps     []Step `json:"steps"`
}

// Changed says whether anything is to be written.
func (p *SetupPlan) Changed() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action == ActionCreate || s.Action == ActionChange })
}

// Err is an error that wraps ErrNotOurs for each step that is refused, or nil.
func (p *SetupPlan) Err() error {
	var all []error
	for _, s := range p.Steps {
		if s.Action == ActionRefuse {
			all = append(all, &MountError{p.Vault, p.Namespace, p.Path, fmt.Errorf("%w: %s %q was %s and differs in %s; it was left as it is",
				ErrNotOurs, s.Kind, s.Name, s.Foreign, fieldNames(s.Changes))})
		}
	}
	return errors.Join(all...)
}

func fieldNames(changes []Change) string {
	var names []string
	for _, c := range changes {
		names = append(names, c.Field)
	}
	return strings.Join(names, ", ")
}

// PlanSetup reads the mount, its roles and their policies, and returns what a setup would
// do, changing nothing. It needs the capabilities read and sudo on sys/auth/<path>, and
// read on the roles and policies. The error is a *MountError.
func (m *Mount) PlanSetup(ctx context.Context, want Setup) (*SetupPlan, error) {
	plan, err := m.planSetup(ctx, want)
	return plan, m.wrap(err)
}

func (m *Mount) planSetup(ctx context.Context, want Setup) (*SetupPlan, error) {
	if err := want.Check(); err != nil {
		return nil, err
	}
	s, err := m.open()
	if err != nil {
		return nil, err
	}
	if err := s.hasNamespaces(ctx); err != nil {
		return nil, err
	}
	now, err := s.readSetup(ctx, want)
	if err != nil {
		return nil, err
	}
	plan := newSetupPlan(m.Path, now, want)
	plan.Vault, plan.Namespace = m.Vault(), m.namespace()
	return plan, nil
}

// ApplySetup does what a plan says, in its order, and returns the plan as it came out:
// with the accessor of a mount that was made. What is refused is passed over: see
// [SetupPlan.Err]. Keys and default_role are for a Sync with [Options.DefaultRole]. The
// error is a *MountError; what was done before it stays, and the next plan goes on from there.
func (m *Mount) ApplySetup(ctx context.Context, plan *SetupPlan) (*SetupPlan, error) {
	done := *plan
	done.Steps = slices.Clone(plan.Steps)
	s, err := m.open()
	if err != nil {
		return &done, m.wrap(err)
	}
	for i := range done.Steps {
		step := &done.Steps[i]
		if step.Kind == StepPolicy && plan.Accessor == "" {
			step.Body = map[string]any{"policy": step.access.PolicyText(done.Accessor)}
		}
		if step.Action != ActionCreate && step.Action != ActionChange {
			continue
		}
		if _, err := s.api.Logical().WriteWithContext(countHops(ctx), step.Path, step.Body); err != nil {
			return &done, m.wrap(fmt.Errorf("%s %q: %w", step.Kind, step.Name, explain(err, m.Path, step.Path, "create, update", s.api.Token())))
		}
		if step.Kind == StepMount {
			done.Accessor, _, err = s.readAuth(ctx)
			if err == nil && done.Accessor == "" {
				err = errors.New("the mount was made, and isn't there")
			}
			if err != nil {
				return &done, m.wrap(err)
			}
		}
	}
	return &done, nil
}

// setupState is what there is by now.
type setupState struct {
	accessor string                    // "": no mount
	roles    map[string]map[string]any // by name; those that aren't there are missing
	policies map[string]string
}

func (s *session) readSetup(ctx context.Context, want Setup) (setupState, error) {
	state := setupState{roles: map[string]map[string]any{}, policies: map[string]string{}}
	accessor, kind, err := s.readAuth(ctx)
	if err != nil {
		return state, err
	}
	if accessor != "" {
		if err := s.takesJWTs(ctx, kind); err != nil {
			return state, err
		}
	}
	state.accessor = accessor
	for _, a := range want.access() {
		policy, err := s.lookUp(ctx, policyPath(a))
		if err != nil {
			return state, err
		}
		if text, ok := policy["policy"].(string); ok {
			state.policies[a.policy()] = text
		}
		if accessor == "" {
			continue
		}
		role, err := s.lookUp(ctx, s.mount.rolePath(a.role()))
		if err != nil {
			return state, err
		}
		if role != nil {
			state.roles[a.role()] = role
		}
	}
	return state, nil
}

func policyPath(a Access) string { return "sys/policies/acl/" + a.policy() }

func (m *Mount) rolePath(role string) string { return "auth/" + m.Path + "/role/" + role }

// readAuth returns the mount's accessor and type; "" where there is none.
func (s *session) readAuth(ctx context.Context) (accessor, kind string, err error) {
	data, err := s.lookUp(ctx, "sys/auth/"+s.mount.Path)
	if err != nil {
		return "", "", err
	}
	accessor, _ = data["accessor"].(string)
	kind, _ = data["type"].(string)
	return accessor, kind, nil
}

// lookUp returns what is at a path, or nil where nothing is.
func (s *session) lookUp(ctx context.Context, path string) (map[string]any, error) {
	resp, err := s.api.Logical().ReadRawWithContext(ctx, path)
	if resp != nil && resp.Body != nil {
		defer resp.Body.Close()
	}
	if neverConfigured(err) || noAuthEngine(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(err, s.mount.Path, path, "read", s.api.Token())
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: Vault answered with status %d", path, resp.StatusCode)
	}
	var secret struct {
		Data map[string]any `json:"data"`
	}
	decoder := json.NewDecoder(io.LimitReader(resp.Body, maxResponse))
	decoder.UseNumber()
	if err := decoder.Decode(&secret); err != nil {
		return nil, fmt.Errorf("GET %s: Vault's answer can't be read: %w", path, err)
	}
	if len(secret.Data) == 0 {
		return nil, fmt.Errorf("GET %s: Vault's answer has no data: is this a Vault?", path)
	}
	return secret.Data, nil
}

// noAuthEngine recognises what sys/auth/<path> answers where there is none.
func noAuthEngine(err error) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest &&
		strings.Contains(strings.Join(answer.Errors, " "), "No auth engine at")
}

// newSetupPlan compares what there is with what is wanted.
func newSetupPlan(path string, now setupState, want Setup) *SetupPlan {
	plan := &SetupPlan{Path: path, Accessor: now.accessor}
	mount := Step{Kind: StepMount, Name: path, Path: "sys/auth/" + path, Action: ActionKeep}
	if now.accessor == "" {
		mount.Action = ActionCreate
		mount.Body = map[string]any{
			"type":        "jwt",
			"description": orText(want.Description, "Nomad workload identities; keys kept by harvest"),
		}
	}
	plan.Steps = append(plan.Steps, mount)
	for _, a := range want.access() {
		plan.Steps = append(plan.Steps, policyStep(now, want, a))
	}
	for _, a := range want.access() {
		plan.Steps = append(plan.Steps, roleStep(path, now, want, a))
	}
	return plan
}

func policyStep(now setupState, want Setup, a Access) Step {
	text := a.PolicyText(orText(now.accessor, PendingAccessor))
	step := Step{Kind: StepPolicy, Name: a.policy(), Path: policyPath(a), Body: map[string]any{"policy": text}, access: a}
	old, there := now.policies[a.policy()]
	if there && samePolicy(old, text) {
		step.Action = ActionKeep
		return step
	}
	step.Foreign = whose(there, old, now.accessor)
	step.Changes = []Change{{"policy", old, text}}
	step.Action = action(there, step.Foreign, want)
	return step
}

func roleStep(path string, now setupState, want Setup, a Access) Step {
	body := a.RoleBody()
	step := Step{Kind: StepRole, Name: a.role(), Path: "auth/" + path + "/role/" + a.role(), Body: body, access: a}
	old, there := now.roles[a.role()]
	for field, value := range body {
		before, after := canonical(old[field]), canonical(value)
		if before != after {
			step.Changes = append(step.Changes, Change{field, before, after})
		}
	}
	slices.SortFunc(step.Changes, func(a, b Change) int { return cmp.Compare(a.Field, b.Field) })
	if there && len(step.Changes) == 0 {
		step.Action = ActionKeep
		return step
	}
	// A role has no room for a mark. It counts as ours if its policy bears one.
	step.Foreign = whose(there, now.policies[a.policy()], now.accessor)
	step.Action = action(there, step.Foreign, want)
	return step
}

func action(there bool, foreign string, want Setup) StepAction {
	switch {
	case !there:
		return ActionCreate
	case foreign != "" && !want.Overwrite:
		return ActionRefuse
	}
	return ActionChange
}

// whose says who made what goes with a policy; "" is a setup of the mount with that accessor. A
// policy is templated on one mount's accessor: two mounts can't share it.
func whose(there bool, policy, accessor string) string {
	switch {
	case !there:
		return ""
	case !strings.HasPrefix(policy, "# harvest/"):
		return "made by somebody else"
	case accessor == "" || !strings.Contains(policy, "aliases."+accessor+"."):
		return "made for another mount"
	}
	return ""
}

// samePolicy compares what two policies say, whatever their comments, blanks and order.
func samePolicy(a, b string) bool { return slices.Equal(policyRules(a), policyRules(b)) }

// policyRules returns a policy's rules without comments and the blanks between words, sorted.
func policyRules(text string) []string {
	var rules []string
	var rule strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted:
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '#', strings.HasPrefix(text[i:], "//"):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				end = len(text) - i
			}
			i += end - 1
			continue
		case strings.ContainsRune(" \t\r\n", rune(c)):
			continue
		}
		rule.WriteByte(c)
		if c == '}' && !quoted {
			rules = append(rules, rule.String())
			rule.Reset()
		}
	}
	if rule.Len() > 0 {
		rules = append(rules, rule.String())
	}
	slices.Sort(rules)
	return rules
}

// canonical writes a field's value in one way, whether it was read or is to be written: in
// JSON, lists sorted, what is empty as nothing.
func canonical(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var list []string
	if json.Unmarshal(b, &list) == nil {
		slices.Sort(list)
		b, _ = json.Marshal(list)
	}
	switch text := string(b); text {
	case "null", "[]", "{}", `""`, "0", "false":
		return ""
	default:
		return text
	}
}

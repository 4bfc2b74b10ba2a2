package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxRoles is how many roles of a mount are read.
const MaxRoles = 1000

// ReadRoles returns the roles of the mount by name, MaxRoles at the most. It needs the
// capabilities "list" on auth/<path>/role and "read" on auth/<path>/role/*: see
// [PolicyForRoles]. Where some can't be read, the others are returned beside the error, which is a
// *MountError and wraps [ErrForbidden], [ErrSealed], [ErrNoMount] or [ErrTooLarge] where it is
// one of these.
func (m *Mount) ReadRoles(ctx context.Context) ([]*Role, error) {
	s, err := m.open()
	if err != nil {
		return nil, m.wrap(err)
	}
	names, err := s.listRoles(ctx)
	if err != nil {
		return nil, m.wrap(err)
	}
	var roles []*Role
	for _, name := range names[:min(len(names), MaxRoles)] {
		role, err := s.readRole(ctx, name)
		if errors.Is(err, ErrNoRole) {
			continue // it went between the list and the read
		}
		if err != nil {
			return roles, m.wrap(err)
		}
		roles = append(roles, role)
	}
	if len(names) > MaxRoles {
		return roles, m.wrap(fmt.Errorf("%w: %d roles; the first %d were read", ErrTooLarge, len(names), MaxRoles))
	}
	return roles, nil
}

// Inspect reads the mount's roles, and its configuration where in has none, and returns what
// [Inspect] says of them and of the rest of in. It needs the capabilities of [Policy] and [PolicyForRoles]; roles that
// can't be read are a problem among the others. The error is a *MountError, and wraps
// [ErrNotStaticKeys], or what [Mount.Read] gives.
func (m *Mount) Inspect(ctx context.Context, in Inspection) ([]Problem, error) {
	if in.Config.IsZero() {
		config, err := m.Read(ctx)
		if err != nil {
			return nil, err
		}
		in.Config = config
	}
	in.Path = m.Path
	in.Roles, in.RolesErr = m.ReadRoles(ctx)
	problems, err := Inspect(in)
	return problems, m.wrap(err)
}

// listRoles returns the names of all roles, sorted.
func (s *session) listRoles(ctx context.Context) ([]string, error) {
	path := "auth/" + s.mount.Path + "/role"
	secret, err := s.api.Logical().ListWithContext(ctx, path)
	if err != nil {
		return nil, explain(err, s.mount.Path, path, "list", s.api.Token())
	}
	if secret == nil {
		return nil, nil // none, or no mount, which the read of its configuration tells
	}
	names := Config{secret.Data}.strings("keys")
	slices.Sort(names)
	return names, nil
}

// roles finds what bites in the mount's roles.
func (l *linter) roles() {
	if l.RolesErr != nil {
		fix := "run this again when Vault answers"
		if errors.Is(l.RolesErr, ErrForbidden) {
			fix = "give its token the policy that harvest policy -roles prints"
		}
		l.add(Problem{
			Lint: LintRoles, Severity: SeverityWarning,
			Message: "the mount's roles could not all be read, and the rest was not looked at: " + l.RolesErr.Error(),
			Fix:     fix,
		})
	}
	for _, role := range l.Roles {
		if role.text("role_type") != "jwt" { // no JWT logs in with it
			continue
		}
		if len(role.list("bound_audiences")) == 0 {
			l.add(Problem{
				Lint: LintRoleAudience, Severity: SeverityError, Role: role.Name,
				Message: "role " + role.Name + " has no bound_audiences: Vault refuses Nomad's tokens there, which have an audience (and before 1.17 took any, a token made for another service too)",
				Fix:     "vault patch isn't there for roles: write the whole role with bound_audiences, such as by harvest setup -overwrite",
			})
		}
		if l.shared() && l.Config.BoundIssuer() == "" && !role.binds() {
			l.add(Problem{
				Lint: LintRoleIssuer, Severity: SeverityWarning, Role: role.Name,
				Message: "role " + role.Name + " takes tokens of every cluster on this mount (" + listed(l.owners) +
					"): a job of one has what the policy gives to a job of the same name in another",
				Fix: "bind it: bound_claims iss (with oidc_issuer set in each cluster) or sub = \"REGION:*\" with a role for each cluster, or a mount for each cluster",
			})
		}
	}
}

// binds says whether a role takes tokens of some issuers or regions only.
func (r *Role) binds() bool {
	if subject := r.text("bound_subject"); subject != "" {
		return true
	}
	bound, _ := r.fields["bound_claims"].(map[string]any)
	for claim, value := range bound {
		switch strings.TrimPrefix(claim, "/") {
		case "iss":
			return true
		case "sub":
			if list, ok := listOf(value); ok && !slices.ContainsFunc(list, func(v any) bool { return r.anyRegion(v) }) {
				return true
			}
		}
	}
	return false
}

// anyRegion says whether a bound "sub" takes tokens of any region.
func (r *Role) anyRegion(value any) bool {
	s, ok := value.(string)
	region, _, _ := strings.Cut(s, ":")
	return !ok || r.text("bound_claims_type") == "glob" && strings.Contains(region, "*")
}

// listed returns names with commas, cut where they are many.
func listed(names []string) string {
	const most = 5
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

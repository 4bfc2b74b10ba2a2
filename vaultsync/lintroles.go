package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/vaultapi"
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
		return nil, m.Wrap(err)
	}
	names, err := s.listRoles(ctx)
	if err != nil {
		return nil, m.Wrap(err)
	}
	var roles []*Role
	for _, name := range names[:min(len(names), MaxRoles)] {
		role, err := s.readRole(ctx, name)
		if errors.Is(err, ErrNoRole) {
			continue // it went between the list and the read
		}
		if err != nil {
			return roles, m.Wrap(err)
		}
		roles = append(roles, role)
	}
	if len(names) > MaxRoles {
		return roles, m.Wrap(fmt.Errorf("%w: %d roles; the first %d were read", ErrTooLarge, len(names), MaxRoles))
	}
	return roles, nil
}

// Inspect reads the mount's roles and their policies, and its configuration where in has none, and returns what
// [Inspect] says of them and of the rest of in. It needs the capabilities of [Policy] and [PolicyForRoles]; roles that
// can't be read are a problem among the others, and of policies that can't be read, [MaxRolePolicies] at most, less is said. The error is a *MountError, and wraps
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
	s, err := m.open()
	if err != nil {
		return nil, m.Wrap(err)
	}
	in.Accessor, in.Policies = s.readAccessor(ctx), s.readPolicies(ctx, in.Roles)
	problems, err := Inspect(in)
	return problems, m.Wrap(err)
}

// listRoles returns the names of all roles, sorted.
func (s *session) listRoles(ctx context.Context) ([]string, error) {
	path := "auth/" + s.mount.Path + "/role"
	names, err := s.List(ctx, path)
	if err != nil {
		return nil, err
	}
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
				Fix:     role.command(l.Path, "bound_audiences="+DefaultAudience),
			})
		}
		if l.shared() && l.Config.BoundIssuer() == "" && !l.binds(role) {
			l.add(Problem{
				Lint: LintRoleIssuer, Severity: SeverityWarning, Role: role.Name,
				Message: "role " + role.Name + " takes tokens of every cluster on this mount (" + listed(l.owners) +
					"): a job of one has what the policy gives to a job of the same name in another",
				Fix: "bind it: bound_claims iss (with oidc_issuer set in each cluster) or sub = \"REGION:*\"" + l.regionNames() + " with a role for each cluster, or a mount for each cluster",
			})
		}
		l.reachable(role)
		l.widened(role)
		l.literalStars(role)
	}
}

// mostLeeway is how far a role's leeways may go without a word.
const mostLeeway = 5 * time.Minute

// widened finds what lets a role take more tokens, or give more, than its policies say.
func (l *linter) widened(role *Role) {
	for _, field := range slices.Sorted(maps.Keys(leeways)) {
		if d := role.seconds(field); d > mostLeeway {
			l.add(Problem{
				Lint: LintRoleLeeway, Severity: SeverityWarning, Role: role.Name,
				Message: "role " + role.Name + " grants " + field + " " + span(d) + ": a token that was copied is taken for so long after it should have ended",
				Fix:     role.command(l.Path, field+"=0"),
			})
		}
	}
	if claim := role.text("groups_claim"); claim != "" {
		l.add(Problem{
			Lint: LintRoleGroups, Severity: SeverityWarning, Role: role.Name,
			Message: "role " + role.Name + " has the groups_claim " + shown(claim) + ": what a token says there puts it into Vault's groups, and gives it their policies too",
			Fix:     role.command(l.Path, "groups_claim="),
		})
	}
	if slices.Contains(role.policies(), "root") {
		l.add(Problem{
			Lint: LintRoleRoot, Severity: SeverityError, Role: role.Name,
			Message: "role " + role.Name + " gives the policy root, which no auth method may: every login with it is refused",
			Fix:     "take root off its token_policies, and give it a policy with what its jobs need",
		})
	}
}

// literalStars finds a * that is meant for any text, and that Vault compares as it stands: in
// bound_claims while bound_claims_type isn't glob, and in bound_subject always.
func (l *linter) literalStars(role *Role) {
	if subject := role.text("bound_subject"); strings.Contains(subject, "*") {
		l.add(Problem{
			Lint: LintRoleStar, Severity: SeverityError, Role: role.Name,
			Message: "role " + role.Name + " has the bound_subject " + shown(subject) + ", and Vault compares that * as it stands, whatever bound_claims_type is: " +
				"a login of any other sub is refused",
			Fix: "clear bound_subject, and bind sub in bound_claims with bound_claims_type=glob",
		})
	}
	if role.text("bound_claims_type") == globs {
		return
	}
	bound, _ := role.fields["bound_claims"].(map[string]any)
	others := false // values that Vault refuses beside a glob
	var starred []string
	for _, claim := range slices.Sorted(maps.Keys(bound)) {
		values, _ := listOf(bound[claim])
		for _, value := range values {
			text, ok := value.(string)
			others = others || !ok
			if ok && strings.Contains(text, "*") && !slices.Contains(starred, claim) {
				starred = append(starred, claim)
			}
		}
	}
	fix := role.command(l.Path, "bound_claims_type=glob")
	if others {
		fix = "set bound_claims_type=glob, in one write with bound_claims of texts alone: a glob compares nothing else"
	}
	for _, claim := range starred {
		values, _ := listOf(bound[claim])
		l.add(Problem{
			Lint: LintRoleStar, Severity: SeverityError, Role: role.Name,
			Message: "role " + role.Name + " is bound to " + shownValues(values) + " of " + vaultapi.Clean(claim) + ", and Vault compares that * as it stands, as " +
				"bound_claims_type isn't glob: a login that it is meant for is refused",
			Fix: fix,
		})
	}
}

// regionNames says what Nomad calls the regions of the mount's clusters, as far as it is known.
func (l *linter) regionNames() string {
	var names []string
	for _, d := range l.discovered() {
		if d.Nomad && d.RegionName != "" {
			names = append(names, d.RegionName+" of "+d.Cluster)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + listed(names) + ")"
}

// reachable finds a role that asks for an iss which no token of this mount's clusters has.
// It says nothing where one of them can't be asked, or none names an issuer: see
// missingIssuers.
func (l *linter) reachable(role *Role) {
	want, bound := role.issuers()
	var issuers []string
	for _, d := range l.Discovered {
		if d.Err != nil && l.ours(d.Cluster) {
			return
		}
	}
	for _, d := range l.discovered() {
		if d.Metadata.Issuer != "" {
			issuers = append(issuers, d.Metadata.Issuer)
		}
	}
	asked := !slices.ContainsFunc(l.owners, func(name string) bool { return !l.asked(name) })
	takes := func(issuer string) bool { return matches(want, []any{issuer}, role.text("bound_claims_type") == globs) }
	if !bound || !asked || len(issuers) == 0 || slices.ContainsFunc(issuers, takes) {
		return
	}
	l.add(Problem{
		Lint: LintRoleNobody, Severity: SeverityError, Role: role.Name,
		Message: "role " + role.Name + " asks for an iss of " + shownValues(want) + ", and the clusters of this mount issue as " + shownList(issuers) +
			": every login with it is refused",
		Fix: "compare bound_claims of the role with oidc_issuer of the cluster that it is for, character by character",
	})
}

// allBindIssuer says whether no role of the mount takes a token without an iss.
func (l *linter) allBindIssuer() bool {
	some := false
	for _, role := range l.Roles {
		if role.text("role_type") != "jwt" {
			continue
		}
		if _, bound := role.issuers(); !bound {
			return false
		}
		some = true
	}
	return some && l.RolesErr == nil
}

// issuers returns what the role's bound_claims ask of iss, and whether they do.
func (r *Role) issuers() (values []any, bound bool) {
	claims, _ := r.fields["bound_claims"].(map[string]any)
	for _, claim := range []string{"iss", "/iss"} {
		if value, there := claims[claim]; there {
			list, _ := listOf(value) // what is no list lets nobody in
			return list, true
		}
	}
	return nil, false
}

// binds says whether a role takes tokens of some issuers or regions only.
func (l *linter) binds(r *Role) bool {
	if subject := r.text("bound_subject"); subject != "" {
		return true
	}
	anyIssuer := func(v any) bool { return l.anyIssuer(r, v) }
	if list, bound := r.issuers(); bound && !slices.ContainsFunc(list, anyIssuer) {
		return true
	}
	bound, _ := r.fields["bound_claims"].(map[string]any)
	for _, claim := range []string{"sub", "/sub"} {
		if list, ok := listOf(bound[claim]); ok && !slices.ContainsFunc(list, r.anyRegion) {
			return true
		}
	}
	return false
}

// anyIssuer says whether one value of a bound iss takes any issuer, or those of several of the
// mount's clusters.
func (l *linter) anyIssuer(r *Role, value any) bool {
	pattern, ok := value.(string)
	if !ok || r.text("bound_claims_type") != globs {
		return false
	}
	first := ""
	for _, d := range l.discovered() {
		switch {
		case d.Metadata.Issuer == "" || !globMatches(pattern, d.Metadata.Issuer):
		case first == "":
			first = d.Cluster
		case first != d.Cluster:
			return true
		}
	}
	return strings.Trim(pattern, "*") == ""
}

// anyRegion says whether a bound "sub" takes tokens of any region.
func (r *Role) anyRegion(value any) bool {
	s, ok := value.(string)
	region, _, _ := strings.Cut(s, ":")
	return !ok || r.text("bound_claims_type") == globs && strings.Contains(region, "*")
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

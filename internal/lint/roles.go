package lint

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync"
)

// InspectMount reads the mount's roles and their policies, and its configuration where in has
// none, and returns what [Inspect] says of them and of the rest of in. It needs the capabilities
// of [vaultsync.Policy] and [jwtrole.Policy]; roles that can't be read are a problem among the
// others, and of policies that can't be read, at most [jwtrole.MaxPolicies], less is said. The
// error is a *vaultsync.MountError, and wraps [vaultsync.ErrNotStaticKeys], or what
// [vaultsync.Mount.Read] gives.
func InspectMount(ctx context.Context, m *vaultsync.Mount, in Inspection) ([]Problem, error) {
	if in.Config.IsZero() {
		config, err := m.Read(ctx)
		if err != nil {
			return nil, err
		}
		in.Config = config
	}
	in.Path = m.Path
	if m.Store != nil { // it has no roles
		problems, err := Inspect(in)
		return problems, m.Wrap(err)
	}
	s, err := m.Session()
	if err != nil {
		return nil, err
	}
	in.Roles, in.RolesErr = jwtrole.ReadAll(ctx, s)
	in.RolesErr = m.Wrap(in.RolesErr)
	in.Accessor, in.Policies = jwtrole.ReadAccessor(ctx, s), jwtrole.ReadPolicies(ctx, s, in.Roles)
	problems, err := Inspect(in)
	return problems, m.Wrap(err)
}

// roles finds what bites in the mount's roles.
func (l *linter) roles() {
	if l.RolesErr != nil {
		fix := "run this again when Vault answers"
		if errors.Is(l.RolesErr, vaultsync.ErrForbidden) {
			fix = "give its token the policy that harvest policy -roles prints"
		}
		l.add(Problem{
			Lint: LintRoles, Severity: SeverityWarning,
			Message: "the mount's roles could not all be read, and the rest was not looked at: " + l.RolesErr.Error(),
			Fix:     fix,
		})
	}
	for _, role := range l.Roles {
		if role.Text("role_type") != "jwt" { // no JWT logs in with it
			continue
		}
		l.audience(role)
		if l.shared() && l.Config.BoundIssuer() == "" && !l.binds(role) {
			l.add(Problem{
				Lint: LintRoleIssuer, Severity: SeverityWarning, Role: role.Name,
				Message: "role " + role.Name + " takes tokens of every cluster on this mount (" + vaultapi.Listed(l.owners) +
					"): a job of one has what the policy gives to a job of the same name in another",
				Fix: l.bindIssuer() + " with a role for each cluster, or a mount for each cluster",
			})
		}
		l.strangers(role)
		l.reachable(role)
		l.widened(role)
		l.literalStars(role)
	}
}

// mostLeeway is how far a role's leeways may go without a word.
const mostLeeway = 5 * time.Minute

// widened finds what lets a role take more tokens, or give more, than its policies say.
func (l *linter) widened(role *jwtrole.Role) {
	for _, field := range slices.Sorted(maps.Keys(jwtrole.Leeways)) {
		if d := role.Seconds(field); d > mostLeeway {
			l.add(Problem{
				Lint: LintRoleLeeway, Severity: SeverityWarning, Role: role.Name,
				Message: "role " + role.Name + " grants " + field + " " + d.Round(time.Second).String() + ": a token that was copied is taken for so long after it should have ended",
				Fix:     role.Command(l.Path, field+"=0"),
			})
		}
	}
	if claim := role.Text("groups_claim"); claim != "" {
		l.add(Problem{
			Lint: LintRoleGroups, Severity: SeverityWarning, Role: role.Name,
			Message: "role " + role.Name + " has the groups_claim " + vaultapi.Quote(claim) + ": what a token says there puts it into Vault's groups, and gives it their policies too",
			Fix:     role.Command(l.Path, "groups_claim="),
		})
	}
	if slices.Contains(role.Policies(), "root") {
		l.add(Problem{
			Lint: LintRoleRoot, Severity: SeverityError, Role: role.Name,
			Message: "role " + role.Name + " gives the policy root, which no auth method may: every login with it is refused",
			Fix:     "take root off its token_policies, and give it a policy with what its jobs need",
		})
	}
}

// literalStars finds a * that is meant for any text, and that Vault compares as it stands: in
// bound_claims while bound_claims_type isn't glob, and in bound_subject always.
func (l *linter) literalStars(role *jwtrole.Role) {
	if subject := role.Text("bound_subject"); strings.Contains(subject, "*") {
		l.add(Problem{
			Lint: LintRoleStar, Severity: SeverityError, Role: role.Name,
			Message: "role " + role.Name + " has the bound_subject " + vaultapi.Quote(subject) + ", and Vault compares that * as it stands, whatever bound_claims_type is: " +
				"a login of any other sub is refused",
			Fix: "clear bound_subject, and bind sub in bound_claims with bound_claims_type=glob",
		})
	}
	if role.Text("bound_claims_type") == jwtrole.Globs {
		return
	}
	bound, _ := role.Fields["bound_claims"].(map[string]any)
	others := false // values that Vault refuses beside a glob
	var starred []string
	for _, claim := range slices.Sorted(maps.Keys(bound)) {
		values, _ := jwtrole.ListOf(bound[claim])
		for _, value := range values {
			text, ok := value.(string)
			others = others || !ok
			if ok && strings.Contains(text, "*") && !slices.Contains(starred, claim) {
				starred = append(starred, claim)
			}
		}
	}
	fix := role.Command(l.Path, "bound_claims_type=glob")
	if others {
		fix = "set bound_claims_type=glob, in one write with bound_claims of texts alone: a glob compares nothing else"
	}
	for _, claim := range starred {
		values, _ := jwtrole.ListOf(bound[claim])
		l.add(Problem{
			Lint: LintRoleStar, Severity: SeverityError, Role: role.Name,
			Message: "role " + role.Name + " is bound to " + vaultapi.QuoteValues(values) + " of " + vaultapi.Clean(claim) + ", and Vault compares that * as it stands, as " +
				"bound_claims_type isn't glob: a login that it is meant for is refused",
			Fix: fix,
		})
	}
}

// bindIssuer says how a role is bound to one of the mount's clusters.
func (l *linter) bindIssuer() string {
	if nomads, others := l.nomads(); others && !nomads {
		return "bind it: bound_claims iss (a Nomad needs an oidc_issuer for it)"
	}
	return "bind it: bound_claims iss (with oidc_issuer set in each cluster) or sub = \"REGION:*\"" + l.regionNames()
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
	return " (" + vaultapi.Listed(names) + ")"
}

// reachable finds a role that asks for an iss which no token of this mount's clusters has.
// It says nothing where one of them can't be asked, or none names an issuer: see
// missingIssuers.
func (l *linter) reachable(role *jwtrole.Role) {
	want, bound := role.Issuers()
	var issuers []string
	for _, d := range l.Discovered {
		if d.Err != nil && l.ours(d.Cluster) {
			return
		}
	}
	for _, d := range l.discovered() {
		issuers = append(issuers, issuersOf(d)...)
	}
	asked := !slices.ContainsFunc(l.owners, func(name string) bool { return !l.asked(name) })
	takes := func(issuer string) bool {
		return jwtrole.Matches(want, []any{issuer}, role.Text("bound_claims_type") == jwtrole.Globs)
	}
	if !bound || !asked || len(issuers) == 0 || slices.ContainsFunc(issuers, takes) {
		return
	}
	p := Problem{
		Lint: LintRoleNobody, Severity: SeverityError, Role: role.Name,
		Message: "role " + role.Name + " asks for an iss of " + vaultapi.QuoteValues(want) + ", and the clusters of this mount issue as " + vaultapi.QuoteList(issuers) +
			": every login with it is refused",
		Fix: "compare bound_claims of the role with oidc_issuer of the cluster that it is for, character by character",
	}
	if nomads, _ := l.nomads(); !nomads {
		p.Severity = SeverityWarning
		p.Message = "role " + role.Name + " asks for an iss of " + vaultapi.QuoteValues(want) + ", which no cluster of this mount names in its discovery document: " +
			"they name " + vaultapi.QuoteList(issuers) + ", and every login with it is refused unless tokens of another kind have that iss"
		p.Fix = "compare it with the iss of a token, character by character (harvest verify); -ignore role_nobody if they are the same"
	}
	l.add(p)
}

// allBindIssuer reports whether no role of the mount takes a token without an iss.
func (l *linter) allBindIssuer() bool {
	some := false
	for _, role := range l.Roles {
		if role.Text("role_type") != "jwt" {
			continue
		}
		if _, bound := role.Issuers(); !bound {
			return false
		}
		some = true
	}
	return some && l.RolesErr == nil
}

// binds reports whether a role takes tokens of some issuers or regions only.
func (l *linter) binds(r *jwtrole.Role) bool {
	if subject := r.Text("bound_subject"); subject != "" {
		return true
	}
	anyIssuer := func(v any) bool { return l.anyIssuer(r, v) }
	if list, bound := r.Issuers(); bound && !slices.ContainsFunc(list, anyIssuer) {
		return true
	}
	bound, _ := r.Fields["bound_claims"].(map[string]any)
	for _, claim := range []string{"sub", "/sub"} {
		if list, ok := jwtrole.ListOf(bound[claim]); ok && !slices.ContainsFunc(list, func(v any) bool { return anyRegion(r, v) }) {
			return true
		}
	}
	return false
}

// anyIssuer reports whether one value of a bound iss takes any issuer, or those of several of the
// mount's clusters.
func (l *linter) anyIssuer(r *jwtrole.Role, value any) bool {
	pattern, ok := value.(string)
	if !ok || r.Text("bound_claims_type") != jwtrole.Globs {
		return false
	}
	first := ""
	for _, d := range l.discovered() {
		switch {
		case !slices.ContainsFunc(issuersOf(d), func(issuer string) bool { return jwtrole.GlobMatches(pattern, issuer) }):
		case first == "":
			first = d.Cluster
		case first != d.Cluster:
			return true
		}
	}
	return strings.Trim(pattern, "*") == ""
}

// anyRegion reports whether a bound "sub" takes tokens of any region.
func anyRegion(r *jwtrole.Role, value any) bool {
	s, ok := value.(string)
	region, _, _ := strings.Cut(s, ":")
	return !ok || r.Text("bound_claims_type") == jwtrole.Globs && strings.Contains(region, "*")
}

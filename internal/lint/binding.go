package lint

import (
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

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
		return jwtrole.Matches(want, []any{issuer}, role.UsesGlobs())
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
	unbound := func(role *jwtrole.Role) bool { _, bound := role.Issuers(); return !bound }
	return len(l.jwt) > 0 && !slices.ContainsFunc(l.jwt, unbound) && l.RolesErr == nil
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
	bound := r.Map("bound_claims")
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
	if !ok || !r.UsesGlobs() {
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
	return !ok || r.UsesGlobs() && strings.Contains(region, "*")
}

package lint

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync"
)

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
	for _, role := range l.jwt {
		l.audience(role)
		if l.shared() && l.Config.BoundIssuer() == "" && !l.binds(role) {
			l.addRole(role, LintRoleIssuer, SeverityWarning, "takes tokens of every cluster on this mount ("+vaultapi.Listed(l.owners)+
				"): a job of one has what the policy gives to a job of the same name in another",
				l.bindIssuer()+" with a role for each cluster, or a mount for each cluster")
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
			l.addRole(role, LintRoleLeeway, SeverityWarning, "grants "+field+" "+d.Round(time.Second).String()+": a token that was copied is taken for so long after it should have ended",
				role.Command(l.Path, field+"=0"))
		}
	}
	if claim := role.Text("groups_claim"); claim != "" {
		l.addRole(role, LintRoleGroups, SeverityWarning, "has the groups_claim "+vaultapi.Quote(claim)+": what a token says there puts it into Vault's groups, and gives it their policies too",
			role.Command(l.Path, "groups_claim="))
	}
	if slices.Contains(role.Policies(), "root") {
		l.addRole(role, LintRoleRoot, SeverityError, "gives the policy root, which no auth method may: every login with it is refused",
			"take root off its token_policies, and give it a policy with what its jobs need")
	}
}

// literalStars finds a * that is meant for any text, and that Vault compares as it stands: in
// bound_claims while bound_claims_type isn't glob, and in bound_subject always.
func (l *linter) literalStars(role *jwtrole.Role) {
	if subject := role.Text("bound_subject"); strings.Contains(subject, "*") {
		l.addRole(role, LintRoleStar, SeverityError, "has the bound_subject "+vaultapi.Quote(subject)+", and Vault compares that * as it stands, whatever bound_claims_type is: "+
			"a login of any other sub is refused",
			"clear bound_subject, and bind sub in bound_claims with bound_claims_type=glob")
	}
	if role.UsesGlobs() {
		return
	}
	bound := role.Map("bound_claims")
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
		l.addRole(role, LintRoleStar, SeverityError, "is bound to "+vaultapi.QuoteValues(values)+" of "+vaultapi.Clean(claim)+", and Vault compares that * as it stands, as "+
			"bound_claims_type isn't glob: a login that it is meant for is refused",
			fix)
	}
}

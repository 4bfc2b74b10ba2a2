package lint

import (
	"maps"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// audience finds a role without bound_audiences, where Vault refuses every token that has an
// audience. Nomad's have one; an issuer's may have none.
func (l *linter) audience(role *jwtrole.Role) {
	if len(role.List("bound_audiences")) > 0 {
		return
	}
	p := Problem{
		Lint: LintRoleAudience, Severity: SeverityWarning, Role: role.Name,
		Message: "role " + role.Name + " has no bound_audiences: Vault refuses tokens there that have an audience (and before 1.17 took any, a token made for another service too)",
		Fix: "where tokens have an audience, as Nomad's do: " + role.Command(l.Path, "bound_audiences=AUDIENCE") +
			"; where they have none, as access tokens of Cognito, leave it, and bind the claim that says whose they are",
	}
	switch nomads, others := l.nomads(); {
	case nomads || ofNomad(role):
		p.Severity = SeverityError
		p.Message = "role " + role.Name + " has no bound_audiences: Vault refuses Nomad's tokens there, which have an audience (and before 1.17 took any, a token made for another service too)"
		p.Fix = role.Command(l.Path, "bound_audiences=AUDIENCE") + ", with the aud of the jobs' identity blocks or of default_identity (" + jwtrole.DefaultAudience + " in Nomad's documentation)"
	case others:
		p.Severity = SeverityNote
	}
	l.add(p)
}

// strangers finds a role that takes the tokens of anyone who gets one of an issuer, for its
// audience: at GitHub, that of every repository in the world.
func (l *linter) strangers(role *jwtrole.Role) {
	if ofNomad(role) || len(role.List("bound_audiences")) == 0 && !l.withoutAudience() {
		return
	}
	told := map[string]bool{}
	for _, issuer := range l.foreignIssuers(role) {
		shared := jwtrole.SharedIssuer(issuer)
		if shared != nil && shared.Tenant && l.bindsIssuer(role) {
			shared = nil // the iss tells whose it is
		}
		p := Problem{Lint: LintRoleStrangers, Severity: SeverityWarning, Role: role.Name}
		who := "the tokens of " + vaultapi.Quote(issuer)
		switch {
		case shared != nil && !role.Narrows(shared.Claims):
			p.Severity = SeverityError
			who = "tokens of " + shared.Name + ", which signs for everybody"
			p.Message = ": anyone who has an account there logs in"
			p.Fix = "bind " + strings.Join(shared.Claims[:min(len(shared.Claims), 4)], ", ") + " or sub to what is yours (bound_claims)"
			if shared.Tenant {
				p.Fix = "bind iss, which names the tenant, in bound_claims or by bound_issuer, and a claim that says whose a token is"
			}
		case shared == nil && !role.Narrows(nil) && !mapsNomad(role):
			p.Message = ": anyone who gets one there for the same audience logs in"
			p.Fix = "bind what says whose a token is: bound_subject, or another claim in bound_claims; -ignore role_strangers if all of them may log in"
		}
		if p.Message == "" || told[who] {
			continue
		}
		told[who] = true
		p.Message = "role " + role.Name + " takes " + who + ", and binds nothing that says whose they are" + p.Message
		l.add(p)
	}
}

// ofNomad reports whether a role takes Nomad's tokens alone, since it goes by a claim of theirs.
func ofNomad(role *jwtrole.Role) bool {
	if strings.HasPrefix(role.UserClaim(), "nomad_") {
		return true
	}
	for name := range role.Map("bound_claims") {
		if strings.HasPrefix(strings.TrimPrefix(name, "/"), "nomad_") {
			return true
		}
	}
	return false
}

// mapsNomad reports whether a role's policies may go by a claim of Nomad's: of a key set that is
// carried as a file nothing says that it is one.
func mapsNomad(role *jwtrole.Role) bool {
	for name := range role.Map("claim_mappings") {
		if strings.HasPrefix(strings.TrimPrefix(name, "/"), "nomad_") {
			return true
		}
	}
	return false
}

// withoutAudience reports whether the mount has an issuer whose tokens may have no audience.
func (l *linter) withoutAudience() bool {
	_, others := l.nomads()
	return others
}

// bindsIssuer reports whether mount or role take one issuer alone.
func (l *linter) bindsIssuer(role *jwtrole.Role) bool {
	values, bound := role.Issuers()
	starred := func(v any) bool {
		s, _ := v.(string)
		return role.UsesGlobs() && strings.Contains(s, "*")
	}
	return l.Config.BoundIssuer() != "" || bound && !slices.ContainsFunc(values, starred)
}

// foreignIssuers returns the issuers besides Nomads whose tokens a role takes: those of the mount's
// clusters, and shared ones that mount or role name.
func (l *linter) foreignIssuers(role *jwtrole.Role) []string {
	var found []string
	for _, d := range l.discovered() {
		if !d.Nomad {
			found = append(found, issuersOf(d)...)
		}
	}
	named := []string{l.Config.BoundIssuer()}
	for _, cluster := range slices.Sorted(maps.Keys(l.KeysAt)) {
		if l.ours(cluster) {
			named = append(named, l.KeysAt[cluster])
		}
	}
	values, bound := role.Issuers()
	for _, v := range values {
		s, _ := v.(string)
		named = append(named, s)
	}
	for _, issuer := range named {
		if jwtrole.SharedIssuer(issuer) != nil {
			found = append(found, issuer)
		}
	}
	useGlobs := role.UsesGlobs()
	return slices.DeleteFunc(found, func(issuer string) bool {
		return l.Config.BoundIssuer() != "" && l.Config.BoundIssuer() != issuer || bound && !jwtrole.Matches(values, []any{issuer}, useGlobs)
	})
}

package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// aliases finds roles whose logins of several namespaces are one entity, while a policy goes by
// what the last of them left there.
func (l *linter) aliases() {
	namespaces := map[string]bool{}
	for _, role := range l.jwt {
		if role.MixesNamespaces() {
			namespaces[role.BoundNamespace()] = true
		}
	}
	if len(namespaces) == 1 && !namespaces[""] {
		return // the roles that share aliases take the workloads of one namespace alone
	}
	for _, role := range l.jwt {
		if !role.MixesNamespaces() {
			continue
		}
		claim := role.UserClaim()
		if policy, name, unknown := l.templated(role, claim); policy != "" || unknown {
			message := "role " + role.Name + " has the user_claim " + vaultapi.Clean(claim) + ": workloads of several namespaces with one value of it are one Vault entity, " +
				"with the metadata of whichever logged in last"
			if policy != "" {
				message += ", and its policy " + vaultapi.Clean(policy) + " goes by " + vaultapi.Clean(name) + " of that: a token of one namespace reads what is another's, and loses its own"
			} else {
				message += ", by which a policy may go (the role's policies could not all be read)"
			}
			l.add(Problem{
				Lint: LintRoleAlias, Severity: SeverityWarning, Role: role.Name, Message: message,
				Fix: role.Command(l.Path, "user_claim=sub user_claim_json_pointer=false") + ", or harvest setup; then end the tokens that have the old entity: " +
					"vault lease revoke -prefix auth/" + l.Path + "/login",
			})
		}
	}
}

// templated returns a policy of the role, and the metadata of the mount's aliases by which it goes
// although the user claim doesn't tell it; unknown where there is none as far as policies could be
// read.
func (l *linter) templated(role *jwtrole.Role, claim string) (policy, name string, unknown bool) {
	told := map[string]bool{}
	mappings := role.Map("claim_mappings")
	others := 0 // metadata that the alias doesn't tell
	for source, target := range mappings {
		if strings.TrimPrefix(source, "/") == claim {
			told[fmt.Sprint(target)] = true
		} else {
			others++
		}
	}
	for _, policy := range role.Policies() {
		text, read := l.Policies[policy]
		if !read {
			unknown = unknown || others > 0 && policy != "default" && policy != "root"
			continue
		}
		for _, name := range jwtrole.Metadata(text, l.Accessor) {
			if !told[name] {
				return policy, name, false
			}
		}
	}
	return "", "", unknown
}

// otherMounts finds policies of roles that are templated on other mounts alone.
func (l *linter) otherMounts() {
	if l.Accessor == "" {
		return
	}
	for _, role := range l.Roles {
		for _, policy := range role.Policies() {
			of := jwtrole.Accessors(l.Policies[policy])
			if len(of) == 0 || slices.Contains(of, l.Accessor) {
				continue
			}
			l.addRole(role, LintRolePolicy, SeverityError, "gives the policy "+vaultapi.Clean(policy)+", which is templated on the mount with the accessor "+vaultapi.Clean(vaultapi.Listed(of))+
				", and this one has "+l.Accessor+": logins here get nothing by it",
				"give the role a policy of this mount's own, as harvest setup does")
		}
	}
}

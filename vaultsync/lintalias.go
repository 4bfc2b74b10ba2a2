package vaultsync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// MaxRolePolicies is how many policies of a mount's roles are read.
const MaxRolePolicies = 100

// readPolicies returns the texts of the policies that roles give, by name; one that isn't there
// is "". Those that the token may not read are missing.
func (s *session) readPolicies(ctx context.Context, roles []*Role) map[string]string {
	texts := map[string]string{}
	var names []string
	for _, role := range roles {
		names = append(names, role.policies()...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names[:min(len(names), MaxRolePolicies)] {
		if !isPolicyName(name) {
			continue
		}
		if policy, err := s.Lookup(ctx, "sys/policies/acl/"+name); err == nil {
			texts[name], _ = policy["policy"].(string)
		}
	}
	return texts
}

// isPolicyName reports whether a name can stand in a request's path as it is.
func isPolicyName(name string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/?#%*+"\`, r) }
	return name != "" && strings.Trim(name, ".") != "" && !strings.ContainsFunc(name, odd)
}

// readAccessor returns the mount's accessor. Every token that may do something on the mount may
// ask for it there; "" where Vault doesn't answer.
func (s *session) readAccessor(ctx context.Context) string {
	data, err := s.Lookup(ctx, "sys/internal/ui/mounts/auth/"+s.mount.Path)
	if err != nil {
		return ""
	}
	accessor, _ := data["accessor"].(string)
	return accessor
}

// policies are the names of the role's policies, sorted.
func (r *Role) policies() []string {
	names := slices.Concat(r.list("token_policies"), r.list("policies"))
	slices.Sort(names)
	return slices.Compact(names)
}

// userClaim returns the name of the claim that names the entity, without the slash of a pointer to
// a claim at the top.
func (r *Role) userClaim() string {
	name := r.text("user_claim")
	if top, ok := strings.CutPrefix(name, "/"); ok && r.flag("user_claim_json_pointer") && !strings.Contains(top, "/") {
		return top
	}
	return name
}

// mixesNamespaces reports whether workloads of several Nomad namespaces can have one value of the
// role's user claim. Of a claim that Nomad's tokens don't have by themselves nothing is known.
func (r *Role) mixesNamespaces() bool {
	switch claim := r.userClaim(); claim {
	case "nomad_namespace", "nomad_allocation_id":
		return false
	case "aud", "iss":
		return true
	default:
		return strings.HasPrefix(claim, "nomad_")
	}
}

// boundNamespace returns the one namespace whose workloads the role takes, or "".
func (r *Role) boundNamespace() string {
	bound, _ := r.fields["bound_claims"].(map[string]any)
	for _, claim := range []string{"nomad_namespace", "/nomad_namespace"} {
		list, ok := listOf(bound[claim])
		if !ok || len(list) != 1 {
			continue
		}
		if name, ok := list[0].(string); ok && (r.text("bound_claims_type") != globs || !strings.Contains(name, "*")) {
			return name
		}
	}
	return ""
}

// metadata returns the metadata of aliases of the mount with that accessor that a policy is templated
// on, sorted; of every mount's where the accessor isn't known.
func metadata(policy, accessor string) []string {
	names := map[string]bool{}
	for rest := policy; ; {
		var ok bool
		if _, rest, ok = strings.Cut(rest, "identity.entity.aliases."); !ok {
			return slices.Sorted(maps.Keys(names))
		}
		of, field, _ := strings.Cut(rest, ".")
		if name, ok := strings.CutPrefix(field, "metadata."); ok && (accessor == "" || of == accessor) {
			end := strings.IndexFunc(name, func(r rune) bool { return r == '}' || r == ' ' })
			if end > 0 {
				names[name[:end]] = true
			}
		}
	}
}

// accessors returns those of the mounts that a policy speaks of, sorted.
func accessors(policy string) []string {
	names := map[string]bool{}
	for rest := policy; ; {
		var ok bool
		if _, rest, ok = strings.Cut(rest, "identity.entity.aliases."); !ok {
			return slices.Sorted(maps.Keys(names))
		}
		of, _, _ := strings.Cut(rest, ".")
		names[of] = true
	}
}

// aliases finds roles whose logins of several namespaces are one entity, while a policy goes by
// what the last of them left there.
func (l *linter) aliases() {
	namespaces := map[string]bool{}
	for _, role := range l.Roles {
		if role.text("role_type") == "jwt" && role.mixesNamespaces() {
			namespaces[role.boundNamespace()] = true
		}
	}
	if len(namespaces) == 1 && !namespaces[""] {
		return // the roles that share aliases take the workloads of one namespace alone
	}
	for _, role := range l.Roles {
		if role.text("role_type") != "jwt" || !role.mixesNamespaces() {
			continue
		}
		claim := role.userClaim()
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
				Fix: role.command(l.Path, "user_claim=sub user_claim_json_pointer=false") + ", or harvest setup; then end the tokens that have the old entity: " +
					"vault lease revoke -prefix auth/" + l.Path + "/login",
			})
		}
	}
}

// templated returns a policy of the role, and the metadata of the mount's aliases by which it goes although
// the user claim doesn't tell it; unknown where there is none as far as policies could be read.
func (l *linter) templated(role *Role, claim string) (policy, name string, unknown bool) {
	told := map[string]bool{}
	mappings, _ := role.fields["claim_mappings"].(map[string]any)
	others := 0 // metadata that the alias doesn't tell
	for source, target := range mappings {
		if strings.TrimPrefix(source, "/") == claim {
			told[fmt.Sprint(target)] = true
		} else {
			others++
		}
	}
	for _, policy := range role.policies() {
		text, read := l.Policies[policy]
		if !read {
			unknown = unknown || others > 0 && policy != "default" && policy != "root"
			continue
		}
		for _, name := range metadata(text, l.Accessor) {
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
		for _, policy := range role.policies() {
			of := accessors(l.Policies[policy])
			if len(of) == 0 || slices.Contains(of, l.Accessor) {
				continue
			}
			l.add(Problem{
				Lint: LintRolePolicy, Severity: SeverityError, Role: role.Name,
				Message: "role " + role.Name + " gives the policy " + vaultapi.Clean(policy) + ", which is templated on the mount with the accessor " + vaultapi.Clean(listed(of)) +
					", and this one has " + l.Accessor + ": logins here get nothing by it",
				Fix: "give the role a policy of this mount's own, as harvest setup does",
			})
		}
	}
}

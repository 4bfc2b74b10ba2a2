package setup

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/text"
)

// Defaults of an [Access], as Nomad's `nomad setup vault` has them (Nomad 1.11), but for the
// user claim.
const (
	DefaultRole     = "nomad-workloads"
	DefaultAudience = jwtrole.DefaultAudience
	DefaultKV       = "secret"
	defaultPeriod   = 30 * time.Minute
	// DefaultUserClaim is region:namespace:job:group:task:identity in Nomad's tokens, so that
	// jobs of one name in two namespaces are two entities. `nomad setup vault` has
	// /nomad_job_id: there they are one, and each reads the secrets of whichever logged in last.
	DefaultUserClaim = "sub"
)

// Access is what those get who log in on a mount: a role, and a policy that lets a Nomad job
// read the secrets of its namespace and name. The zero value is what `nomad setup vault` makes,
// but keeps namespaces apart.
type Access struct {
	// Role is the role's name; "" is DefaultRole.
	Role string
	// Policy is the policy's name. "" is that of the policy which an earlier setup of the mount
	// gave the role, else <role>.<mount>: a policy is templated on one mount's accessor, and two
	// mounts can't share it.
	Policy string
	// Audiences are those of which a token must have one; none is DefaultAudience.
	Audiences []string
	// UserClaim is the claim that names the entity's alias, or its JSON pointer where it begins
	// with a slash; "" is DefaultUserClaim. Anyone who shares its value shares one entity, whose
	// metadata is that of the last login, and the policy goes by that metadata. Vault compares
	// the values without case.
	UserClaim string
	// Claims are further claims, and their sources in the token, that the entity's alias is
	// to carry, by source. Those of the policy (nomad_namespace, nomad_job_id) and nomad_task
	// are always there.
	Claims map[string]string
	// Bound are claims that a token must have, such as {"iss": "https://nomad.example.com"} or
	// {"sub": "us-east-1:*"}; a star stands for anything. A nomad_namespace without a star stands
	// in the policy as plain text, which holds whatever the alias says.
	Bound map[string]string
	// BoundSubject is the sub that a token must have, as it stands; "" is any.
	BoundSubject string
	// BoundCIDRs are the networks that logins, and requests with their tokens, must come from; none
	// is anywhere.
	BoundCIDRs []string
	// NumUses is how many requests a token is good for, Nomad's renewals among them; zero: no
	// limit.
	NumUses int
	// NoDefaultPolicy leaves Vault's default policy out, without which a token can't renew itself.
	NoDefaultPolicy bool
	// Period is the period of the tokens, in which a task's must be renewed; zero is
	// defaultPeriod.
	Period time.Duration
	// MaxTTL is the longest life of a token, whatever is renewed; zero: no limit.
	MaxTTL time.Duration
	// KV is the path of the KV engine, of version 2, that the secrets are in; "" is DefaultKV.
	KV string
	// Prefix stands before the job's namespace in the paths of its secrets, such as the
	// name of its cluster; "" is nothing.
	Prefix string
	// JobPrefix, such as job-, keeps the jobs of a namespace apart, whatever they are called: a
	// job's secrets are below <namespace>/job-<job>/job-<job>/. "" is <namespace>/<job>, where a
	// job called * reads the secrets of its whole namespace. See [Access.PolicyText].
	JobPrefix string
}

func (a Access) role() string { return cmp.Or(a.Role, DefaultRole) }

func (a Access) policy() string { return cmp.Or(a.Policy, a.role()) }

func (a Access) userClaim() string { return cmp.Or(a.UserClaim, DefaultUserClaim) }

// namespace returns the one namespace that the role is bound to, or "".
func (a Access) namespace() string {
	for _, claim := range []string{"nomad_namespace", "/nomad_namespace"} {
		if value := a.Bound[claim]; value != "" && !strings.Contains(value, "*") {
			return value
		}
	}
	return ""
}

func (a Access) kv() string { return cmp.Or(strings.Trim(a.KV, "/"), DefaultKV) }

func (a Access) audiences() []string {
	if len(a.Audiences) == 0 {
		return []string{DefaultAudience}
	}
	return a.Audiences
}

func (a Access) period() time.Duration { return cmp.Or(a.Period, defaultPeriod) }

var (
	// Vault lowers the case of both names, so that only one spelling reads back.
	accessName = text.Pattern(`^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9_])?$`)
	// What stands in a policy's paths: nothing that closes a string or a template, and no
	// wildcard.
	secretPath = text.Pattern(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)
	jobPrefix  = text.Pattern(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	// Nomad's namespaces (nomad/structs: validNamespaceName).
	nomadNamespace = text.Pattern(`^[A-Za-z0-9-]{1,128}$`)
)

// isSecretPath reports whether a path may stand in a policy. Vault never takes a request for
// a path with dots alone between its slashes.
func isSecretPath(path string) bool {
	dots := func(part string) bool { return part == "." || part == ".." }
	return secretPath().MatchString(path) && !slices.ContainsFunc(strings.Split(path, "/"), dots)
}

// check refuses what Vault would refuse or read as something else.
func (a Access) check() error {
	switch {
	case !accessName().MatchString(a.role()):
		return fmt.Errorf("role %q: use lower-case letters, digits, '.', '_' and '-', the last no '.' or '-', 128 at most", a.role())
	case a.Policy != "" && !accessName().MatchString(a.Policy) || a.Policy == "root" || a.Policy == "default":
		return fmt.Errorf("policy %q: use lower-case letters, digits, '.', '_' and '-', the last no '.' or '-', 128 at most, and neither root nor default", a.Policy)
	case !isSecretPath(a.kv()):
		return fmt.Errorf("KV path %q: want the path of a KV engine, such as secret", a.KV)
	case a.Prefix != "" && !isSecretPath(a.Prefix):
		return fmt.Errorf("prefix %q: want names and slashes, such as us-east, and no part that is . or ..", a.Prefix)
	case a.JobPrefix != "" && !jobPrefix().MatchString(a.JobPrefix):
		return fmt.Errorf("job prefix %q: want letters, digits, '.', '_' and '-', the first a letter or digit, such as job-", a.JobPrefix)
	case !isClaim(a.userClaim()):
		return fmt.Errorf("user claim %q: want a claim of the token, such as sub, or its JSON pointer, such as /nomad_job_id", a.UserClaim)
	case a.namespace() != "" && !nomadNamespace().MatchString(a.namespace()):
		return fmt.Errorf("bound nomad_namespace = %q: Nomad's namespaces have letters, digits and dashes, 128 at most", a.namespace())
	case a.Period < 0 || a.MaxTTL < 0 || a.Period%time.Second != 0 || a.MaxTTL%time.Second != 0:
		return errors.New("period and longest life of a token: want whole seconds from zero")
	case a.NumUses < 0:
		return fmt.Errorf("%d uses of a token: want a number from zero, which is no limit", a.NumUses)
	case a.badCIDR() != "":
		return fmt.Errorf("bound CIDR %q: want a network, such as 10.0.0.0/8, or an address", a.badCIDR())
	case slices.Contains(a.audiences(), ""):
		return errors.New("an audience is empty")
	}
	for source, target := range a.Claims {
		if same := source == target; !same && (isWorkloadClaim(source) || isWorkloadClaim(target)) {
			return fmt.Errorf("claim %q as %q: the policy goes by %s, each under its own name", source, target, strings.Join(workloadClaims, ", "))
		}
		if source == "" || target == "" || target == "role" {
			return fmt.Errorf("claim %q as %q: want a claim's name and another name than role for it", source, target)
		}
	}
	if len(slices.Compact(slices.Sorted(maps.Values(a.claimMappings())))) != len(a.claimMappings()) {
		return errors.New("two claims under one name")
	}
	for claim, value := range a.Bound {
		if claim == "" || value == "" {
			return fmt.Errorf("bound claim %q = %q: want a claim and what it must be", claim, value)
		}
	}
	return nil
}

// badCIDR returns what is no network and no address, or "".
func (a Access) badCIDR() string {
	for _, s := range a.BoundCIDRs {
		_, network := netip.ParsePrefix(s)
		if _, address := netip.ParseAddr(s); network != nil && address != nil {
			return cmp.Or(s, "(empty)")
		}
	}
	return ""
}

// isClaim reports whether a name can be that of a claim, or its JSON pointer.
func isClaim(name string) bool {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) }
	return len(strings.Trim(name, "/")) > 0 && len(name) <= 256 && !strings.ContainsFunc(name, odd)
}

// workloadClaims are those of a Nomad token that each alias carries under their own names.
var workloadClaims = []string{"nomad_namespace", "nomad_job_id", "nomad_task"}

func isWorkloadClaim(name string) bool { return slices.Contains(workloadClaims, name) }

func (a Access) claimMappings() map[string]string {
	all := map[string]string{}
	for _, claim := range workloadClaims {
		all[claim] = claim
	}
	maps.Copy(all, a.Claims)
	return all
}

// RoleBody returns the role as it is written to auth/<mount>/role/<name>. Its policy has the role's
// name where Policy is "".
func (a Access) RoleBody() map[string]any {
	body := map[string]any{
		"role_type":               "jwt",
		"bound_audiences":         a.audiences(),
		"user_claim":              a.userClaim(),
		"user_claim_json_pointer": strings.HasPrefix(a.userClaim(), "/"),
		"claim_mappings":          a.claimMappings(),
		"token_type":              "service",
		"token_policies":          []string{a.policy()},
		"token_period":            int64(a.period() / time.Second),
		"token_explicit_max_ttl":  int64(a.MaxTTL / time.Second),
		"bound_claims_type":       "string",
		"bound_claims":            map[string]any{},
	}
	bound := map[string]any{}
	for claim, value := range a.Bound {
		bound[claim] = value
		if strings.Contains(value, "*") {
			body["bound_claims_type"] = "glob"
		}
	}
	body["bound_claims"] = bound
	if a.BoundSubject != "" {
		body["bound_subject"] = a.BoundSubject
	}
	if len(a.BoundCIDRs) > 0 {
		body["token_bound_cidrs"] = a.BoundCIDRs
	}
	if a.NumUses > 0 {
		body["token_num_uses"] = a.NumUses
	}
	if a.NoDefaultPolicy {
		body["token_no_default_policy"] = true
	}
	return body
}

// madeByHarvest is the first line of a policy that a setup wrote.
const madeByHarvest = "# harvest/1: what a Nomad job may read, by the claims of its workload identity"

// PolicyText returns the policy for a mount with that accessor (`vault auth list`), which
// its paths are templated on: a job may read the secrets of its own namespace and name,
// as in <kv>/data/<prefix>/<namespace>/<job>, and list the names of its namespace.
//
// Vault reads wildcards after it has filled in the names. A * counts at the end of a path, a +
// where it stands alone between slashes, and Nomad takes jobs that are called *, +, pay* and
// team/+: without a JobPrefix such a job reads others' secrets of its namespace.
//
// With one, each name stands in a path twice, and a shorter path, where it stands once, is denied.
// Vault goes by the path whose first wildcard comes later, and between equals by the one with fewer
// +. A name without a lone + gets its own secrets, as the denied path ends first; a name with one
// gets nothing, because it has twice as many in the longer path. What stays is that job a reads the
// secrets of a job that is called a/job-a, or begins like that.
func (a Access) PolicyText(accessor string) string {
	claim := func(name string) string {
		return "{{identity.entity.aliases." + accessor + ".metadata." + name + "}}"
	}
	namespace := cmp.Or(a.namespace(), claim("nomad_namespace"))
	if a.Prefix != "" {
		namespace = a.Prefix + "/" + namespace
	}
	type rule struct{ path, capability string }
	job := a.JobPrefix + claim("nomad_job_id")
	secrets := a.kv() + "/data/" + namespace + "/" + job
	rules := []rule{{secrets, "read"}, {secrets + "/*", "read"}}
	if a.JobPrefix != "" {
		rules = []rule{{secrets + "/*", "deny"}, {secrets + "/" + job + "/*", "read"}}
	}
	rules = append(rules, rule{a.kv() + "/metadata/" + namespace + "/*", "list"})
	var b strings.Builder
	b.WriteString(madeByHarvest + "\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "\npath %q {\n  capabilities = [%q]\n}\n", r.path, r.capability)
	}
	return b.String()
}

// Secrets is where a job's secrets are, for people to read, as in secret/data/<namespace>/<job>.
func (a Access) Secrets() string {
	path := a.kv() + "/data/"
	if a.Prefix != "" {
		path += a.Prefix + "/"
	}
	path += cmp.Or(a.namespace(), "<namespace>") + "/" + a.JobPrefix + "<job>"
	if a.JobPrefix != "" {
		path += "/" + a.JobPrefix + "<job>/<name>"
	}
	return path
}

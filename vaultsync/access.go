package vaultsync

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Defaults of an [Access], as Nomad's `nomad setup vault` has them (Nomad 1.11).
const (
	DefaultRole     = "nomad-workloads"
	DefaultAudience = "vault.io"
	DefaultKV       = "secret"
	DefaultPeriod   = 30 * time.Minute
)

// userClaim names the entity of a login: on one mount, the jobs of one name are one entity,
// whichever cluster they run in.
const userClaim = "/nomad_job_id"

// Access is what those get who log in on a mount: a role, and a policy that lets a Nomad job
// read the secrets of its namespace and name. The zero value is what `nomad setup vault` makes.
type Access struct {
	// Role is the role's name; "" is DefaultRole.
	Role string
	// Policy is the policy's name; "" is that of the role.
	Policy string
	// Audiences are those of which a token must have one; none is DefaultAudience.
	Audiences []string
	// Claims are further claims, and their sources in the token, that the entity's alias is
	// to carry, by source. Those of the policy (nomad_namespace, nomad_job_id) and nomad_task
	// are always there.
	Claims map[string]string
	// Bound are claims that a token must have, such as {"iss": "https://nomad.example.com"} or
	// {"sub": "us-east-1:*"}; a star stands for anything.
	Bound map[string]string
	// Period is the period of the tokens, in which a task's must be renewed; zero is
	// DefaultPeriod.
	Period time.Duration
	// MaxTTL is the longest life of a token, whatever is renewed; zero: no limit.
	MaxTTL time.Duration
	// KV is the path of the KV engine, of version 2, that the secrets are in; "" is DefaultKV.
	KV string
	// Prefix stands before the job's namespace in the paths of its secrets, such as the
	// name of its cluster; "" is nothing.
	Prefix string
}

func (a Access) role() string { return orText(a.Role, DefaultRole) }

func (a Access) policy() string { return orText(a.Policy, a.role()) }

func (a Access) kv() string { return orText(strings.Trim(a.KV, "/"), DefaultKV) }

func (a Access) audiences() []string {
	if len(a.Audiences) == 0 {
		return []string{DefaultAudience}
	}
	return a.Audiences
}

func (a Access) period() time.Duration { return orDuration(a.Period, DefaultPeriod) }

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func orDuration(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

var (
	// Vault lowers the case of both names, so that only one spelling reads back.
	accessName = onFirstUse(`^[a-z0-9][a-z0-9._-]{0,127}$`)
	// What stands in a policy's paths: nothing that closes a string or a template, and no
	// wildcard.
	secretPath = onFirstUse(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)
)

// check refuses what Vault would refuse or read as something else.
func (a Access) check() error {
	switch {
	case !accessName().MatchString(a.role()):
		return fmt.Errorf("role %q: use lower-case letters, digits, '.', '_' and '-', 128 at most", a.role())
	case !accessName().MatchString(a.policy()) || a.policy() == "root" || a.policy() == "default":
		return fmt.Errorf("policy %q: use lower-case letters, digits, '.', '_' and '-', 128 at most, and neither root nor default", a.policy())
	case !secretPath().MatchString(a.kv()):
		return fmt.Errorf("KV path %q: want the path of a KV engine, such as secret", a.KV)
	case a.Prefix != "" && !secretPath().MatchString(a.Prefix):
		return fmt.Errorf("prefix %q: want names and slashes, such as us-east", a.Prefix)
	case a.Period < 0 || a.MaxTTL < 0 || a.Period%time.Second != 0 || a.MaxTTL%time.Second != 0:
		return errors.New("period and longest life of a token: want whole seconds from zero")
	case slices.Contains(a.audiences(), ""):
		return errors.New("an audience is empty")
	}
	for source, target := range a.Claims {
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

func (a Access) claimMappings() map[string]string {
	all := map[string]string{"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id", "nomad_task": "nomad_task"}
	maps.Copy(all, a.Claims)
	return all
}

// RoleBody returns the role as it is written to auth/<mount>/role/<name>.
func (a Access) RoleBody() map[string]any {
	body := map[string]any{
		"role_type":               "jwt",
		"bound_audiences":         a.audiences(),
		"user_claim":              userClaim,
		"user_claim_json_pointer": true,
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
	return body
}

// madeByHarvest is the first line of a policy that a setup wrote.
const madeByHarvest = "# harvest/1: what a Nomad job may read, by the claims of its workload identity"

// PolicyText returns the policy for a mount with that accessor (`vault auth list`), which
// its paths are templated on: a job may read the secrets of its own namespace and name,
// as in <kv>/data/<prefix>/<namespace>/<job>, and list names.
func (a Access) PolicyText(accessor string) string {
	claim := func(name string) string {
		return "{{identity.entity.aliases." + accessor + ".metadata." + name + "}}"
	}
	prefix := ""
	if a.Prefix != "" {
		prefix = a.Prefix + "/"
	}
	namespace := prefix + claim("nomad_namespace")
	job := a.kv() + "/data/" + namespace + "/" + claim("nomad_job_id")
	var b strings.Builder
	b.WriteString(madeByHarvest + "\n")
	for _, rule := range []struct{ path, capability string }{
		{job, "read"},
		{job + "/*", "read"},
		{a.kv() + "/metadata/" + namespace + "/*", "list"},
		{a.kv() + "/metadata/" + prefix + "*", "list"},
	} {
		fmt.Fprintf(&b, "\npath %q {\n  capabilities = [%q]\n}\n", rule.path, rule.capability)
	}
	return b.String()
}

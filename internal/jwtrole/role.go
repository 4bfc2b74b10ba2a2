// Package jwtrole reads the roles of a JWT auth mount and the policies that they give.
package jwtrole

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// DefaultAudience is that of Nomad's tokens for Vault, as `nomad setup vault` has it.
const DefaultAudience = "vault.io"

// Role is what auth/<mount>/role/<name> holds, every field as it was read.
type Role struct {
	Name   string
	Fields map[string]any // as vault/api decodes them, numbers as json.Number; not to be changed
}

// Text returns a field that is a text, else "".
func (r *Role) Text(field string) string {
	s, _ := r.Fields[field].(string)
	return s
}

// Flag returns a field that is a boolean, else false.
func (r *Role) Flag(field string) bool {
	b, _ := r.Fields[field].(bool)
	return b
}

// List returns the texts of a field that is a list.
func (r *Role) List(field string) []string { return vaultapi.Strings(r.Fields[field]) }

// Map returns a field that is a map.
func (r *Role) Map(field string) map[string]any {
	m, _ := r.Fields[field].(map[string]any)
	return m
}

// UsesGlobs reports whether * stands for any text in what the role's bound_claims say.
func (r *Role) UsesGlobs() bool { return r.Text("bound_claims_type") == Globs }

// Seconds returns a field that holds whole seconds.
func (r *Role) Seconds(field string) time.Duration {
	n, err := strconv.ParseInt(fmt.Sprint(r.Fields[field]), 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// Policies are the names of the role's policies, sorted.
func (r *Role) Policies() []string {
	names := slices.Concat(r.List("token_policies"), r.List("policies"))
	slices.Sort(names)
	return slices.Compact(names)
}

// UserClaim returns the name of the claim that names the entity, without the slash of a pointer to
// a claim at the top.
func (r *Role) UserClaim() string {
	name := r.Text("user_claim")
	if top, ok := strings.CutPrefix(name, "/"); ok && r.Flag("user_claim_json_pointer") && !strings.Contains(top, "/") {
		return top
	}
	return name
}

// MixesNamespaces reports whether workloads of several Nomad namespaces can have one value of the
// role's user claim. Of a claim that Nomad's tokens don't have by themselves nothing is known.
func (r *Role) MixesNamespaces() bool {
	switch claim := r.UserClaim(); claim {
	case "nomad_namespace", "nomad_allocation_id":
		return false
	case "aud", "iss":
		return true
	default:
		return strings.HasPrefix(claim, "nomad_")
	}
}

// BoundNamespace returns the one namespace whose workloads the role takes, or "".
func (r *Role) BoundNamespace() string {
	bound := r.Map("bound_claims")
	for _, claim := range []string{"nomad_namespace", "/nomad_namespace"} {
		list, ok := ListOf(bound[claim])
		if !ok || len(list) != 1 {
			continue
		}
		if name, ok := list[0].(string); ok && (!r.UsesGlobs() || !strings.Contains(name, "*")) {
			return name
		}
	}
	return ""
}

// Issuers returns what the role's bound_claims ask of iss, and whether they do.
func (r *Role) Issuers() (values []any, bound bool) {
	claims := r.Map("bound_claims")
	for _, claim := range []string{"iss", "/iss"} {
		if value, there := claims[claim]; there {
			list, _ := ListOf(value) // what is no list lets nobody in
			return list, true
		}
	}
	return nil, false
}

// Command returns the command that changes a field of a role of the mount at path. A write resets
// role_type and bound_claims_type where it doesn't name them, and leaves the rest.
func (r *Role) Command(path, setting string) string {
	more := ""
	if r.UsesGlobs() {
		more = " bound_claims_type=glob"
	}
	return fmt.Sprintf("vault write auth/%s/role/%s role_type=jwt%s %s", path, r.Name, more, setting)
}

// New returns a role of fields.
func New(name string, fields map[string]any) *Role { return &Role{name, fields} }

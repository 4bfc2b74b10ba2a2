package setup

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// narrowing are the fields by which a role gives less, what resets them, and what becomes of tasks.
var narrowing = []struct {
	field  string
	reset  any
	breaks string
}{
	{"bound_subject", "", "one workload logs in"},
	{"token_bound_cidrs", []string{}, "logins and tokens from elsewhere are refused"},
	{"token_no_default_policy", false, "a task's token can't be renewed unless another policy lets it"},
	{"token_num_uses", 0, "Nomad can't renew a token that is used up"},
	{"token_period", 0, "tokens must be renewed sooner"},
	{"token_explicit_max_ttl", 0, "tokens end, renewed or not"},
	{"token_ttl", 0, "tokens must be renewed sooner"},
	{"token_max_ttl", 0, "tokens must be renewed sooner"},
	{"bound_claims", nil, "fewer workloads log in"},
}

// Breaks says what becomes of tasks because a role is narrower in a field than this setup has it.
func Breaks(field string) string {
	for _, n := range narrowing {
		if n.field == field {
			return n.breaks
		}
	}
	return "clocks must agree better than usual"
}

// compareRole returns what is to be written over a role that is there, what that changes, and
// where the role gives less than it would: that stays unless it is to be overwritten or a says
// otherwise.
func (a Access) compareRole(old map[string]any, overwrite bool) (body map[string]any, changes, narrower []plan.Change) {
	body = a.RoleBody()
	role := jwtrole.New(a.role(), old)
	for field, usual := range jwtrole.Leeways {
		switch d := role.Seconds(field); {
		case d > usual || d != 0 && overwrite:
			body[field] = 0
		case d != 0:
			narrower = append(narrower, plan.Change{Field: field, Before: vaultapi.Canonical(old[field]), After: ""})
		}
	}
	if role.Text("groups_claim") != "" {
		body["groups_claim"] = "" // it would put logins into groups, with what these have
	}
	for _, n := range narrowing {
		want, named := body[n.field]
		if !a.narrowerIn(n.field, role) {
			continue
		}
		if !named {
			want = n.reset
		}
		if overwrite {
			body[n.field] = want
			continue
		}
		narrower = append(narrower, plan.Change{Field: n.field, Before: vaultapi.Canonical(old[n.field]), After: vaultapi.Canonical(want)})
		if named {
			body[n.field] = old[n.field]
		}
		if n.field == "bound_claims" {
			body["bound_claims_type"] = old["bound_claims_type"] // a write resets it
		}
	}
	for field, value := range body {
		before, after := vaultapi.Canonical(old[field]), vaultapi.Canonical(value)
		if before != after {
			changes = append(changes, plan.Change{Field: field, Before: before, After: after})
		}
	}
	byField := func(a, b plan.Change) int { return cmp.Compare(a.Field, b.Field) }
	slices.SortFunc(changes, byField)
	slices.SortFunc(narrower, byField)
	return body, changes, narrower
}

// narrowerIn reports whether a role gives less than a by a field of which a says nothing.
func (a Access) narrowerIn(field string, role *jwtrole.Role) bool {
	d := role.Seconds(field)
	switch field {
	case "token_period":
		return a.Period == 0 && 0 < d && d < a.period()
	case "token_explicit_max_ttl":
		return a.MaxTTL == 0 && d > 0
	case "token_ttl", "token_max_ttl":
		return 0 < d && d < a.period()
	case "bound_subject":
		return a.BoundSubject == "" && role.Text(field) != ""
	case "token_bound_cidrs":
		return len(a.BoundCIDRs) == 0 && len(role.List(field)) > 0
	case "token_no_default_policy":
		return !a.NoDefaultPolicy && role.Flag(field)
	case "token_num_uses":
		return a.NumUses == 0 && d > 0
	default:
		return a.moreBound(role)
	}
}

// moreBound reports whether a role asks for all that a does of a token's claims, and for more.
func (a Access) moreBound(role *jwtrole.Role) bool {
	have := role.Map("bound_claims")
	if len(have) <= len(a.Bound) {
		return false
	}
	for claim, value := range a.Bound {
		list, _ := jwtrole.ListOf(have[claim])
		if len(list) != 1 || list[0] != any(value) {
			return false
		}
	}
	body := a.RoleBody()
	starred := strings.Contains(fmt.Sprint(slices.Collect(maps.Values(have))), "*")
	return len(a.Bound) == 0 || !starred || body["bound_claims_type"] == role.Text("bound_claims_type")
}

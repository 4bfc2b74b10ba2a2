package jwtrole

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// MaxPolicies is how many policies of a mount's roles are read.
const MaxPolicies = 100

// ReadPolicies returns the texts of the policies that roles give, by name; one that isn't there
// is "". Those that the token may not read are missing.
func ReadPolicies(ctx context.Context, s *vaultapi.Session, roles []*Role) map[string]string {
	texts := map[string]string{}
	var names []string
	for _, role := range roles {
		names = append(names, role.Policies()...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names[:min(len(names), MaxPolicies)] {
		if !IsPolicyName(name) {
			continue
		}
		if policy, err := s.Lookup(ctx, PolicyPath(name)); err == nil {
			texts[name], _ = policy["policy"].(string)
		}
	}
	return texts
}

// IsPolicyName reports whether a name can stand in a request's path as it is.
func IsPolicyName(name string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/?#%*+"\`, r) }
	return name != "" && strings.Trim(name, ".") != "" && !strings.ContainsFunc(name, odd)
}

// ReadAccessor returns the mount's accessor. Every token that may do something on the mount may
// ask for it there; "" where Vault doesn't answer.
func ReadAccessor(ctx context.Context, s *vaultapi.Session) string {
	data, err := s.Lookup(ctx, "sys/internal/ui/mounts/auth/"+s.Path)
	if err != nil {
		return ""
	}
	accessor, _ := data["accessor"].(string)
	return accessor
}

// Metadata returns the metadata of aliases of the mount with that accessor that a policy is
// templated on, sorted; of every mount's where the accessor isn't known.
func Metadata(policy, accessor string) []string {
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

// Accessors returns those of the mounts that a policy speaks of, sorted.
func Accessors(policy string) []string {
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

// Policy returns the Vault policy that reading the roles of these mount paths needs
// besides that of a harvester (vaultsync.Policy): list and read on each auth/<path>/role, and read
// on all policies, which the roles name. harvest verify and harvest status -lint read them; sync
// and watch never do.
func Policy(paths ...string) string {
	var b strings.Builder
	for _, path := range vaultapi.SortedPaths(paths) {
		fmt.Fprintf(&b, "path %q {\n  capabilities = [\"list\"]\n}\n\npath %q {\n  capabilities = [\"read\"]\n}\n\n",
			"auth/"+path+"/role", "auth/"+path+"/role/*")
	}
	b.WriteString("path \"sys/policies/acl/*\" {\n  capabilities = [\"read\"]\n}\n")
	return b.String()
}

// PolicyPath returns that of a policy.
func PolicyPath(name string) string { return "sys/policies/acl/" + name }

package setup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync"
)

// setupState is what there is by now.
type setupState struct {
	accessor string                    // "": no mount
	roles    map[string]map[string]any // by name; those that aren't there are missing
	policies map[string]string         // those that the roles give, and those that they are to give

	// mounts are the paths of all auth methods, by accessor; nil where they could not be read, or
	// nothing speaks of another one.
	mounts map[string]string
}

// readSetup reads the mount, its roles, and the policies that these give.
func (s *session) readSetup(ctx context.Context, want Setup) (setupState, error) {
	state := setupState{roles: map[string]map[string]any{}, policies: map[string]string{}}
	accessor, kind, err := s.readAuth(ctx)
	if err != nil || accessor == "" {
		return state, err
	}
	if err := s.takesJWTs(ctx, kind); err != nil {
		return state, err
	}
	state.accessor = accessor
	for _, a := range want.access() {
		role, err := s.Lookup(ctx, jwtrole.Path(s.Path, a.role()))
		if err != nil {
			return state, err
		}
		if role == nil {
			continue
		}
		state.roles[a.role()] = role
		names := jwtrole.New(a.role(), role).Policies()
		for _, name := range names[:min(len(names), jwtrole.MaxPolicies)] {
			if err := s.readPolicy(ctx, &state, name); err != nil {
				return state, err
			}
		}
	}
	return state, nil
}

// others lists the mount's roles that this setup doesn't make; nil is unknown. Only a removal needs
// them, so a token that may not list them goes on.
func (s *session) others(ctx context.Context, now setupState) []string {
	others := []string{}
	if now.accessor == "" {
		return others
	}
	names, err := s.List(ctx, "auth/"+s.Path+"/role")
	if err != nil {
		return nil
	}
	for _, name := range names {
		if !now.made(now.roles[name]) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return others
}

// readNamed reads the policies that roles are to give and, where one speaks of another mount, which
// mounts there are.
func (s *session) readNamed(ctx context.Context, state *setupState, access []Access) error {
	for _, a := range access {
		if err := s.readPolicy(ctx, state, a.policy()); err != nil {
			return err
		}
		others := func(of string) bool { return of != state.accessor }
		if state.mounts != nil || !slices.ContainsFunc(jwtrole.Accessors(state.policies[a.policy()]), others) {
			continue
		}
		all, err := s.Lookup(ctx, "sys/auth")
		if errors.Is(err, vaultsync.ErrForbidden) {
			continue // then each is taken for one that is there
		}
		if err != nil {
			return err
		}
		state.mounts = map[string]string{}
		for path, mount := range all {
			fields, _ := mount.(map[string]any)
			if accessor, _ := fields["accessor"].(string); accessor != "" {
				state.mounts[accessor] = strings.Trim(path, "/")
			}
		}
	}
	return nil
}

func (s *session) readPolicy(ctx context.Context, state *setupState, name string) error {
	if _, read := state.policies[name]; read || !jwtrole.IsPolicyName(name) {
		return nil
	}
	policy, err := s.Lookup(ctx, jwtrole.PolicyPath(name))
	if text, ok := policy["policy"].(string); ok {
		state.policies[name] = text
	}
	return err
}

// named gives those a policy's name that have none: that of the policy which an earlier setup of
// this mount gave the role, so that nothing changes, or one that no other mount's has.
func (n setupState) named(path string, access []Access) ([]Access, error) {
	access = slices.Clone(access)
	used := map[string]bool{}
	for i := range access {
		a := &access[i]
		if a.Policy == "" {
			a.Policy = defaultPolicy(a.role(), path)
			for _, name := range jwtrole.New(a.role(), n.roles[a.role()]).Policies() {
				if n.ours(name) {
					a.Policy = name
					break
				}
			}
		}
		if used[a.Policy] {
			return nil, fmt.Errorf("role %q with policy %q: another role of this mount has that policy", a.role(), a.Policy)
		}
		used[a.Policy] = true
	}
	return access, nil
}

// defaultPolicy names the policy of a mount's role, as in nomad-workloads.jwt-nomad. No two pairs
// of a role and a mount have one name: what could be read in two ways ends with a digest.
func defaultPolicy(role, path string) string {
	slug := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, path)
	name := role + "." + slug
	const most, digits = 128, 12
	if slug == path && !strings.HasSuffix(path, "-") && !strings.Contains(role, ".") && len(name) <= most {
		return name
	}
	digest := sha256.Sum256([]byte(role + "\n" + path))
	return name[:min(len(name), most-digits-1)] + "." + hex.EncodeToString(digest[:])[:digits]
}

// ours reports whether a setup of this mount wrote that policy.
func (n setupState) ours(policy string) bool {
	text := n.policies[policy]
	return n.accessor != "" && strings.HasPrefix(text, "# harvest/") && slices.Contains(jwtrole.Accessors(text), n.accessor)
}

// made reports whether a setup of this mount wrote a role. A role has no room for a mark: it counts
// as ours if it gives a policy that bears one.
func (n setupState) made(role map[string]any) bool {
	return slices.ContainsFunc(jwtrole.New("", role).Policies(), n.ours)
}

const madeByOthers = "made by somebody else"

// whose says who made a policy, "" being a setup of this mount, and whether it is another mount's.
// A mount that can't be looked up counts as one that is there.
func (n setupState) whose(policy string) (foreign string, taken bool) {
	of := jwtrole.Accessors(policy)
	for _, accessor := range of {
		path, there := n.mounts[accessor]
		switch {
		case accessor == n.accessor:
		case there:
			return "made for mount auth/" + vaultapi.Clean(path), true
		case n.mounts == nil:
			return "made for another mount", true
		}
	}
	switch {
	case !strings.HasPrefix(policy, "# harvest/"):
		return madeByOthers, false
	case n.accessor == "" || !slices.Contains(of, n.accessor):
		return "made for a mount that is gone", false
	}
	return "", false
}

package lint

import (
	"context"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/vaultsync"
)

// InspectMount reads the mount's roles and their policies, and its configuration where in has
// none, and returns what [Inspect] says of them and of the rest of in. It needs the capabilities
// of [vaultsync.Policy] and [jwtrole.Policy]; roles that can't be read are a problem among the
// others, and of policies that can't be read, at most [jwtrole.MaxPolicies], less is said. The
// error is a *vaultsync.MountError, and wraps [vaultsync.ErrNotStaticKeys], or what
// [vaultsync.Mount.Read] gives.
func InspectMount(ctx context.Context, m *vaultsync.Mount, in Inspection) ([]Problem, error) {
	if in.Config.IsZero() {
		config, err := m.Read(ctx)
		if err != nil {
			return nil, err
		}
		in.Config = config
	}
	in.Path = m.Path
	if m.Store != nil { // it has no roles
		problems, err := Inspect(in)
		return problems, m.Wrap(err)
	}
	s, err := m.Session()
	if err != nil {
		return nil, err
	}
	in.Roles, in.RolesErr = jwtrole.ReadAll(ctx, s)
	in.RolesErr = m.Wrap(in.RolesErr)
	in.Accessor, in.Policies = jwtrole.ReadAccessor(ctx, s), jwtrole.ReadPolicies(ctx, s, in.Roles)
	problems, err := Inspect(in)
	return problems, m.Wrap(err)
}

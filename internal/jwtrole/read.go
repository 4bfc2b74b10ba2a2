package jwtrole

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// ErrNoRole: the mount has no role of this name.
var ErrNoRole = errors.New("no such role")

// maxRoles is how many roles of a mount are read.
const maxRoles = 1000

// Read returns a role of the mount. It needs the capability "read" on auth/<path>/role/<name>.
// The error wraps [ErrNoRole], or what [vaultapi.Session.Explain] names.
func Read(ctx context.Context, s *vaultapi.Session, name string) (*Role, error) {
	name = strings.ToLower(name)       // Vault keeps names in lower case
	if !roleName().MatchString(name) { // which would end up in another path of Vault's
		return nil, fmt.Errorf("%w: %s is no name of a role", ErrNoRole, vaultapi.Quote(name))
	}
	fields, err := s.Lookup(ctx, Path(s.Path, name))
	if err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, fmt.Errorf("%w: %q", ErrNoRole, name)
	}
	return &Role{name, fields}, nil
}

// Path returns that of a role of the mount at a path.
func Path(mount, name string) string { return "auth/" + mount + "/role/" + name }

// roleName is what Vault takes for the name of a role in a path (framework.GenericNameRegex):
// no role has any other name.
var roleName = text.Pattern(`^[0-9A-Za-z_]([0-9A-Za-z_.-]*[0-9A-Za-z_])?$`)

// ReadAll returns the roles of the mount by name, at most maxRoles. It needs the capabilities
// "list" on auth/<path>/role and "read" on auth/<path>/role/*: see [Policy]. Where some can't be
// read, the others are returned beside the error, which wraps what [vaultapi.Session.Explain]
// names.
func ReadAll(ctx context.Context, s *vaultapi.Session) ([]*Role, error) {
	names, err := s.List(ctx, "auth/"+s.Path+"/role") // none where there is no mount, which the read of its configuration tells
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var roles []*Role
	for _, name := range names[:min(len(names), maxRoles)] {
		role, err := Read(ctx, s, name)
		if errors.Is(err, ErrNoRole) {
			continue // it went between the list and the read
		}
		if err != nil {
			return roles, err
		}
		roles = append(roles, role)
	}
	if len(names) > maxRoles {
		return roles, fmt.Errorf("%w: %d roles; the first %d were read", vaultapi.ErrTooLarge, len(names), maxRoles)
	}
	return roles, nil
}

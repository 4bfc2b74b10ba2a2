package setup

import (
	"context"
	"fmt"
	"strings"

	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync"
)

// takesJWTs refuses a mount that workloads can't log in on, or shouldn't. A type is only the
// name under which a plugin is registered: a newer JWT plugin may be jwt-today. So any
// other name is judged by what the mount can be configured with. Type oidc has the same
// plugin and the same paths, but is where people sign in.
func (s *session) takesJWTs(ctx context.Context, kind string) error {
	switch kind {
	case "jwt":
		return nil
	case "oidc":
		return fmt.Errorf("%w: the one at auth/%s is of type oidc, where people sign in; use a path of its own, "+
			"where `harvest setup` makes a mount", vaultsync.ErrNoMount, s.Path)
	}
	help, err := s.Help(ctx, "auth/"+s.Path+"/config")
	if err != nil {
		return err
	}
	if !strings.Contains(help, "jwt_validation_pubkeys") {
		return fmt.Errorf("%w: the one at auth/%s is of type %s, whose configuration has no %s; use a path of its own, "+
			"where `harvest setup` makes a mount", vaultsync.ErrNoMount, s.Path, vaultapi.Clean(kind), "jwt_validation_pubkeys")
	}
	return nil
}

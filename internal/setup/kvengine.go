package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync"
)

// kvWarnings says what keeps a job from its secrets although mount, role and policy are in
// order: a KV engine of version 2 has to be where the policies say. Nothing is refused for
// it, since it can be enabled later.
func (s *session) kvWarnings(ctx context.Context, access []Access) []string {
	var paths []string
	for _, a := range access {
		if !slices.Contains(paths, a.kv()) {
			paths = append(paths, a.kv())
		}
	}
	engines, err := s.Lookup(ctx, "sys/mounts")
	var warnings []string
	for _, path := range paths {
		switch why := kvProblem(engines, path); {
		case errors.Is(err, vaultsync.ErrForbidden):
			warnings = append(warnings, fmt.Sprintf("whether there is a KV engine of version 2 at %s/ was not checked: that needs \"read\" on sys/mounts", path))
		case err != nil:
			warnings = append(warnings, fmt.Sprintf("whether there is a KV engine of version 2 at %s/ was not checked: %s", path, vaultapi.Clean(err.Error())))
		case why != "":
			warnings = append(warnings, why+"; until then jobs read no secrets")
		}
	}
	return warnings
}

// kvProblem says what is wrong with the engine at a path, and the way on; "" is nothing.
func kvProblem(engines map[string]any, path string) string {
	engine, there := engines[path+"/"].(map[string]any)
	if !there {
		for mount := range engines {
			if strings.HasPrefix(path+"/", mount) {
				return fmt.Sprintf("%s is no secrets engine but a path in the one at %s: name the engine, and what follows as prefix", path, vaultapi.Clean(mount))
			}
		}
		return fmt.Sprintf("there is no secrets engine at %s/: enable it with `vault secrets enable -path=%s -version=2 kv`, or name another", path, path)
	}
	kind, _ := engine["type"].(string)
	options, _ := engine["options"].(map[string]any)
	version, _ := options["version"].(string)
	switch {
	case kind != "kv" && kind != "generic":
		return fmt.Sprintf("the secrets engine at %s/ is of type %s: name a KV engine of version 2", path, vaultapi.Clean(kind))
	case version != "2":
		return fmt.Sprintf("the KV engine at %s/ is of version 1, and the policy is for version 2: `vault kv enable-versioning %s`, or name another", path, path)
	}
	return ""
}

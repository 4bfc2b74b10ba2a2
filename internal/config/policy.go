package config

import (
	"cmp"
	"strings"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// Policy returns a policy for each Vault and namespace of the configuration, since a policy's
// paths are those of its own namespace. With roles, each may read roles and policies too.
func (c *Config) Policy(roles bool) string {
	type place struct {
		vault     int
		namespace string
	}
	var places []place
	paths := map[place][]string{}
	for _, m := range c.Mounts {
		p := place{m.Vault, cmp.Or(m.Namespace, c.Vaults[m.Vault].Namespace)}
		if paths[p] == nil {
			places = append(places, p)
		}
		paths[p] = append(paths[p], m.Path)
	}
	var b strings.Builder
	for i, p := range places {
		if i > 0 {
			b.WriteByte('\n')
		}
		if len(places) > 1 || p.namespace != "" {
			b.WriteString("# " + text.Escape(placeName(c.Vaults[p.vault], p.namespace)) + "\n")
		}
		b.WriteString(vaultapi.Policy(paths[p]...))
		if roles {
			b.WriteString("\n" + jwtrole.Policy(paths[p]...))
		}
	}
	return b.String()
}

func placeName(v Vault, namespace string) string {
	name := "Vault at " + v.Address
	switch {
	case v.Address == "" && v.Name != "":
		name = "Vault " + v.Name
	case v.Address == "":
		name = "Vault at $VAULT_ADDR"
	}
	if namespace != "" {
		name += ", namespace " + namespace
	}
	return name
}

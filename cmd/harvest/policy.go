package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/vaultsync"
)

func (a *app) policyCommand() *cli.Command {
	return &cli.Command{
		Name:  "policy",
		Usage: "print the least-privilege Vault policy for a configuration",
		Description: "It reaches no Vault. To install it:\n\n" +
			"   harvest policy -mount jwt-nomad | vault policy write harvest -",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "mount", Category: inGeneral, Usage: "`PATH` of the JWT auth method, such as jwt-nomad"},
			&cli.StringFlag{Name: "namespace", Category: inGeneral, Usage: "its `NAMESPACE`"},
			configFlag(),
			&cli.BoolFlag{Name: "roles", Category: inGeneral, Usage: "let it read roles and policies too, for status -lint and verify"},
		},
		Action: func(_ context.Context, cmd *cli.Command) error {
			cfg, err := a.load(cmd, false)
			if err != nil {
				return err
			}
			a.out.Printf("%s", policies(cfg, cmd.Bool("roles")))
			return nil
		},
	}
}

// policies returns a policy, one that reads roles where that is wanted, for each Vault and namespace of the configuration, since a
// policy's paths are those of its own namespace.
func policies(cfg *config, roles bool) string {
	type place struct {
		vault     int
		namespace string
	}
	var places []place
	paths := map[place][]string{}
	for _, m := range cfg.mounts {
		p := place{m.vault, cmp.Or(m.namespace, cfg.vaults[m.vault].namespace)}
		if paths[p] == nil {
			places = append(places, p)
		}
		paths[p] = append(paths[p], m.path)
	}
	var b strings.Builder
	for i, p := range places {
		if i > 0 {
			b.WriteByte('\n')
		}
		if len(places) > 1 || p.namespace != "" {
			b.WriteString("# " + printable(placeName(cfg.vaults[p.vault], p.namespace)) + "\n")
		}
		b.WriteString(vaultsync.Policy(paths[p]...))
		if roles {
			b.WriteString("\n" + vaultsync.PolicyForRoles(paths[p]...))
		}
	}
	return b.String()
}

func placeName(v vaultConfig, namespace string) string {
	name := "Vault at " + v.address
	switch {
	case v.address == "" && v.name != "":
		name = "Vault " + v.name
	case v.address == "":
		name = "Vault at $VAULT_ADDR"
	}
	if namespace != "" {
		name += ", namespace " + namespace
	}
	return name
}

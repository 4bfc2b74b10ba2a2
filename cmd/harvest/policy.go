package main

import (
	"context"

	"github.com/urfave/cli/v3"
)

func (a *app) policyCommand() *cli.Command {
	return &cli.Command{
		Name:  "policy",
		Usage: "print the least-privilege Vault policy for a configuration",
		Description: "It reaches no Vault. To install it:\n\n" +
			"   harvest policy -mount jwt-nomad | vault policy write harvest -",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "mount", Usage: "`PATH` of the JWT auth method, such as jwt-nomad"},
			&cli.StringFlag{Name: "namespace", Usage: "its `NAMESPACE`"},
			configFlag(),
			&cli.BoolFlag{Name: "roles", Usage: "let it read roles and policies too, for status -lint and verify"},
		},
		Action: func(_ context.Context, cmd *cli.Command) error {
			cfg, err := a.load(cmd, false)
			if err != nil {
				return err
			}
			if err := cfg.DropRelays(); err != nil {
				return err
			}
			a.out.Printf("%s", cfg.Policy(cmd.Bool("roles")))
			return nil
		},
	}
}

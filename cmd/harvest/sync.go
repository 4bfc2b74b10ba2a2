package main

import (
	"context"
	"slices"

	"github.com/urfave/cli/v3"
)

func (a *app) syncCommand() *cli.Command {
	return &cli.Command{
		Name:  "sync",
		Usage: "make Vault trust what the clusters publish: fetch, plan, apply, verify",
		Description: "One cluster and one mount need no file:\n\n" +
			"   harvest sync -cluster us-east -mount jwt-nomad \\\n      -nomad-address https://nomad.example.com:4646\n\n" +
			"Vault's address, token and TLS come from VAULT_ADDR and its like, and from ~/.vault-token.",
		Flags: slices.Concat(clusterFlags(), mountFlags(), ruleFlags(), []cli.Flag{configFlag()}, generalFlags("text", "json"), []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "change nothing, as plan does"},
			&cli.BoolFlag{Name: "quiet", Usage: "print only what changed or failed"},
			&cli.StringFlag{Name: "metrics-textfile", Category: inGeneral, TakesFile: true,
				Usage: "write metrics to `FILE` for node_exporter's textfile collector; if that fails, the exit code is at least 1"},
		}),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			planned := cmd.Bool("dry-run")
			if planned && cmd.String("metrics-textfile") != "" {
				return usage(cmd, "-metrics-textfile with -dry-run: a dry run syncs nothing that could be measured")
			}
			return a.reconcile(ctx, cmd, planned)
		},
	}
}

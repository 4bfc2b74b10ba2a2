package main

import (
	"context"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/session"
)

func (a *app) syncCommand() *cli.Command {
	return &cli.Command{
		Name:  "sync",
		Usage: "make Vault trust what the clusters publish: fetch, plan, apply, verify",
		Description: "One cluster and one mount need no file:\n\n" +
			"   harvest sync -cluster us-east -nomad-address https://nomad.example.com:4646 -mount jwt-nomad\n\n" +
			"Vault's address, token and TLS come from VAULT_ADDR and its like, and from ~/.vault-token.",
		Flags: slices.Concat(clusterFlags(), mountFlags(), ruleFlags(), []cli.Flag{configFlag()}, generalFlags("text", "json"), []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Category: inGeneral, Usage: "change nothing, as plan does"},
			&cli.BoolFlag{Name: "quiet", Category: inGeneral, Usage: "print only what changed or failed"},
			&cli.StringFlag{Name: "metrics-textfile", Category: inGeneral, TakesFile: true,
				Usage: "write metrics to `FILE` for node_exporter's textfile collector; where that fails, the exit code is 1 at least"},
		}),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			format, err := oneOf(cmd, "format", "text", "json")
			if err != nil {
				return err
			}
			r := reconciling{format: format, quiet: cmd.Bool("quiet"), act: (*session.Session).Sync, textfile: cmd.String("metrics-textfile")}
			if cmd.Bool("dry-run") {
				if r.textfile != "" {
					return usage(cmd, "-metrics-textfile with -dry-run: a dry run syncs nothing that could be measured")
				}
				r.lenient, r.planned, r.act = true, true, (*session.Session).Plan
			}
			return a.reconcile(ctx, cmd, r)
		},
	}
}

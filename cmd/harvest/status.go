package main

import (
	"context"
	"log/slog"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/internal/session"
	"github.com/jwksharvest/harvest/internal/status"
	"github.com/jwksharvest/harvest/internal/statuspage"
	"github.com/jwksharvest/harvest/vaultsync"
)

func (a *app) statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show what each mount trusts, whose it is, since when, and what is pending",
		Description: "With -mount alone it shows what is trusted, and needs only the capability read on auth/<mount>/config. With a\n" +
			"cluster, or a file, it also shows what a sync would change (the signs are plan's).\n\n" +
			"-lint also reads roles and clusters, and reports what will fail although the keys are in sync. It needs the\n" +
			"policy that `harvest policy -roles` prints, and exits with 3 if it finds an error or a warning.\n\n" +
			"-format html writes a page for a browser, which fetches nothing from elsewhere.",
		Flags: slices.Concat(clusterFlags(), mountFlags(), ruleFlags(), []cli.Flag{configFlag()}, lintFlags(), generalFlags("text", "json", "html")),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			log := a.logger(cmd, "none")
			cfg, err := a.loadWithin(ctx, cmd, false)
			if err != nil {
				return err
			}
			in, err := a.inspection(cmd)
			if err != nil {
				return err
			}
			ctx, cancel := withTimeout(ctx, cmd)
			defer cancel()
			report, statuses, err := a.status(ctx, cmd, cfg, in, log)
			if err != nil {
				return err
			}
			switch cmd.String("format") {
			case "json":
				a.out.StatusJSON(report, statuses, a.hints(report.Mounts, cfg, cmd))
			case "html":
				f := status.Facts(report, statuses, cfg, a.now(), func(err error) string { return a.hints(report.Mounts, cfg, cmd)(nil, err) })
				f.Rotation = cmd.Duration("rotation")
				body, err := statuspage.New(f, buildInfo().Version, a.now()).HTML()
				if err != nil {
					return err
				}
				_, _ = a.out.Write(body)
			default:
				for _, s := range statuses {
					a.out.Status(s, a.now())
					a.printRemovals(s.Plan)
				}
			}
			a.complain(report, a.hints(report.Mounts, cfg, cmd))
			return exit(statusCode(statuses))
		},
	}
}

// status reads every mount.
func (a *app) status(ctx context.Context, cmd *cli.Command, cfg *config.Config, in *lint.Inspection, log *slog.Logger) (*vaultsync.Report, []*status.Mount, error) {
	a.warnCredentials(cfg)
	s := a.open(ctx, cfg, true, session.Options{Log: log})
	defer s.Close()
	defer a.showProgress(cmd, s.Clusters)()
	return status.Read(ctx, s, in)
}

// statusCode: 0 all was read, whether or not it is in sync; 1 no mount was; 3 some mount
// or cluster was not, or -lint found what bites.
func statusCode(statuses []*status.Mount) int {
	read := slices.ContainsFunc(statuses, func(s *status.Mount) bool { return s.Read })
	failed := slices.ContainsFunc(statuses, func(s *status.Mount) bool {
		return s.Err != nil || len(s.Failed) > 0 || slices.ContainsFunc(s.Lint, lint.Problem.Bites)
	})
	switch {
	case !read:
		return exitNothing
	case failed:
		return exitPartial
	}
	return exitOK
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/hint"
	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/session"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

func (a *app) planCommand() *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "show what sync would change, and change nothing",
		Description: "Signs: + to be trusted, ~ to be annotated, = stays, - to be removed, x published but not trusted,\n" +
			"! keys that could not be read or whose logins are refused, ? nobody's, * a setting to be changed.",
		Flags: slices.Concat(clusterFlags(), mountFlags(), ruleFlags(), []cli.Flag{configFlag()}, generalFlags("text", "json", "vault"), []cli.Flag{
			&cli.BoolFlag{Name: "detailed-exitcode", Usage: "exit with 2 if something would change"},
		}),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			return a.reconcile(ctx, cmd, true)
		},
	}
}

// reconcile plans or syncs, prints what came of it, and returns the exit code. Where it is only
// planned, nothing is written, and plaintext sources only warn.
func (a *app) reconcile(ctx context.Context, cmd *cli.Command, planned bool) error {
	log := a.logger(cmd, "none")
	cfg, err := a.loadWithin(ctx, cmd, true)
	if err != nil {
		return err
	}
	if cmd.String("format") == "vault" {
		if err := cfg.DropRelays(); err != nil {
			return err
		}
		if len(cfg.Mounts) > 1 {
			return usage(cmd, "-format vault writes the configuration of one mount, and %s has %d", cfg.File, len(cfg.Mounts))
		}
	}
	report, err := a.report(ctx, cmd, cfg, log, planned)
	if report == nil {
		return err
	}
	hints := a.hints(report.Mounts, cfg, cmd)
	if err := a.printReport(cmd, report, planned, hints); err != nil {
		return err
	}
	a.complain(report, hints)
	code := outcome(report)
	if err != nil {
		a.says.Fail(err, "")
		code = max(code, exitNothing)
	}
	if code == exitOK && cmd.Bool("detailed-exitcode") && hasChanges(report) {
		code = exitPending
	}
	return exit(code)
}

// report does the work within -timeout. An error beside a report is that of the metrics.
func (a *app) report(ctx context.Context, cmd *cli.Command, cfg *config.Config, log *slog.Logger, planned bool) (*vaultsync.Report, error) {
	ctx, cancel := withTimeout(ctx, cmd)
	defer cancel()
	if !cmd.Bool("quiet") { // which is for cron: it would be told at each run
		a.warnCredentials(cfg)
	}
	o := session.Options{Log: log}
	var t *monitor.Textfile
	if file := cmd.String("metrics-textfile"); file != "" {
		t = monitor.NewTextfile(file, monitoredBuild(), a.now)
		o.OnEvent = t.Event
	}
	s := a.open(ctx, cfg, planned, o)
	defer s.Close()
	defer a.showProgress(cmd, s.Clusters)()
	if planned {
		return s.Plan(ctx)
	}
	report, err := s.Sync(ctx)
	if report == nil || t == nil {
		return report, err
	}
	if err := t.Write(report); err != nil {
		return report, fmt.Errorf("-metrics-textfile: the old file stays, if there is one: %w", err)
	}
	return report, nil
}

// printRemovals writes the commands that remove keys which went back to foreign.
func (a *app) printRemovals(p *plan.Plan) {
	if p == nil {
		return
	}
	keys := p.GivenBack
	for _, k := range keys[:min(len(keys), monitor.MaxRemarks)] {
		a.out.Printf("\n  To remove %s, which no cluster publishes any more:\n    %s\n",
			k.Fingerprint.Short(), hint.Call{Args: a.args}.Sync("-deny "+k.Fingerprint.String()))
	}
}

// printReport writes the results in the format asked for.
func (a *app) printReport(cmd *cli.Command, report *vaultsync.Report, planned bool, hints render.Hint) error {
	mounts := report.Mounts
	if cmd.Bool("quiet") {
		mounts = slices.DeleteFunc(slices.Clone(mounts), func(m *vaultsync.MountReport) bool {
			if m.Plan == nil || !m.InSync() && cmd.String("format") != "text" { // as text, stderr has what failed
				return cmd.String("format") == "text"
			}
			return m.Written == 0 && !m.Plan.Changed && len(m.Plan.GivenBack)+len(m.Plan.UnderTwoNames) == 0
		})
		if len(mounts) == 0 {
			return nil
		}
	}
	switch cmd.String("format") {
	case "json":
		return a.out.ReportJSON(report, mounts, hints)
	case "vault":
		if m := report.Mounts[0]; m.Err == nil {
			body, err := m.Config.With(m.Plan)
			if err != nil {
				return err
			}
			a.out.JSON(body)
		}
	default:
		for _, m := range mounts {
			a.out.Mount(m, planned, a.now())
			a.printRemovals(m.Plan)
		}
	}
	return nil
}

package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/internal/status"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

const inLint = "Lint"

func lintFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "lint", Category: inLint, Usage: "read roles and clusters too, and point out what will bite"},
		&cli.StringSliceFlag{Name: "ignore", Category: inLint, Usage: "say nothing of `LINT`, such as unconfigured; may be repeated"},
		&cli.DurationFlag{Name: "rotation", Category: inLint, Usage: "Nomad's root_key_rotation_threshold is `DURATION`, for -lint and -format html", DefaultText: "720h"},
	}
}

// linting is what status -lint needs besides the plan; nil is no -lint.
type linting struct {
	ignored    []lint.Lint
	rotation   time.Duration
	now        time.Time
	discovered []jwks.Discovery
}

func newLinting(cmd *cli.Command) (*linting, error) {
	rotation := cmd.Duration("rotation")
	if cmd.IsSet("rotation") && (rotation <= 0 || config.IsLong(rotation)) {
		return nil, usage(cmd, "-rotation %s: want a time above zero, ten years at the most", rotation)
	}
	if !cmd.Bool("lint") {
		switch {
		case cmd.IsSet("ignore"):
			return nil, usage(cmd, "-ignore goes with -lint")
		case cmd.IsSet("rotation") && cmd.String("format") != "html":
			return nil, usage(cmd, "-rotation goes with -lint or -format html")
		}
		return nil, nil
	}
	l := &linting{rotation: rotation}
	for _, name := range cmd.StringSlice("ignore") {
		if !slices.Contains(lint.Lints, lint.Lint(name)) {
			return nil, usage(cmd, "-ignore %q: want one of %s", name, lintNames())
		}
		l.ignored = append(l.ignored, lint.Lint(name))
	}
	return l, nil
}

func lintNames() string {
	var names []string
	for _, l := range lint.Lints {
		names = append(names, string(l))
	}
	return strings.Join(names, ", ")
}

// inspect puts what is found on a mount into its status.
func (l *linting) inspect(ctx context.Context, s *status.Mount, mount *vaultsync.Mount, m config.Mount, results []jwks.Result) {
	s.Lint = []lint.Problem{}
	if s.Err != nil {
		return
	}
	problems, err := lint.InspectMount(ctx, mount, lint.Inspection{
		Now: l.now, Config: s.Config, Clusters: m.Clusters, Results: results, Discovered: l.discovered, Rotation: l.rotation, Settings: m.Options.Settings,
	})
	if err != nil {
		s.Err, s.Error = err, err.Error()
		return
	}
	for _, p := range problems {
		if slices.Contains(l.ignored, p.Lint) {
			continue
		}
		s.Lint = append(s.Lint, p)
		// A plan warns of some of it too.
		s.Warnings = slices.DeleteFunc(s.Warnings, func(w string) bool { return w == p.Message })
	}
}

// bites reports whether something must be done about a problem.
func bites(p lint.Problem) bool { return p.Severity != lint.SeverityNote }

package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/lint"
)

const inLint = "More options of -lint"

func lintFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "lint", Usage: "also read roles and clusters, and report what will fail"},
		&cli.StringSliceFlag{Name: "ignore", Category: inLint, Usage: "don't report `LINT`, such as unconfigured; may be repeated"},
		&cli.DurationFlag{Name: "rotation", Category: inLint, Usage: "Nomad's root_key_rotation_threshold is `DURATION`, for -lint and -format html", DefaultText: "720h"},
	}
}

// inspection is what the flags say of -lint; nil without it.
func (a *app) inspection(cmd *cli.Command) (*lint.Inspection, error) {
	rotation := cmd.Duration("rotation")
	if cmd.IsSet("rotation") && (rotation <= 0 || config.IsLong(rotation)) {
		return nil, usage(cmd, "-rotation %s: want a time above zero, at most ten years", rotation)
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
	in := &lint.Inspection{Now: a.now(), Rotation: rotation}
	for _, name := range cmd.StringSlice("ignore") {
		if !slices.Contains(lint.Lints, lint.Lint(name)) {
			return nil, usage(cmd, "-ignore %q: want one of %s", name, lintNames())
		}
		in.Ignored = append(in.Ignored, lint.Lint(name))
	}
	return in, nil
}

func lintNames() string {
	var names []string
	for _, l := range lint.Lints {
		names = append(names, string(l))
	}
	return strings.Join(names, ", ")
}

package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/monitor"
)

// Set by the release build: -ldflags "-X main.version=1.2.3 -X main.commit=… -X main.date=…".
var version, commit, date string

// build says what this binary was built from.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Date    string `json:"date"`
	Go      string `json:"go"`
}

// buildInfo returns what the release build set and, for what it didn't, what Go recorded.
func buildInfo() build {
	b := build{version, commit, date, runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && b.Commit == "":
			b.Commit = s.Value
		case s.Key == "vcs.time" && b.Date == "":
			b.Date = s.Value
		}
	}
	return b
}

// monitoredBuild is what the metrics say of this binary.
func monitoredBuild() monitor.Build {
	b := buildInfo()
	return monitor.Build{Version: b.Version, Commit: b.Commit, Go: b.Go}
}

func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version of harvest",
		Flags: []cli.Flag{formatFlag("text", "json")},
		Action: func(_ context.Context, cmd *cli.Command) error {
			b := buildInfo()
			if cmd.String("format") == "json" {
				a.out.JSON(b)
				return nil
			}
			text := "harvest " + b.Version
			if b.Commit != "" {
				text += fmt.Sprintf(" (%.12s, %s)", b.Commit, b.Date)
			}
			a.out.Printf("%s, %s\n", text, b.Go)
			return nil
		},
	}
}

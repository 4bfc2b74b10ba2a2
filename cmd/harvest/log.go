package main

import (
	"cmp"
	"log/slog"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/jwks"
)

// showProgress shows who is waited for, if stderr is a terminal and carries no log.
func (a *app) showProgress(cmd *cli.Command, clusters []jwks.Cluster) (stop func()) {
	if !terminal.CanProgress(a.stderr, a.getenv) || a.says.Log != nil || cmd.IsSet("log-level") {
		return func() {}
	}
	return terminal.Progress(a.stderr, a.errTerminal.Width, clusters)
}

// logger returns the log that -log-format and -log-level ask for. In JSON,
// messages go there too, so that each line of stderr is a JSON object. usual is the level
// of a text log that isn't asked for.
func (a *app) logger(cmd *cli.Command, usual string) *slog.Logger {
	format := cmd.String("log-format")
	level := cmp.Or(cmd.String("log-level"), map[string]string{"text": usual, "json": "info"}[format])
	least := slog.LevelError + 1 // none
	_ = least.UnmarshalText([]byte(level))
	options := &slog.HandlerOptions{Level: least}
	if format == "json" {
		a.says.Log = slog.New(slog.NewJSONHandler(a.stderr, nil))
		return slog.New(slog.NewJSONHandler(a.stderr, options))
	}
	return slog.New(slog.NewTextHandler(a.stderr, options))
}

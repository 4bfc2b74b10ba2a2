package main

import (
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

// logger returns the log that -log-format and -log-level ask for; nil is none. In JSON,
// messages go there too, so that each line of stderr is a JSON object. usual is the level
// of a text log that isn't asked for.
func (a *app) logger(cmd *cli.Command, usual string) (*slog.Logger, error) {
	format, err := oneOf(cmd, "log-format", "text", "json")
	if err != nil {
		return nil, err
	}
	level := cmd.String("log-level")
	if level == "" {
		level = map[string]string{"text": usual, "json": "info"}[format]
	}
	options := &slog.HandlerOptions{}
	switch level {
	case "none":
		options.Level = slog.LevelError + 1
	case "debug", "info", "warn", "error":
		var l slog.Level
		_ = l.UnmarshalText([]byte(level))
		options.Level = l
	default:
		return nil, usage(cmd, "-log-level %q: want none, error, warn, info or debug", level)
	}
	if format == "json" {
		a.says.Log = slog.New(slog.NewJSONHandler(a.stderr, nil))
		return slog.New(slog.NewJSONHandler(a.stderr, options)), nil
	}
	return slog.New(slog.NewTextHandler(a.stderr, options)), nil
}

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/text"
)

func (a *app) configCommand() *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "check a configuration file, or print one to start from",
		Commands: []*cli.Command{
			{
				Name:  "validate",
				Usage: "find every mistake in a configuration file, without a network",
				Description: "Each problem is a line on stdout, with file, line and column. It also reads the files that the configuration\n" +
					"names: certificates must parse and fit their keys, and key sets must hold a key. Exit codes: 0 valid, perhaps\n" +
					"with warnings; 1 not valid, or it could not be read.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "config", TakesFile: true, Usage: "`FILE` in HCL", DefaultText: config.Usual},
					&cli.BoolFlag{Name: "skip-files", Usage: "don't read the files that it names, such as when they are on another machine"},
					formatFlag("text", "json"),
				},
				Action: a.configValidate,
			},
			{
				Name:        "init",
				Usage:       "print a commented configuration file to start from",
				Description: "It holds every setting. Optional ones are commented out, with a # and no space.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "out", TakesFile: true, Usage: "write it to `FILE`, which must not exist yet"},
				},
				Action: a.configInit,
			},
		},
	}
}

func (a *app) configValidate(ctx context.Context, cmd *cli.Command) error {
	name := cmd.String("config")
	switch {
	case name == "" && cmd.IsSet("config"):
		return emptyConfig(cmd)
	case name == "":
		name = a.usual
	}
	src, err := config.ReadFile(name)
	if err != nil {
		return err
	}
	v := config.Check(ctx, name, src, config.Checking{SkipFiles: cmd.Bool("skip-files"), Now: a.now(), Getenv: a.getenv})
	if cmd.String("format") == "json" {
		a.out.JSON(v)
	} else {
		a.out.Validation(v)
	}
	if !v.Valid {
		return exit(exitNothing)
	}
	return nil
}

func (a *app) configInit(_ context.Context, cmd *cli.Command) error {
	name := cmd.String("out")
	switch {
	case name == "" && cmd.IsSet("out"):
		return usage(cmd, "-out: name a file")
	case name == "":
		a.out.Printf("%s", config.Sample)
		return nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // the operator names the file, and it holds no secret
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("-out: %s is there already, and is not overwritten", name)
	}
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	_, err = f.WriteString(config.Sample)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(name)
		return fmt.Errorf("-out: %w", err)
	}
	a.out.Printf("Wrote %s. Next: harvest config validate -config %s\n", text.Escape(name), text.ShellQuote(name))
	return nil
}

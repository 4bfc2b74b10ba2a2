package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/terminal"

	"github.com/urfave/cli/v3"
)

func (a *app) configCommand() *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "check a configuration file, or print one to start from",
		Commands: []*cli.Command{
			{
				Name:  "validate",
				Usage: "find every mistake in a configuration file, without a network",
				Description: "Each problem is a line on stdout, with file, line and column. The files that the configuration names are\n" +
					"read as well: certificates have to parse and to fit their keys, key sets to hold a key. Exit codes: 0 valid,\n" +
					"though there may be warnings; 1 not valid, or not to be read.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "config", TakesFile: true, Usage: "`FILE` in HCL", DefaultText: config.Usual},
					&cli.BoolFlag{Name: "skip-files", Usage: "don't look at the files that it names, which may be on another machine"},
					formatFlag("text", "json"),
				},
				Action: a.configValidate,
			},
			{
				Name:  "init",
				Usage: "print a commented configuration file to start from",
				Description: "It holds every setting there is. Those that are optional are commented out, by a # without a space\n" +
					"behind it.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "out", TakesFile: true, Usage: "write it to `FILE`, which must not be there yet"},
				},
				Action: a.configInit,
			},
		},
	}
}

func (a *app) configValidate(ctx context.Context, cmd *cli.Command) error {
	format, err := oneOf(cmd, "format", "text", "json")
	if err != nil {
		return err
	}
	name := cmd.String("config")
	switch {
	case name == "" && cmd.IsSet("config"):
		return usage(cmd, "-config: name a file")
	case name == "":
		name = config.Usual
	}
	src, err := config.ReadFile(name)
	if err != nil {
		return err
	}
	v := config.Check(ctx, name, src, config.Checking{SkipFiles: cmd.Bool("skip-files"), Now: a.now(), Getenv: a.getenv})
	if format == "json" {
		a.out.JSON(v)
	} else {
		a.out.printValidation(v)
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
	a.out.Printf("Wrote %s. Next: harvest config validate -config %s\n", printable(name), quote(name))
	return nil
}

var wordStyles = map[string]terminal.Style{"error": terminal.Alarm, "warning": terminal.Yellow}

// printValidation writes a line for each problem, as compilers do, in the order of the
// file. None is broken up: editors read them.
func (o *output) printValidation(v *config.Validation) {
	type line struct {
		config.Problem
		word string
	}
	var lines []line
	for _, p := range v.Errors {
		lines = append(lines, line{p, "error"})
	}
	for _, p := range v.Warnings {
		lines = append(lines, line{p, "warning"})
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for _, l := range lines {
		o.Printf("%s:%d:%d: %s %s\n", printable(v.File), l.Line, l.Column, o.Paint(wordStyles[l.word], l.word+":"), l.Message)
	}
	if !v.Valid {
		o.Printf("%s: not valid: %d %s.\n", printable(v.File), len(v.Errors), plural(len(v.Errors), "error"))
		return
	}
	o.Printf("%s: valid: %d %s, %d %s, %d %s.\n", printable(v.File), v.Clusters, plural(v.Clusters, "cluster"),
		v.Vaults, plural(v.Vaults, "Vault"), v.Mounts, plural(v.Mounts, "mount"))
}

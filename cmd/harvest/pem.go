package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/keydir"
	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/relay"
	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/jwks"
)

func (a *app) pemCommand() *cli.Command {
	return &cli.Command{
		Name:      "pem",
		Usage:     "print a JWKS as PEM public keys, the way Vault takes them",
		ArgsUsage: "[SOURCE]",
		Description: "SOURCE is a file, the URL of a JWKS, the address of a Nomad agent (a URL without a path), or - for stdin.\n" +
			"Without one it is $NOMAD_ADDR. Keys that must not be trusted are left out, with a warning each.\n\n" +
			"-format vault prints the body for a new mount: harvest pem -format vault URL | vault write auth/jwt-nomad/config -\n" +
			"-format jwks prints the judged keys of all regions as one key set.\n" +
			"-out DIR keeps one file per key in DIR, and removes those of keys that are gone.",
		Flags: slices.Concat([]cli.Flag{
			&cli.BoolFlag{Name: "annotate", Usage: "say before each key whose it is, as sync does; needs -cluster"},
			&cli.StringFlag{Name: "cluster", Usage: "the `NAME` for -annotate"},
			&cli.StringFlag{Name: "out", TakesFile: true, Usage: "write one file per key to `DIR`, not to stdout"},
		}, connectionFlags(), generalFlags("pem", "vault", "jwks", "json")),
		ArgValidator: func(_ context.Context, cmd *cli.Command) error {
			if cmd.Args().Len() > 1 {
				return usage(cmd, "one source at a time: unexpected argument %q", cmd.Args().Get(1))
			}
			return nil
		},
		Action: a.pem,
	}
}

func (a *app) pem(ctx context.Context, cmd *cli.Command) error {
	a.logger(cmd, "none")
	name, format := cmd.String("cluster"), cmd.String("format")
	switch {
	case cmd.Bool("annotate") && name == "":
		return usage(cmd, "-annotate says whose the keys are: add -cluster NAME")
	case name != "" && !cmd.Bool("annotate"):
		return usage(cmd, "-cluster is for -annotate")
	case cmd.Bool("annotate") && format == "jwks":
		return usage(cmd, "-annotate says whose a PEM key is: drop -format jwks")
	case cmd.String("out") != "" && format != "pem":
		return usage(cmd, "-out writes PEM files: drop -format %s", format)
	case cmd.IsSet("out") && cmd.String("out") == "":
		return usage(cmd, "-out: name a directory")
	}
	c, err := a.pemSource(cmd)
	if err != nil {
		return err
	}
	if c.Name = name; name == "" {
		c.Name = "source"
	} else if err := rule.CheckCluster(name); err != nil {
		return usage(cmd, "%w", err)
	}
	ctx, cancel := withTimeout(ctx, cmd)
	defer cancel()
	if c.TLS.ClientKey != "" {
		a.warnExposed([]string{c.TLS.ClientKey}, a.sayExposed)
	}
	results := a.fetch(ctx, cmd, c)
	keydir.Judge(ctx, results)

	failed := a.complainOfSources(results)
	keys, err := keydir.Collect(results, cmd.Bool("annotate"), a.now())
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return exit(exitNothing)
	}
	err = a.writeKeys(cmd, keys, failed)
	if err == nil && failed {
		err = exit(exitPartial)
	}
	return err
}

// pemSource returns what SOURCE or $NOMAD_ADDR stand for.
func (a *app) pemSource(cmd *cli.Command) (config.Cluster, error) {
	source := cmd.Args().First()
	switch {
	case source == "" && cmd.Args().Present():
		return config.Cluster{}, usage(cmd, "the source is empty")
	case source == "":
		if source = a.getenv("NOMAD_ADDR"); source == "" {
			return config.Cluster{}, usage(cmd, "no source: name a file, a URL or - for stdin, or set NOMAD_ADDR")
		}
		c, err := config.Agent(cmd, a.getenv, source)
		if err != nil {
			return c, usage(cmd, "%w", err)
		}
		return c, nil
	}
	return a.source(cmd, source)
}

// complainOfSources tells stderr what could not be fetched and which keys are left out.
func (a *app) complainOfSources(results []jwks.Result) (failed bool) {
	for _, r := range results {
		if r.Err != nil {
			failed = true
			hint := a.hint(r.Err)
			err := monitor.ClusterCause(r.Err)
			if r.Region != "" {
				err = fmt.Errorf("region %q: %w", r.Region, err)
			}
			a.says.Fail(err, hint)
			continue
		}
		for _, skipped := range r.Set.Skipped {
			a.says.Warn("left out: %v", skipped)
		}
		for _, w := range r.Set.Warnings {
			a.says.Warn("%s", w)
		}
	}
	return failed
}

// writeKeys writes the keys to the directory of -out, or to stdout. With keep, the files of other
// keys stay.
func (a *app) writeKeys(cmd *cli.Command, keys []keydir.Key, keep bool) error {
	dir := cmd.String("out")
	switch format := cmd.String("format"); {
	case dir != "":
		err := keydir.Write(dir, keys, keep, func(c keydir.Change, file string) {
			a.out.KeyFile(c, file)
			if c == keydir.Left {
				a.says.Warn("%s was changed since harvest wrote it: not removed, though its key is gone", file)
			}
		})
		if err != nil {
			return fmt.Errorf("-out: %w", err)
		}
	case format == "json":
		a.out.KeysJSON(keys)
	case format == "vault":
		a.out.JSON(keydir.NewMountBody(keys))
		a.says.Warn("this is for a NEW mount: written to one in use, it wipes default_role, bound_issuer, jwt_supported_algs " +
			"and every other setting, and all other keys; there, use `harvest sync`")
	case format == "jwks":
		var all []jwks.Key
		for _, k := range keys {
			all = append(all, k.Key)
		}
		document, err := relay.Document(all)
		if err != nil {
			return err
		}
		_, _ = a.out.Write(document)
	default:
		a.out.Keys(keys)
	}
	return nil
}

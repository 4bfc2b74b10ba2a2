package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

func (a *app) pemCommand() *cli.Command {
	return &cli.Command{
		Name:      "pem",
		Usage:     "print a JWKS as PEM public keys, the way Vault takes them",
		ArgsUsage: "[SOURCE]",
		Description: "SOURCE is a file, the URL of a JWKS, the address of a Nomad agent (a URL without a path), or - for stdin.\n" +
			"Without one it is $NOMAD_ADDR. Keys that must not be trusted are left out, with a warning each.\n\n" +
			"-format vault prints the body for a new mount: harvest pem -format vault URL | vault write auth/jwt-nomad/config -\n" +
			"-out DIR keeps one file per key in DIR, and removes those of keys that are gone.",
		Flags: slices.Concat([]cli.Flag{
			&cli.BoolFlag{Name: "annotate", Category: inGeneral, Usage: "say before each key whose it is, as sync does; needs -cluster"},
			&cli.StringFlag{Name: "cluster", Category: inCluster, Usage: "the `NAME` for -annotate"},
			&cli.StringFlag{Name: "out", Category: inGeneral, TakesFile: true, Usage: "write one file per key to `DIR`, not to stdout"},
		}, connectionFlags(), generalFlags("pem", "vault", "json")),
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
	format, err := oneOf(cmd, "format", "pem", "vault", "json")
	if err != nil {
		return err
	}
	if _, err := a.logger(cmd, "none"); err != nil {
		return err
	}
	name := cmd.String("cluster")
	switch {
	case cmd.Bool("annotate") && name == "":
		return usage(cmd, "-annotate says whose the keys are: add -cluster NAME")
	case name != "" && !cmd.Bool("annotate"):
		return usage(cmd, "-cluster is for -annotate")
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
	} else if err := vaultsync.CheckClusterName(name); err != nil {
		return usage(cmd, "%w", err)
	}
	ctx, cancel, err := withTimeout(ctx, cmd)
	if err != nil {
		return err
	}
	defer cancel()
	a.warnUnauthenticated(c)
	if c.TLS.ClientKey != "" {
		a.warnExposed([]string{c.TLS.ClientKey}, a.sayExposed)
	}
	clusters := []jwks.Cluster{c.OpenWithin(ctx, reading(true))}
	stop := a.showProgress(cmd, clusters)
	results := jwks.FetchAll(ctx, clusters)
	stop()
	judge(results)

	failed := a.complainOfSources(results)
	keys, err := a.harvested(results, cmd.Bool("annotate"))
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return exit(exitNothing)
	}
	if dir := cmd.String("out"); dir != "" {
		err = a.writeKeys(dir, keys, failed)
	} else {
		err = a.printKeys(keys, results, format)
	}
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

// judge leaves out of the results the keys that must not be trusted.
func judge(results []jwks.Result) {
	for i, r := range results {
		if r.Err == nil {
			results[i].Set, results[i].Err = r.Set.Judge()
		}
	}
}

// complainOfSources says on stderr what could not be fetched and which keys are left out.
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

// harvestedKey is a key as pem prints it.
type harvestedKey struct {
	key         jwks.Key
	block       pem.Block
	fingerprint pem.Fingerprint
	text        []byte // PEM, with a line feed at the end
}

// harvested returns the keys of all results in their order, each once.
func (a *app) harvested(results []jwks.Result, annotate bool) ([]harvestedKey, error) {
	var keys []harvestedKey
	seen := map[pem.Fingerprint]bool{}
	for _, r := range results {
		if r.Err != nil {
			continue
		}
		for _, k := range r.Set.Keys {
			h := harvestedKey{key: k, block: pem.Block{Public: k.Public}}
			if annotate {
				h.block.Annotation = pem.Annotation{
					Version: pem.Version, Cluster: r.Cluster, Region: r.Region, KeyID: k.KeyID, Algorithms: k.Algorithms, Added: a.now(),
				}
			}
			h.fingerprint = h.block.Fingerprint()
			if seen[h.fingerprint] {
				continue
			}
			seen[h.fingerprint] = true
			text, err := h.block.MarshalText()
			if err != nil {
				return nil, fmt.Errorf("key %q: %w", k.KeyID, err)
			}
			h.text = append(text, '\n')
			keys = append(keys, h)
		}
	}
	return keys, nil
}

// printKeys writes the keys to stdout.
func (a *app) printKeys(keys []harvestedKey, results []jwks.Result, format string) error {
	switch format {
	case "json":
		type record struct {
			KeyID       string          `json:"kid"`
			Algorithm   string          `json:"alg"`
			Algorithms  []string        `json:"algs,omitempty"`
			Use         string          `json:"use"`
			Fingerprint pem.Fingerprint `json:"sha256"`
			PEM         string          `json:"pem"`
		}
		var all []record
		for _, k := range keys {
			r := record{k.key.KeyID, "", nil, k.key.Use, k.fingerprint, string(k.text)}
			if algs := k.key.Algorithms; len(algs) > 0 {
				r.Algorithm = algs[0]
			}
			if algs := k.key.Algorithms; len(algs) > 1 {
				r.Algorithms = algs
			}
			all = append(all, r)
		}
		a.out.JSON(all)
	case "vault":
		// The body of a plan for a mount without a configuration has the algorithms.
		cluster := results[0].Cluster
		plan, err := vaultsync.NewPlan(vaultsync.Config{}, vaultsync.Desired{Clusters: []string{cluster}, Results: results}, vaultsync.Options{Now: a.now()})
		if err != nil {
			return err
		}
		body, err := plan.Body()
		if err != nil {
			return err
		}
		var elements []string
		for _, k := range keys {
			elements = append(elements, strings.TrimSuffix(string(k.text), "\n"))
		}
		body["jwt_validation_pubkeys"] = elements
		a.out.JSON(body)
		a.says.Warn("this is for a NEW mount: written to one in use, it wipes default_role, bound_issuer, jwt_supported_algs " +
			"and every other setting, and all other keys; there, use `harvest sync`")
	default:
		for _, k := range keys {
			_, _ = a.out.Write(k.text)
		}
	}
	return nil
}

// stdin is a JWKS document on standard input.
type stdin struct{ r io.Reader }

var _ jwks.Source = stdin{}

// RegionName implements jwks.Source.
func (stdin) RegionName() string { return "" }

// Fetch implements jwks.Source. It can be called once. When ctx ends so does Fetch, though
// not the read.
func (s stdin) Fetch(ctx context.Context) (*jwks.Set, error) {
	data, err := wait.Within(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(s.r, jwks.MaxDocument+1)) })
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	set, err := jwks.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return set, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/nethint"
	"github.com/jwksharvest/harvest/internal/session"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/jwks"
)

// configFile returns the file that -config names. Without -config it is the usual one, if there is
// one and no flag speaks of a cluster or a mount; "" is none.
func (a *app) configFile(cmd *cli.Command) string {
	if cmd.IsSet("config") || slices.ContainsFunc(singleOnly(), cmd.IsSet) {
		return cmd.String("config")
	}
	if _, err := os.Stat(a.usual); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return a.usual
}

func emptyConfig(cmd *cli.Command) error { // a variable that isn't set, say
	return usage(cmd, "-config is empty: name the file, or leave -config out")
}

// loadWithin is load, which may read a pipe, within -timeout.
func (a *app) loadWithin(ctx context.Context, cmd *cli.Command, needsCluster bool) (*config.Config, error) {
	file := a.configFile(cmd)
	if file == "" { // there is nothing to read
		return a.load(cmd, needsCluster)
	}
	ctx, cancel := withTimeout(ctx, cmd)
	defer cancel()
	cfg, err := wait.Within(ctx, func() (*config.Config, error) { return a.load(cmd, needsCluster) })
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("configuration %s: not read to its end within %v (-timeout): is it a pipe that nobody writes to?",
			file, cmd.Duration("timeout"))
	}
	return cfg, err
}

// load returns what the configuration file says or, without one, what the flags and the
// environment say of a single mount and a single cluster, which only some commands need.
func (a *app) load(cmd *cli.Command, needsCluster bool) (*config.Config, error) {
	var cfg *config.Config
	var err error
	if cmd.IsSet("config") && cmd.String("config") == "" {
		return nil, emptyConfig(cmd)
	}
	if file := a.configFile(cmd); file != "" {
		for _, name := range singleOnly() {
			if cmd.IsSet(name) && !selects(cmd, name) {
				return nil, usage(cmd, "-%s says what the file of -config says: set it there, or drop -config", name)
			}
		}
		cfg, err = config.Load(file)
	} else {
		cfg, err = a.single(cmd, needsCluster)
	}
	if err != nil {
		return nil, err
	}
	if err := cfg.Finish(cmd); err != nil {
		return nil, usage(cmd, "%w", err)
	}
	return cfg, nil
}

// single returns the configuration of the flags.
func (a *app) single(cmd *cli.Command, needsCluster bool) (*config.Config, error) {
	cfg, err := config.Single(cmd, a.getenv, needsCluster)
	if err != nil {
		return nil, usage(cmd, "%w", err)
	}
	if len(cfg.Clusters) == 0 {
		for _, f := range clusterFlags() {
			if flag := f.Names()[0]; cmd.IsSet(flag) {
				return nil, usage(cmd, "-%s without -cluster NAME", flag)
			}
		}
	}
	return cfg, nil
}

// source returns what a SOURCE stands for: a file, a URL, or "-" for standard input.
func (a *app) source(cmd *cli.Command, source string) (config.Cluster, error) {
	c, err := config.Named(cmd, a.getenv, source, a.stdin)
	if err != nil {
		return c, usage(cmd, "%w", err)
	}
	return c, nil
}

// warnExposed tells of each exposed file once.
func (a *app) warnExposed(names []string, warn func(name string)) {
	for _, name := range config.Exposed(names, a.getenv) {
		if !slices.Contains(a.exposed, name) {
			a.exposed = append(a.exposed, name)
			warn(name)
		}
	}
}

// warnCredentials tells what may give a credential away, for a command that ends soon.
func (a *app) warnCredentials(cfg *config.Config) {
	a.warnExposed(cfg.CredentialFiles(a.getenv), a.sayExposed)
	for _, address := range cfg.PlainVaults(a.getenv) {
		a.says.Warn("%s is plain HTTP: anyone on the path to that Vault can take the token: use https://", text.Escape(address))
	}
}

// sayExposed is how a command that ends soon tells of such a file.
func (a *app) sayExposed(name string) {
	a.says.Warn("%s holds a credential, and every user of this machine can read it: chmod o-r %s", name, text.ShellQuote(name))
}

// warnUnauthenticated says what sync would refuse, for commands that trust nothing.
func (a *app) warnUnauthenticated(c config.Cluster) {
	const consequence = "anyone on that path can choose these keys; sync refuses it without allow-plaintext"
	switch {
	case c.AllowPlaintext:
	case nethint.IsPlaintext(c.URL()):
		a.says.Warn("cluster %q is read over plain HTTP: %s", c.Name, consequence)
	case c.TLS.InsecureSkipVerify:
		a.says.Warn("cluster %q is read without verifying its certificate: %s", c.Name, consequence)
	}
}

// open makes a configuration ready. lenient is for commands that trust nothing: they warn of
// plain HTTP where sync refuses it. The caller closes the session.
func (a *app) open(ctx context.Context, cfg *config.Config, lenient bool, o session.Options) *session.Session {
	for _, c := range cfg.Clusters {
		if lenient && cfg.Uses(c.Name) {
			a.warnUnauthenticated(c)
		}
	}
	o.Reading, o.Now = reading(lenient), a.now()
	return session.Open(ctx, cfg, o)
}

// fetch reads a source by itself, for commands that trust nothing.
func (a *app) fetch(ctx context.Context, cmd *cli.Command, c config.Cluster) []jwks.Result {
	a.warnUnauthenticated(c)
	clusters := []jwks.Cluster{c.OpenWithin(ctx, reading(true))}
	defer a.showProgress(cmd, clusters)()
	return jwks.FetchAll(ctx, clusters, nil)
}

// reading is how the command reads clusters. lenient is for what trusts nothing.
func reading(lenient bool) config.Reading {
	return config.Reading{Lenient: lenient, UserAgent: "harvest/" + buildInfo().Version}
}

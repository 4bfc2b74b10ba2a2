package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// allRegions as a region stands for every federated one.
const allRegions = "*"

// loadWithin is load, which may read a pipe, within -timeout.
func (a *app) loadWithin(ctx context.Context, cmd *cli.Command, needsCluster bool) (*config, error) {
	if cmd.String("config") == "" { // there is nothing to read
		return a.load(cmd, needsCluster)
	}
	ctx, cancel, err := withTimeout(ctx, cmd)
	if err != nil {
		return nil, err
	}
	defer cancel()
	cfg, err := wait.Within(ctx, func() (*config, error) { return a.load(cmd, needsCluster) })
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("configuration %s: not read to its end within %v (-timeout): is it a pipe that nobody writes to?",
			cmd.String("config"), cmd.Duration("timeout"))
	}
	return cfg, err
}

// load returns what the -config file says or, without one, what the flags and the
// environment say of a single mount and a single cluster, which only some commands need.
func (a *app) load(cmd *cli.Command, needsCluster bool) (*config, error) {
	var cfg *config
	var err error
	if file := cmd.String("config"); file != "" {
		for _, name := range singleOnly() {
			if cmd.IsSet(name) && !selects(cmd, name) {
				return nil, usage(cmd, "-%s says what the file of -config says: set it there, or drop -config", name)
			}
		}
		cfg, err = loadFile(file)
	} else {
		cfg, err = a.single(cmd, needsCluster)
	}
	if err != nil {
		return nil, err
	}
	deny, err := fingerprints(cmd, "deny")
	if err != nil {
		return nil, err
	}
	turnover, err := turnovers(cmd, cfg)
	if err != nil {
		return nil, err
	}
	cfg.finish(deny, turnover, cmd.Bool("allow-empty"))
	return cfg, nil
}

// single returns the config of the flags and, behind them, of the environment. The
// environment never reaches into a file: a cluster there is what the file says.
func (a *app) single(cmd *cli.Command, needsCluster bool) (*config, error) {
	cfg := &config{vaults: []vaultConfig{{}}}
	m := mountConfig{path: mountPath(cmd.String("mount")), namespace: strings.Trim(cmd.String("namespace"), "/")}
	if m.path == "" {
		return nil, usage(cmd, "no mount: give -mount PATH, such as -mount jwt-nomad, or -config FILE")
	}
	if err := checkMountPath(m.path); err != nil {
		return nil, usage(cmd, "-mount: %w", err)
	}
	m.options = vaultsync.Options{
		Foreign: vaultsync.Foreign(cmd.String("foreign")), Retired: cmd.StringSlice("retired"),
		Retain: cmd.Duration("retain"), Settle: cmd.Duration("settle"), Convert: cmd.Bool("convert"), MaxKeys: cmd.Int("max-keys"),
	}
	m.options.Settings = settings(cmd)
	if err := m.options.Settings.Check(); err != nil {
		return nil, usage(cmd, "%w", err)
	}
	if err := checkForeign(cmd.String("foreign")); err != nil {
		return nil, usage(cmd, "%w", err)
	}
	for _, name := range []string{"retain", "settle"} {
		if d := cmd.Duration(name); d < 0 || isLong(d) {
			return nil, usage(cmd, "-%s %v: want a duration from 0s to ten years", name, d)
		}
	}
	if n := cmd.Int("max-keys"); cmd.IsSet("max-keys") && (n < 1 || n > maxCount) {
		return nil, usage(cmd, "-max-keys %d: want a number from 1 to %d", n, maxCount)
	}
	name := cmd.String("cluster")
	switch {
	case name == "" && needsCluster:
		return nil, usage(cmd, "no cluster: give -cluster NAME, the name by which the mount knows this cluster's keys, or -config FILE")
	case name == "":
		for _, f := range clusterFlags() {
			if flag := f.Names()[0]; cmd.IsSet(flag) {
				return nil, usage(cmd, "-%s without -cluster NAME", flag)
			}
		}
	default:
		c, err := a.singleCluster(cmd, name)
		if err != nil {
			return nil, err
		}
		cfg.clusters = []clusterConfig{c}
		m.clusters = []string{name}
		if slices.Contains(m.options.Retired, name) {
			return nil, usage(cmd, "cluster %q is both trusted and retired: take it from one of the two", name)
		}
	}
	cfg.mounts = []mountConfig{m}
	return cfg, nil
}

// settings returns what the flags state of the mount besides its keys.
func settings(cmd *cli.Command) vaultsync.Settings {
	var s vaultsync.Settings
	if cmd.IsSet("jwt-supported-algs") {
		s.Algorithms = slices.DeleteFunc(append([]string{}, cmd.StringSlice("jwt-supported-algs")...), func(alg string) bool { return alg == "" })
	}
	stated := func(flag string) *string {
		if !cmd.IsSet(flag) {
			return nil
		}
		return new(cmd.String(flag))
	}
	s.BoundIssuer, s.DefaultRole = stated("bound-issuer"), stated("default-role")
	return s
}

// singleCluster returns the cluster of the flags.
func (a *app) singleCluster(cmd *cli.Command, name string) (clusterConfig, error) {
	c := clusterConfig{
		name: name, address: cmd.String("nomad-address"), jwksURL: cmd.String("jwks-url"),
		jwksFile: cmd.String("jwks-file"), oidcIssuer: cmd.String("oidc-issuer"), allowPlaintext: cmd.Bool("allow-plaintext"),
	}
	if err := vaultsync.CheckClusterName(name); err != nil {
		return c, usage(cmd, "%w", err)
	}
	var sources []string
	for _, flag := range []string{"nomad-address", "jwks-url", "jwks-file", "oidc-issuer"} {
		if cmd.String(flag) != "" {
			sources = append(sources, "-"+flag)
		}
	}
	switch {
	case len(sources) > 1:
		return c, usage(cmd, "%s: a cluster has one source of keys", strings.Join(sources, " and "))
	case len(sources) == 0:
		if c.address = a.getenv("NOMAD_ADDR"); c.address == "" {
			return c, usage(cmd, "no source of keys: give -nomad-address URL (or NOMAD_ADDR), -jwks-url, -jwks-file or -oidc-issuer")
		}
	}
	for flag, raw := range map[string]string{"nomad-address": c.address, "jwks-url": c.jwksURL, "oidc-issuer": c.oidcIssuer} {
		if raw == "" {
			continue
		}
		if err := checkURL(raw, "https", "http"); err != nil {
			if !cmd.IsSet(flag) {
				flag = "nomad-address (from NOMAD_ADDR)"
			}
			return c, usage(cmd, "-%s: %w", flag, err)
		}
	}
	var err error
	if c.pin, err = fingerprints(cmd, "pin"); err != nil {
		return c, err
	}
	if cmd.IsSet("pin") && len(c.pin) == 0 {
		return c, usage(cmd, "-pin: name a key")
	}
	return c, a.connection(cmd, &c)
}

// connection fills in how the cluster is reached: its regions and TLS. NOMAD_ variables
// count for a Nomad agent only; another issuer's CA and certificate aren't Nomad's.
func (a *app) connection(cmd *cli.Command, c *clusterConfig) error {
	env := func(flag, name string) string {
		if v := cmd.String(flag); v != "" || cmd.IsSet(flag) || c.address == "" {
			return v
		}
		return a.getenv(name)
	}
	c.tls.CACert = env("nomad-ca-cert", "NOMAD_CACERT")
	c.tls.CAPath = env("nomad-ca-path", "NOMAD_CAPATH")
	c.tls.ClientCert = env("nomad-client-cert", "NOMAD_CLIENT_CERT")
	c.tls.ClientKey = env("nomad-client-key", "NOMAD_CLIENT_KEY")
	c.tls.ServerName = env("nomad-tls-server-name", "NOMAD_TLS_SERVER_NAME")
	c.tls.InsecureSkipVerify = cmd.Bool("nomad-tls-skip-verify")
	if v := a.getenv("NOMAD_SKIP_VERIFY"); v != "" && c.address != "" && !cmd.IsSet("nomad-tls-skip-verify") {
		skip, err := strconv.ParseBool(v)
		if err != nil {
			return usage(cmd, "NOMAD_SKIP_VERIFY: want true or false")
		}
		c.tls.InsecureSkipVerify = skip
	}
	switch {
	case c.tls.ClientCert != "" && c.tls.ClientKey == "":
		return usage(cmd, "a client certificate without its key: give -nomad-client-key FILE (or NOMAD_CLIENT_KEY)")
	case c.tls.ClientCert == "" && c.tls.ClientKey != "":
		return usage(cmd, "a client key without its certificate: give -nomad-client-cert FILE (or NOMAD_CLIENT_CERT)")
	}

	c.regions = cmd.StringSlice("region")
	if !cmd.IsSet("region") && c.address != "" {
		if region := a.getenv("NOMAD_REGION"); region != "" {
			c.regions = []string{region}
		}
	}
	if len(c.regions) > 0 && c.address == "" {
		return usage(cmd, "-region is a Nomad agent's; it goes with -nomad-address only")
	}
	for i, region := range c.regions {
		if err := checkRegion(region); err != nil {
			return usage(cmd, "%w", err)
		}
		if slices.Contains(c.regions[:i], region) {
			return usage(cmd, "-region %q twice", region)
		}
	}
	return nil
}

// fingerprints returns the keys that a flag names.
func fingerprints(cmd *cli.Command, flag string) ([]pem.Fingerprint, error) {
	var all []pem.Fingerprint
	for _, s := range cmd.StringSlice(flag) {
		f, err := pem.ParseFingerprint(s)
		if err != nil {
			return nil, usage(cmd, "-%s: %w", flag, err)
		}
		all = append(all, f)
	}
	return all, nil
}

// turnovers returns what -allow-turnover names, which must be clusters of cfg: a slip of
// the pen would be noticed only when the keys turn over.
func turnovers(cmd *cli.Command, cfg *config) ([]string, error) {
	list, _ := cmd.Value("allow-turnover").([]string)
	var names []string
	for _, c := range cfg.clusters {
		names = append(names, c.name)
	}
	for _, name := range list {
		if cluster, _, _ := strings.Cut(name, "/"); name != anyCluster && !slices.Contains(names, cluster) {
			return nil, usage(cmd, "-allow-turnover=%s: no cluster %q; there is %s", name, cluster, quoteAll(names))
		}
	}
	return list, nil
}

package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// AnyCluster as the cluster of a turnover stands for every one.
const AnyCluster = "*"

// allRegions as a region stands for every federated one.
const allRegions = "*"

// Flags are those of a command, by name. A flag that the command doesn't have is not set.
type Flags interface {
	IsSet(name string) bool
	Bool(name string) bool
	Duration(name string) time.Duration
	Int(name string) int
	String(name string) string
	StringSlice(name string) []string
	Value(name string) any
}

// Single returns the config of the flags and, behind them, of the environment. The
// environment never reaches into a file: a cluster there is what the file says.
func Single(f Flags, getenv func(string) string, needsCluster bool) (*Config, error) {
	m, err := singleMount(f)
	if err != nil {
		return nil, err
	}
	cfg := &Config{Vaults: []Vault{{}}}
	name := f.String("cluster")
	switch {
	case name == "" && needsCluster:
		return nil, fmt.Errorf("no cluster: give -cluster NAME, the name by which the mount knows this cluster's keys, or -config FILE")
	case name != "":
		c, err := singleCluster(f, getenv, name)
		if err != nil {
			return nil, err
		}
		cfg.Clusters = []Cluster{c}
		m.Clusters = []string{name}
		if slices.Contains(m.Options.Retired, name) {
			return nil, fmt.Errorf("cluster %q is both trusted and retired: take it from one of the two", name)
		}
	}
	cfg.Mounts = []Mount{m}
	return cfg, nil
}

// singleMount returns the mount of the flags, without its cluster.
func singleMount(f Flags) (Mount, error) {
	m := Mount{Path: MountPath(f.String("mount")), Namespace: strings.Trim(f.String("namespace"), "/")}
	if m.Path == "" {
		return m, fmt.Errorf("no mount: give -mount PATH, such as -mount jwt-nomad, or -config FILE")
	}
	if err := checkMountPath(m.Path); err != nil {
		return m, fmt.Errorf("-mount: %w", err)
	}
	m.Options = vaultsync.Options{
		Foreign: plan.Foreign(f.String("foreign")), Retired: f.StringSlice("retired"),
		Retain: f.Duration("retain"), Settle: f.Duration("settle"), Convert: f.Bool("convert"), MaxKeys: f.Int("max-keys"),
	}
	m.Options.Settings = settings(f)
	if err := checkSettings(m.Options.Settings); err != nil {
		return m, err
	}
	if err := checkForeign(f.String("foreign")); err != nil {
		return m, err
	}
	if f.IsSet("retain") && m.Options.Retain == 0 {
		m.Options.Retain = plan.NoRetain
	}
	for _, name := range []string{"retain", "settle"} {
		if d := f.Duration(name); d < 0 || IsLong(d) {
			return m, fmt.Errorf("-%s %v: want a duration from 0s to ten years", name, d)
		}
	}
	if n := f.Int("max-keys"); f.IsSet("max-keys") && (n < 1 || n > maxCount) {
		return m, fmt.Errorf("-max-keys %d: want a number from 1 to %d", n, maxCount)
	}
	return m, nil
}

// settings returns what the flags state of the mount besides its keys.
func settings(f Flags) vaultsync.Settings {
	var s vaultsync.Settings
	if f.IsSet("jwt-supported-algs") {
		s.Algorithms = slices.DeleteFunc(append([]string{}, f.StringSlice("jwt-supported-algs")...), func(alg string) bool { return alg == "" })
	}
	stated := func(flag string) *string {
		if !f.IsSet(flag) {
			return nil
		}
		return new(f.String(flag))
	}
	s.BoundIssuer, s.DefaultRole = stated("bound-issuer"), stated("default-role")
	return s
}

// singleCluster returns the cluster of the flags.
func singleCluster(f Flags, getenv func(string) string, name string) (Cluster, error) {
	c := Cluster{
		Name: name, Address: f.String("nomad-address"), JWKSURL: f.String("jwks-url"),
		JWKSFile: f.String("jwks-file"), OIDCIssuer: f.String("oidc-issuer"), AllowPlaintext: f.Bool("allow-plaintext"),
	}
	if err := rule.CheckCluster(name); err != nil {
		return c, err
	}
	var sources []string
	for _, flag := range []string{"nomad-address", "jwks-url", "jwks-file", "oidc-issuer"} {
		if f.String(flag) != "" {
			sources = append(sources, "-"+flag)
		}
	}
	switch {
	case len(sources) > 1:
		return c, fmt.Errorf("%s: a cluster has one source of keys", strings.Join(sources, " and "))
	case len(sources) == 0:
		if c.Address = getenv("NOMAD_ADDR"); c.Address == "" {
			return c, fmt.Errorf("no source of keys: give -nomad-address URL (or NOMAD_ADDR), -jwks-url, -jwks-file or -oidc-issuer")
		}
	}
	for flag, raw := range map[string]string{"nomad-address": c.Address, "jwks-url": c.JWKSURL, "oidc-issuer": c.OIDCIssuer} {
		if raw == "" {
			continue
		}
		if err := checkURL(raw, "https", "http"); err != nil {
			if !f.IsSet(flag) {
				flag = "nomad-address (from NOMAD_ADDR)"
			}
			return c, fmt.Errorf("-%s: %w", flag, err)
		}
	}
	var err error
	if c.Pin, err = fingerprints(f, "pin"); err != nil {
		return c, err
	}
	if f.IsSet("pin") && len(c.Pin) == 0 {
		return c, fmt.Errorf("-pin: name a key")
	}
	err = c.connect(f, getenv)
	return c, err
}

// connect fills in how the cluster is reached: its regions and TLS. NOMAD_ variables
// count for a Nomad agent only; another issuer's CA and certificate aren't Nomad's.
func (c *Cluster) connect(f Flags, getenv func(string) string) error {
	return cmp.Or(c.connectTLS(f, getenv), c.connectRegions(f, getenv))
}

func (c *Cluster) connectTLS(f Flags, getenv func(string) string) error {
	env := func(flag, name string) string {
		if v := f.String(flag); v != "" || f.IsSet(flag) || c.Address == "" {
			return v
		}
		return getenv(name)
	}
	c.TLS = jwks.TLS{
		CACert: env("nomad-ca-cert", "NOMAD_CACERT"), CAPath: env("nomad-ca-path", "NOMAD_CAPATH"),
		ClientCert: env("nomad-client-cert", "NOMAD_CLIENT_CERT"), ClientKey: env("nomad-client-key", "NOMAD_CLIENT_KEY"),
		ServerName: env("nomad-tls-server-name", "NOMAD_TLS_SERVER_NAME"), InsecureSkipVerify: f.Bool("nomad-tls-skip-verify"),
	}
	if v := getenv("NOMAD_SKIP_VERIFY"); v != "" && c.Address != "" && !f.IsSet("nomad-tls-skip-verify") {
		skip, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("NOMAD_SKIP_VERIFY: want true or false")
		}
		c.TLS.InsecureSkipVerify = skip
	}
	switch {
	case c.TLS.ClientCert != "" && c.TLS.ClientKey == "":
		return fmt.Errorf("a client certificate without its key: give -nomad-client-key FILE (or NOMAD_CLIENT_KEY)")
	case c.TLS.ClientCert == "" && c.TLS.ClientKey != "":
		return fmt.Errorf("a client key without its certificate: give -nomad-client-cert FILE (or NOMAD_CLIENT_CERT)")
	}
	return nil
}

func (c *Cluster) connectRegions(f Flags, getenv func(string) string) error {
	c.Regions = f.StringSlice("region")
	if region := getenv("NOMAD_REGION"); region != "" && !f.IsSet("region") && c.Address != "" {
		c.Regions = []string{region}
	}
	if len(c.Regions) > 0 && c.Address == "" {
		return fmt.Errorf("-region is a Nomad agent's; it goes with -nomad-address only")
	}
	for i, region := range c.Regions {
		if err := checkRegion(region); err != nil {
			return err
		}
		if slices.Contains(c.Regions[:i], region) {
			return fmt.Errorf("-region %q twice", region)
		}
	}
	return nil
}

// fingerprints returns the keys that a flag names.
func fingerprints(f Flags, flag string) ([]pem.Fingerprint, error) {
	var all []pem.Fingerprint
	for _, s := range f.StringSlice(flag) {
		key, err := pem.ParseFingerprint(s)
		if err != nil {
			return nil, fmt.Errorf("-%s: %w", flag, err)
		}
		all = append(all, key)
	}
	return all, nil
}

// turnovers returns what -allow-turnover names, which must be clusters of cfg: a slip of
// the pen would be noticed only when the keys turn over.
func (c *Config) turnovers(f Flags) ([]string, error) {
	list, _ := f.Value("allow-turnover").([]string)
	var names []string
	for _, cluster := range c.Clusters {
		names = append(names, cluster.Name)
	}
	for _, name := range list {
		if cluster, _, _ := strings.Cut(name, "/"); name != AnyCluster && !slices.Contains(names, cluster) {
			return nil, fmt.Errorf("-allow-turnover=%s: no cluster %q; there is %s", name, cluster, text.QuoteAll(names))
		}
	}
	return list, nil
}

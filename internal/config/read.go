package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/jwks"
)

// Load reads a configuration file. The error names each mistake with its line and column.
func Load(name string) (*Config, error) {
	src, err := ReadFile(name)
	if err != nil {
		return nil, err
	}
	c, err := Parse(name, src)
	if err != nil {
		return nil, err
	}
	for _, m := range c.Mounts {
		if err := c.refuseSharedDirectory(m); err != nil {
			return nil, fmt.Errorf("%s:%d:%d: %w", name, m.at.Start.Line, m.at.Start.Column, err)
		}
	}
	return c, nil
}

// Parse returns what a configuration file says, checked as far as it can be without
// a network, an environment or other files.
func Parse(name string, src []byte) (*Config, error) {
	r, diags := readConfig(name, src)
	if err := configError(diags); err != nil {
		return nil, err
	}
	return r.config, nil
}

// readConfig returns what a configuration file says and every problem with it. The reader
// is nil where the file isn't HCL.
func readConfig(name string, src []byte) (*fileReader, hcl.Diagnostics) {
	body, diags := parseHCL(name, src)
	if diags.HasErrors() {
		return nil, diags
	}
	r := &fileReader{config: &Config{File: name}}
	r.read(body)
	return r, r.diags
}

// fileReader turns a file's body into a config.
type fileReader struct {
	config  *Config
	diags   hcl.Diagnostics
	files   []namedFile
	places  []hcl.Range // of the clusters
	issuers []hcl.Range // of the mounts' bound_issuer, or of their blocks

	warnings hcl.Diagnostics // what harvest config validate tells of besides
}

func (r *fileReader) read(body *hclsyntax.Body) {
	top, _ := body.JustAttributes()
	for name, a := range top {
		if name != "deny" {
			r.problem(a.NameRange, "unknown attribute %q; outside of blocks there is only deny", name)
		}
	}
	r.config.Deny = block{&r.diags, top, body.MissingItemRange()}.fingerprints("deny")
	// Mounts name the others, wherever they stand in the file.
	for _, b := range body.Blocks {
		switch b.Type {
		case "cluster":
			r.cluster(b)
		case "vault":
			r.vault(b)
		case "mount", "relay":
		default:
			r.problem(b.TypeRange, "unknown block %q; want cluster, vault, mount or relay", b.Type)
		}
	}
	if len(r.config.Vaults) == 0 {
		r.config.Vaults = []Vault{{}}
	}
	for _, b := range body.Blocks {
		switch b.Type {
		case "mount":
			r.mount(b)
		case "relay":
			r.relay(b)
		}
	}
	if len(r.config.Mounts) == 0 && !r.diags.HasErrors() {
		r.problem(body.MissingItemRange(), "no mount block: say which JWT auth mounts are to trust the clusters, as in mount \"jwt-nomad\" { clusters = [\"us-east\"] }")
	}
}

func (r *fileReader) problem(at hcl.Range, format string, args ...any) {
	r.diags = append(r.diags, problem(at, format, args...))
}

// warn is problem, of what may be meant.
func (r *fileReader) warn(at hcl.Range, format string, args ...any) {
	d := problem(at, format, args...)
	d.Severity = hcl.DiagWarning
	r.warnings = append(r.warnings, d)
}

// label returns the one label of a block, or false.
func (r *fileReader) label(b *hclsyntax.Block) (string, bool) {
	if len(b.Labels) != 1 {
		r.problem(b.DefRange(), "%s wants one name, as in %s \"name\" { … }", b.Type, b.Type)
		return "", false
	}
	return b.Labels[0], true
}

var (
	sourceAttributes  = []string{"address", "jwks_url", "jwks_file", "oidc_issuer"}
	tlsAttributes     = []string{"ca_cert", "ca_path", "client_cert", "client_key", "tls_server_name"}
	vaultAttributes   = append([]string{"address", "namespace"}, tlsAttributes...)
	clusterAttributes = slices.Concat(sourceAttributes, tlsAttributes, []string{"regions", "issuer", "token_file", "tls_skip_verify", "allow_plaintext", "pin"})
)

func (r *fileReader) cluster(hb *hclsyntax.Block) {
	b, blocks := open(hb.Body, hb.DefRange(), &r.diags, clusterAttributes, blockKubernetes)
	name, ok := r.label(hb)
	if !ok {
		return
	}
	if err := rule.CheckCluster(name); err != nil {
		r.problem(hb.LabelRanges[0], "%v", err)
	}
	if slices.ContainsFunc(r.config.Clusters, func(c Cluster) bool { return c.Name == name }) {
		r.problem(hb.LabelRanges[0], "cluster %q is defined twice; give one of them another name", name)
	}
	c := Cluster{
		Name: name, Address: b.text("address"), JWKSURL: b.text("jwks_url"), JWKSFile: b.text("jwks_file"),
		OIDCIssuer: b.text("oidc_issuer"), Issuer: b.text("issuer"), TokenFile: b.text("token_file"), Regions: b.texts("regions"),
		AllowPlaintext: b.flag("allow_plaintext"), Pin: b.fingerprints("pin"), TLS: b.tls(),
	}
	c.TLS.InsecureSkipVerify = b.flag("tls_skip_verify")
	r.nameClusterFiles(b, c)
	for i, kb := range blocks {
		if i > 0 {
			r.problem(kb.DefRange, "cluster %q has two kubernetes blocks; keep one", name)
			continue
		}
		r.kubernetes(b, kb, &c)
	}
	r.config.Clusters = append(r.config.Clusters, c)
	r.places = append(r.places, hb.DefRange())
	r.checkAuthorized(b, c)
	r.checkSource(b, c, len(blocks) > 0)
	r.checkTLS(b)
	r.checkClusterTLS(b, c)
	r.checkRegions(b, c)
}

// checkSource wants one source of keys, and an address that is one.
func (r *fileReader) checkSource(b block, c Cluster, isKubernetes bool) {
	sources := 0
	if isKubernetes {
		sources = 1
	}
	for _, source := range sourceAttributes {
		if b.has(source) {
			if sources++; sources > 1 {
				b.problem(source, "cluster %q has more than one source; keep one of %s and kubernetes", c.Name, strings.Join(sourceAttributes, ", "))
			}
		}
	}
	if sources == 0 {
		b.problem("", "cluster %q has no source of keys; give one of %s, or a kubernetes block", c.Name, strings.Join(sourceAttributes, ", "))
	}
	for source, raw := range map[string]string{"address": c.Address, "jwks_url": c.JWKSURL, "oidc_issuer": c.OIDCIssuer} {
		if raw == "" {
			continue
		}
		if err := checkURL(raw, "https", "http"); err != nil {
			b.problem(source, "%s: %v", source, err)
		} else if source != "jwks_url" && hasQuery(raw) {
			b.problem(source, "%s has a query or a fragment; give the address alone, before the ? or #", source)
		}
	}
}

// checkClusterTLS refuses what would have no effect on how a cluster is read, and what makes the
// reading worthless.
func (r *fileReader) checkClusterTLS(b block, c Cluster) {
	if b.has("ca_cert") && b.has("ca_path") {
		b.problem("ca_path", "ca_path is not used beside ca_cert; keep one of them")
	}
	if b.has("jwks_file") {
		for _, extra := range append([]string{"tls_skip_verify", "allow_plaintext"}, tlsAttributes...) {
			if b.has(extra) {
				b.problem(extra, "%s has no meaning for a jwks_file; drop it", extra)
			}
		}
	}
	if c.TLS.InsecureSkipVerify && !c.AllowPlaintext {
		b.problem("tls_skip_verify", "tls_skip_verify lets anyone on the path choose whom Vault trusts; give ca_cert instead, or add allow_plaintext = true if that is meant")
	}
}

func (r *fileReader) checkRegions(b block, c Cluster) {
	if b.has("regions") && !b.has("address") {
		b.problem("regions", "regions are a Nomad agent's; they go with address only")
	}
	for i, region := range c.Regions {
		if err := checkRegion(region); err != nil {
			r.problem(b.element("regions", i), "%v", err)
		}
	}
}

// tls returns the TLS files and the name that a block states.
func (b block) tls() jwks.TLS {
	return jwks.TLS{
		CACert: b.text("ca_cert"), CAPath: b.text("ca_path"), ClientCert: b.text("client_cert"), ClientKey: b.text("client_key"),
		ServerName: b.text("tls_server_name"),
	}
}

// checkTLS wants a client certificate with its key.
func (r *fileReader) checkTLS(b block) {
	switch {
	case b.has("client_cert") && !b.has("client_key"):
		b.problem("client_cert", "client_cert without its key; add client_key")
	case b.has("client_key") && !b.has("client_cert"):
		b.problem("client_key", "client_key without its certificate; add client_cert")
	}
}

// checkURL refuses what isn't an address of one of these schemes, and one with a password,
// without showing it.
func checkURL(raw string, schemes ...string) error {
	u, err := url.Parse(raw)
	switch {
	case err == nil && u.User != nil:
		return fmt.Errorf("holds a user name or password, which would end up in logs; leave it out")
	case err == nil && u.Scheme == "http" && u.Host != "" && !slices.Contains(schemes, "http"):
		return fmt.Errorf("plain http, over which anyone on the path would read the token and choose the keys; use https")
	case err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" && u.Scheme != "unix":
		return fmt.Errorf("not a URL such as https://nomad.example.com:4646")
	}
	return nil
}

// hasQuery reports whether there is more to an address than where something answers.
func hasQuery(raw string) bool { return strings.ContainsAny(raw, "?#") }

// checkRegion refuses what can't be the name of a region. "" is the agent's own.
func checkRegion(name string) error {
	if name == "" || name == allRegions {
		return nil
	}
	if len(name) > 128 || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return fmt.Errorf("region %q: use letters, digits, '.', '_' and '-', 128 at most; \"*\" is every federated region", name)
	}
	return nil
}

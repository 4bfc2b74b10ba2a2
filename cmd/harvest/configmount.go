package main

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

func (r *fileReader) vault(hb *hclsyntax.Block) {
	b, blocks := open(hb.Body, hb.DefRange(), &r.diags, vaultAttributes, "auth")
	if len(hb.Labels) > 1 {
		r.problem(hb.DefRange(), "vault wants one name or none, as in vault \"eu\" { … }")
		return
	}
	v := vaultConfig{
		name: strings.Join(hb.Labels, ""), address: strings.TrimSuffix(b.text("address"), "/"), namespace: strings.Trim(b.text("namespace"), "/"),
		caCert: b.text("ca_cert"), caPath: b.text("ca_path"),
		clientCert: b.text("client_cert"), clientKey: b.text("client_key"), serverName: b.text("tls_server_name"),
	}
	if len(hb.Labels) == 1 && v.name == "" {
		r.problem(hb.LabelRanges[0], "the name of this vault is empty; leave it out or give one")
	}
	if slices.ContainsFunc(r.config.vaults, func(other vaultConfig) bool { return other.name == v.name }) {
		r.problem(hb.DefRange(), "vault %q is defined twice; several vault blocks need different names", v.name)
	}
	if v.address != "" {
		if err := checkURL(v.address, "https", "http", "unix"); err != nil {
			b.problem("address", "address: %v", err)
		}
	}
	r.checkTLS(b)
	r.nameTLSFiles(b, jwks.TLS{CACert: v.caCert, CAPath: v.caPath, ClientCert: v.clientCert, ClientKey: v.clientKey})
	for i, auth := range blocks {
		if i > 0 {
			r.problem(auth.DefRange, "a vault block has one auth block")
			break
		}
		v.auth = r.auth(auth)
	}
	r.config.vaults = append(r.config.vaults, v)
}

// authMethods are the ways to log in: what each takes, and what it can't do without.
var authMethods = map[string]struct{ takes, needs []string }{
	"jwt":        {takes: []string{"mount", "role", "token_file"}, needs: []string{"mount", "token_file"}},
	"approle":    {takes: []string{"mount", "role_id", "secret_id_file"}, needs: []string{"role_id", "secret_id_file"}},
	"kubernetes": {takes: []string{"mount", "role", "token_file"}, needs: []string{"role"}},
	"token_file": {takes: []string{"path"}, needs: []string{"path"}},
}

func (r *fileReader) auth(hb *hcl.Block) *authConfig {
	name := hb.Labels[0]
	method, ok := authMethods[name]
	if !ok {
		r.problem(hb.LabelRanges[0], "unknown auth method %q; want jwt, approle, kubernetes or token_file", name)
		return nil
	}
	b, _ := open(hb.Body, hb.DefRange, &r.diags, method.takes)
	for _, attribute := range method.needs {
		if !b.has(attribute) {
			b.problem("", "auth %q needs %s", name, attribute)
		}
	}
	auth := &authConfig{
		method: name, mount: strings.Trim(b.text("mount"), "/"), role: b.text("role"), tokenFile: b.text("token_file"),
		roleID: b.text("role_id"), secretIDFile: b.text("secret_id_file"),
	}
	if name == "token_file" {
		auth.tokenFile = b.text("path")
	}
	r.nameCredentials(b)
	return auth
}

var mountAttributes = []string{
	"vault", "namespace", "path", "clusters", "foreign", "retired", "retain", "max_keys", "allow_turnover", "deny", "allow_empty", "convert", "settle",
	"jwt_supported_algs", "bound_issuer", "default_role",
}

func (r *fileReader) mount(hb *hclsyntax.Block) {
	b, blocks := open(hb.Body, hb.DefRange(), &r.diags, mountAttributes, "role")
	name, ok := r.label(hb)
	if !ok {
		return
	}
	m := mountConfig{
		namespace: strings.Trim(b.text("namespace"), "/"), path: name, clusters: b.texts("clusters"), at: hb.DefRange(),
		options: vaultsync.Options{
			Foreign: vaultsync.Foreign(b.text("foreign")), Retired: b.texts("retired"), Retain: b.duration("retain"), MaxKeys: b.count("max_keys"),
			AllowTurnover: b.texts("allow_turnover"), Deny: b.fingerprints("deny"), AllowEmpty: b.flag("allow_empty"),
			Convert: b.flag("convert"), Settle: b.duration("settle"), Settings: b.settings(),
		},
	}
	if b.has("path") {
		m.path = b.text("path")
	}
	m.path = mountPath(m.path)
	if err := checkMountPath(m.path); err != nil {
		b.problem("path", "%v", err)
	}
	r.mountVault(b, &m)
	r.mountClusters(b, &m)
	r.mountRules(b, &m)
	for _, role := range blocks {
		r.role(role, &m)
	}
	r.mountPolicies(m)
	for _, other := range r.config.mounts {
		if r.config.target(other) == r.config.target(m) {
			r.problem(m.at, "the same mount as in line %d, which would undo each other's work; put their clusters into one block", other.at.Start.Line)
			break
		}
	}
	r.config.mounts = append(r.config.mounts, m)
	r.issuers = append(r.issuers, b.where("bound_issuer"))
}

// mountPolicies refuses a policy's name that a role of another mount has: a policy is templated on one
// mount's accessor.
func (r *fileReader) mountPolicies(m mountConfig) {
	for _, other := range r.config.mounts {
		mine, others := r.config.target(m), r.config.target(other)
		if mine == others || mine[0] != others[0] || mine[1] != others[1] {
			continue
		}
		for _, access := range m.setup.Access {
			same := func(v vaultsync.Access) bool { return v.Policy != "" && v.Policy == access.Policy }
			if slices.ContainsFunc(other.setup.Access, same) {
				r.problem(m.at, "policy %q is that of mount %q too, in line %d: a policy is for one mount; name another, or leave policy out",
					access.Policy, other.path, other.at.Start.Line)
			}
		}
	}
}

// mountVault finds the vault block of a mount.
func (r *fileReader) mountVault(b block, m *mountConfig) {
	name := b.text("vault")
	m.vault = slices.IndexFunc(r.config.vaults, func(v vaultConfig) bool { return v.name == name })
	if m.vault >= 0 {
		return
	}
	m.vault = 0
	var names []string
	for _, v := range r.config.vaults {
		names = append(names, v.name)
	}
	switch {
	case name != "":
		b.problem("vault", "no vault %q; there is %s", name, quoteAll(names))
	case len(names) > 1:
		b.problem("vault", "which vault? add vault = … with one of %s", quoteAll(names))
	}
}

func (r *fileReader) mountClusters(b block, m *mountConfig) {
	var names []string
	for _, c := range r.config.clusters {
		names = append(names, c.name)
	}
	if len(m.clusters) == 0 {
		b.problem("clusters", "no clusters: name those that this mount trusts, as in clusters = [\"us-east\"]")
	}
	for i, name := range m.clusters {
		if !slices.Contains(names, name) {
			r.problem(b.element("clusters", i), "no cluster %q; there is %s", name, quoteAll(names))
		}
	}
	for i, name := range m.options.Retired {
		switch cluster, _, _ := strings.Cut(name, "/"); {
		case slices.Contains(m.clusters, name):
			r.problem(b.element("retired", i), "cluster %q is both trusted and retired; take it from one of the two", name)
		case vaultsync.CheckClusterName(cluster) != nil:
			r.problem(b.element("retired", i), "retired: %v", vaultsync.CheckClusterName(cluster))
		}
	}
	for i, name := range m.options.AllowTurnover {
		if cluster, _, _ := strings.Cut(name, "/"); name != anyCluster && !slices.Contains(m.clusters, cluster) {
			r.problem(b.element("allow_turnover", i), "this mount has no cluster %q; there is %s", cluster, quoteAll(m.clusters))
		}
	}
}

// settings returns what is stated of the mount besides its keys. An empty text is a statement:
// what isn't there isn't one.
func (b block) settings() vaultsync.Settings {
	var s vaultsync.Settings
	if b.has("jwt_supported_algs") && !b.isEmptyText("jwt_supported_algs") {
		s.Algorithms = b.texts("jwt_supported_algs")
	}
	if b.has("jwt_supported_algs") && s.Algorithms == nil {
		s.Algorithms = []string{}
	}
	stated := func(name string) *string {
		var text string
		if !b.value(name, &text) {
			return nil
		}
		return &text
	}
	s.BoundIssuer, s.DefaultRole = stated("bound_issuer"), stated("default_role")
	for name, one := range map[string]vaultsync.Settings{
		"jwt_supported_algs": {Algorithms: s.Algorithms}, "bound_issuer": {BoundIssuer: s.BoundIssuer}, "default_role": {DefaultRole: s.DefaultRole},
	} {
		if err := one.Check(); err != nil {
			b.problem(name, "%v", err)
		}
	}
	return s
}

func (b block) isEmptyText(name string) bool {
	var text string
	quiet := block{new(hcl.Diagnostics), b.attrs, b.at}
	return quiet.value(name, &text) && text == ""
}

func (r *fileReader) mountRules(b block, m *mountConfig) {
	if err := checkForeign(string(m.options.Foreign)); err != nil {
		b.problem("foreign", "%v", err)
	}
	for name, d := range map[string]bool{"retain": isLong(m.options.Retain), "settle": isLong(m.options.Settle)} {
		if d {
			b.problem(name, "%s is longer than ten years", name)
		}
	}
}

var roleAttributes = []string{"policy", "audiences", "user_claim", "claims", "bound", "bound_subject", "bound_cidrs", "num_uses", "no_default_policy", "period", "max_ttl", "kv", "prefix", "job_prefix"}

// role reads a role block of a mount, which harvest setup makes.
func (r *fileReader) role(hb *hcl.Block, m *mountConfig) {
	b, _ := open(hb.Body, hb.DefRange, &r.diags, roleAttributes)
	m.setup.Access = append(m.setup.Access, vaultsync.Access{
		Role: hb.Labels[0], Policy: b.text("policy"), Audiences: b.texts("audiences"), UserClaim: b.text("user_claim"), Claims: b.textMap("claims"), Bound: b.textMap("bound"),
		BoundSubject: b.text("bound_subject"), BoundCIDRs: b.texts("bound_cidrs"), NumUses: b.count("num_uses"), NoDefaultPolicy: b.flag("no_default_policy"),
		Period: b.duration("period"), MaxTTL: b.duration("max_ttl"), KV: b.text("kv"), Prefix: b.text("prefix"), JobPrefix: b.text("job_prefix"),
	})
	if err := m.setup.Check(); err != nil {
		r.problem(hb.DefRange, "%v", err)
	}
}

func quoteAll(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	var quoted []string
	for _, name := range names {
		if name == "" {
			quoted = append(quoted, "one without a name")
			continue
		}
		quoted = append(quoted, `"`+name+`"`)
	}
	return strings.Join(quoted, ", ")
}

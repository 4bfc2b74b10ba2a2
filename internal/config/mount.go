package config

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

func (r *fileReader) vault(hb *hclsyntax.Block) {
	b, blocks := open(hb.Body, hb.DefRange(), &r.diags, vaultAttributes, "auth")
	if len(hb.Labels) > 1 {
		r.problem(hb.DefRange(), "vault wants one name or none, as in vault \"eu\" { … }")
		return
	}
	v := Vault{
		Name: strings.Join(hb.Labels, ""), Address: strings.TrimSuffix(b.text("address"), "/"), Namespace: strings.Trim(b.text("namespace"), "/"),
		TLS: b.tls(),
	}
	if len(hb.Labels) == 1 && v.Name == "" {
		r.problem(hb.LabelRanges[0], "the name of this vault is empty; leave it out or give one")
	}
	if slices.ContainsFunc(r.config.Vaults, func(other Vault) bool { return other.Name == v.Name }) {
		r.problem(hb.DefRange(), "vault %q is defined twice; several vault blocks need different names", v.Name)
	}
	if v.Address != "" {
		if err := checkURL(v.Address, "https", "http", "unix"); err != nil {
			b.problem("address", "address: %v", err)
		}
	}
	r.checkTLS(b)
	r.nameTLSFiles(b, v.TLS)
	for i, auth := range blocks {
		if i > 0 {
			r.problem(auth.DefRange, "a vault block has one auth block")
			break
		}
		v.Auth = r.auth(auth)
	}
	r.config.Vaults = append(r.config.Vaults, v)
}

// authMethods are the ways to log in: what each takes, and what it can't do without.
var authMethods = map[string]struct{ takes, needs []string }{
	"jwt":        {takes: []string{"mount", "role", "token_file"}, needs: []string{"mount", "token_file"}},
	"approle":    {takes: []string{"mount", "role_id", "secret_id_file"}, needs: []string{"role_id", "secret_id_file"}},
	"kubernetes": {takes: []string{"mount", "role", "token_file"}, needs: []string{"role"}},
	"token_file": {takes: []string{"path"}, needs: []string{"path"}},
	"none":       {},
}

func (r *fileReader) auth(hb *hcl.Block) *Auth {
	name := hb.Labels[0]
	method, ok := authMethods[name]
	if !ok {
		r.problem(hb.LabelRanges[0], "unknown auth method %q; want jwt, approle, kubernetes, token_file or none", name)
		return nil
	}
	b, _ := open(hb.Body, hb.DefRange, &r.diags, method.takes)
	for _, attribute := range method.needs {
		if !b.has(attribute) {
			b.problem("", "auth %q needs %s", name, attribute)
		}
	}
	auth := &Auth{
		Method: name, Mount: strings.Trim(b.text("mount"), "/"), Role: b.text("role"), TokenFile: b.text("token_file"),
		RoleID: b.text("role_id"), SecretIDFile: b.text("secret_id_file"),
	}
	if name == "token_file" {
		auth.TokenFile = b.text("path")
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
	m := Mount{
		Namespace: strings.Trim(b.text("namespace"), "/"), Path: name, Clusters: b.texts("clusters"), at: hb.DefRange(),
		Options: vaultsync.Options{
			Foreign: plan.Foreign(b.text("foreign")), Retired: b.texts("retired"), Retain: b.retention(), MaxKeys: b.count("max_keys"),
			AllowTurnover: b.texts("allow_turnover"), Deny: b.fingerprints("deny"), AllowEmpty: b.flag("allow_empty"),
			Convert: b.flag("convert"), Settle: b.duration("settle"), Settings: b.settings(),
		},
	}
	if b.has("path") {
		m.Path = b.text("path")
	}
	m.Path = MountPath(m.Path)
	if err := checkMountPath(m.Path); err != nil {
		b.problem("path", "%v", err)
	}
	r.mountVault(b, &m)
	r.mountNamespace(b, m)
	r.clustersOf(b, m)
	r.mountRules(b, &m)
	for _, role := range blocks {
		r.role(role, &m)
	}
	r.mountPolicies(m)
	for _, other := range r.config.Mounts {
		if r.config.Target(other) == r.config.Target(m) {
			r.problem(m.at, "the same mount as in line %d, which would undo each other's work; put their clusters into one block", other.at.Start.Line)
			break
		}
	}
	r.config.Mounts = append(r.config.Mounts, m)
	r.issuers = append(r.issuers, b.where("bound_issuer"))
}

// mountPolicies refuses a policy's name that a role of another mount has: a policy is templated on
// one mount's accessor.
func (r *fileReader) mountPolicies(m Mount) {
	for _, other := range r.config.Mounts {
		if other.Relay != nil {
			continue
		}
		mine, others := r.config.Target(m), r.config.Target(other)
		if mine == others || mine.Vault != others.Vault || mine.Namespace != others.Namespace {
			continue
		}
		taken := other.Setup.Policies(other.Path)
		for _, name := range m.Setup.Policies(m.Path) {
			if slices.Contains(taken, name) {
				r.problem(m.at, "policy %q is that of mount %q too, in line %d: a policy is for one mount; name another, or leave policy out",
					name, other.Path, other.at.Start.Line)
			}
		}
	}
}

// mountVault finds the vault block of a mount.
func (r *fileReader) mountVault(b block, m *Mount) {
	name := b.text("vault")
	m.Vault = slices.IndexFunc(r.config.Vaults, func(v Vault) bool { return v.Name == name })
	if m.Vault >= 0 {
		return
	}
	m.Vault = 0
	var names []string
	for _, v := range r.config.Vaults {
		names = append(names, v.Name)
	}
	switch {
	case name != "":
		b.problem("vault", "no vault %q; there is %s", name, text.QuoteAll(names))
	case len(names) > 1:
		b.problem("vault", "which vault? add vault = … with one of %s", text.QuoteAll(names))
	}
}

// mountNamespace warns of a namespace that may be meant to lie in that of the vault block, as in
// Terraform: here it takes its place.
func (r *fileReader) mountNamespace(b block, m Mount) {
	if m.Namespace == "" || m.Vault >= len(r.config.Vaults) {
		return
	}
	outer := r.config.Vaults[m.Vault].Namespace
	if outer == "" || m.Namespace == outer || strings.HasPrefix(m.Namespace, outer+"/") {
		return
	}
	r.warn(b.where("namespace"), "namespace %q isn't looked for in %q, which the vault block logs in to, but beside it, from the root namespace on: write %q if it lies in there",
		m.Namespace, outer, outer+"/"+m.Namespace)
}

// clustersOf checks the clusters that a mount or relay names.
func (r *fileReader) clustersOf(b block, m Mount) {
	what, does := "mount", "trusts"
	if m.Relay != nil {
		what, does = "relay", "publishes"
	}
	var names []string
	for _, c := range r.config.Clusters {
		names = append(names, c.Name)
	}
	if len(m.Clusters) == 0 {
		b.problem("clusters", "no clusters: name those that this %s %s, as in clusters = [\"us-east\"]", what, does)
	}
	for i, name := range m.Clusters {
		if !slices.Contains(names, name) {
			r.problem(b.element("clusters", i), "no cluster %q; there is %s", name, text.QuoteAll(names))
		}
	}
	for i, name := range m.Options.Retired {
		switch cluster, _, _ := strings.Cut(name, "/"); {
		case slices.Contains(m.Clusters, name):
			r.problem(b.element("retired", i), "cluster %q is both trusted and retired; take it from one of the two", name)
		case rule.CheckCluster(cluster) != nil:
			r.problem(b.element("retired", i), "retired: %v", rule.CheckCluster(cluster))
		}
	}
	for i, name := range m.Options.AllowTurnover {
		if cluster, _, _ := strings.Cut(name, "/"); name != AnyCluster && !slices.Contains(m.Clusters, cluster) {
			r.problem(b.element("allow_turnover", i), "this %s has no cluster %q; there is %s", what, cluster, text.QuoteAll(m.Clusters))
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
		if err := checkSettings(one); err != nil {
			b.problem(name, "%v", err)
		}
	}
	return s
}

func checkSettings(s vaultsync.Settings) error {
	return mountconfig.CheckSettings(s.Algorithms, s.BoundIssuer, s.DefaultRole)
}

func (b block) isEmptyText(name string) bool {
	var text string
	quiet := block{new(hcl.Diagnostics), b.attrs, b.at}
	return quiet.value(name, &text) && text == ""
}

// retention returns the retain of a block; one that is stated as 0 is none at all.
func (b block) retention() time.Duration {
	d := b.duration("retain")
	if d == 0 && b.has("retain") {
		return plan.NoRetain
	}
	return d
}

func (r *fileReader) mountRules(b block, m *Mount) {
	if err := checkForeign(string(m.Options.Foreign)); err != nil {
		b.problem("foreign", "%v", err)
	}
	for name, d := range map[string]bool{"retain": IsLong(m.Options.Retain), "settle": IsLong(m.Options.Settle)} {
		if d {
			b.problem(name, "%s is longer than ten years", name)
		}
	}
}

var roleAttributes = []string{"policy", "audiences", "user_claim", "claims", "bound", "bound_subject", "bound_cidrs", "num_uses", "no_default_policy", "period", "max_ttl", "kv", "prefix", "job_prefix"}

// role reads a role block of a mount, which harvest setup makes.
func (r *fileReader) role(hb *hcl.Block, m *Mount) {
	b, _ := open(hb.Body, hb.DefRange, &r.diags, roleAttributes)
	m.Setup.Access = append(m.Setup.Access, setup.Access{
		Role: hb.Labels[0], Policy: b.text("policy"), Audiences: b.texts("audiences"), UserClaim: b.text("user_claim"), Claims: b.textMap("claims"), Bound: b.textMap("bound"),
		BoundSubject: b.text("bound_subject"), BoundCIDRs: b.texts("bound_cidrs"), NumUses: b.count("num_uses"), NoDefaultPolicy: b.flag("no_default_policy"),
		Period: b.duration("period"), MaxTTL: b.duration("max_ttl"), KV: b.text("kv"), Prefix: b.text("prefix"), JobPrefix: b.text("job_prefix"),
	})
	if err := m.Setup.Check(); err != nil {
		r.problem(hb.DefRange, "%v", err)
	}
}

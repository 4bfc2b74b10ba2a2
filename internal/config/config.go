// Package config reads what harvest is to do, from a file in HCL or from the flags of a command,
// and checks it without a network.
package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Config is what a file or the flags ask for.
type Config struct {
	File     string // "" where the flags did
	Clusters []Cluster
	Vaults   []Vault // one at least
	Mounts   []Mount
	Deny     []pem.Fingerprint // on every mount
}

// Cluster is a cluster block. Just one of the sources is set.
type Cluster struct {
	Name           string
	Address        string   // Nomad agent
	Regions        []string // of the agent; none: its own
	JWKSURL        string
	JWKSFile       string
	OIDCIssuer     string
	Kubernetes     string      // its API server
	TokenFile      string      // with the bearer token of each request; none of a Nomad or a file
	Issuer         string      // of its tokens, as the operator knows it; "": what the source says, if it does
	Document       jwks.Source // pem's standard input
	TLS            jwks.TLS
	AllowPlaintext bool
	Pin            []pem.Fingerprint
}

// Source returns what the cluster is read from, in words that a status page shows, and where that
// is: its URL or its file. Both are "" for standard input.
func (c Cluster) Source() (kind, place string) {
	switch {
	case c.Address != "":
		return "Nomad", c.Address
	case c.JWKSURL != "":
		return "JWKS URL", c.JWKSURL
	case c.JWKSFile != "":
		return "JWKS file", c.JWKSFile
	case c.OIDCIssuer != "":
		return "OIDC issuer", c.OIDCIssuer
	case c.Kubernetes != "":
		return "Kubernetes", c.Kubernetes
	}
	return "", ""
}

// URL returns the address that keys are fetched from, or "" for a file.
func (c Cluster) URL() string {
	if c.JWKSFile != "" {
		return ""
	}
	_, url := c.Source()
	return url
}

// knownIssuer returns the issuer of the cluster's tokens, or "" where the file doesn't say it.
func (c Cluster) knownIssuer() string { return cmp.Or(c.Issuer, c.OIDCIssuer) }

// Issuers returns the issuers of the clusters' tokens, as far as the file says them, by cluster.
func (c *Config) Issuers() map[string]string {
	issuers := map[string]string{}
	for _, cluster := range c.Clusters {
		if issuer := cluster.knownIssuer(); issuer != "" {
			issuers[cluster.Name] = issuer
		}
	}
	return issuers
}

// Vault is a vault block. The zero value is Vault as the environment describes it.
type Vault struct {
	Name      string // its label
	Address   string // "" is the environment's
	Namespace string // "" is the environment's, but none in a labelled block with an address
	TLS       jwks.TLS
	Auth      *Auth // nil: VAULT_TOKEN or the token helper
}

// IsIsolated reports whether the environment describes another Vault than this one.
func (v Vault) IsIsolated() bool { return v.Name != "" && v.Address != "" }

// Auth is an auth block; what a method doesn't use is "".
type Auth struct {
	Method       string
	Mount        string
	Role         string
	TokenFile    string
	RoleID       string
	SecretIDFile string
}

// LogsIn reports whether the method logs in at Vault. The others have a token from elsewhere, or
// send none, since an agent or proxy before Vault adds its own.
func (a *Auth) LogsIn() bool { return a != nil && a.Method != "token_file" && !a.IsNone() }

// IsNone reports whether no token is sent.
func (a *Auth) IsNone() bool { return a != nil && a.Method == "none" }

// Mount is a mount block.
type Mount struct {
	Vault     int // in Config.Vaults
	Namespace string
	Path      string
	Clusters  []string
	Options   vaultsync.Options
	Setup     setup.Setup // for the command of that name
	Relay     *Relay      // it is a relay, in no Vault; nil: it isn't
	at        hcl.Range   // of the block in the file
}

// Unplaced returns the mount without its place in a file, to compare it with that of another.
func (m Mount) Unplaced() Mount {
	m.at, m.Vault = hcl.Range{}, 0
	return m
}

// Target is what makes two mounts one: an address (or the label of a block without),
// namespace and path.
func (c *Config) Target(m Mount) vaultsync.MountID {
	if m.Relay != nil {
		return vaultsync.MountID{Path: m.Path}
	}
	v := c.Vaults[m.Vault]
	namespace := m.Namespace
	if namespace == "" {
		namespace = v.Namespace
	}
	return vaultsync.MountID{Vault: v.Address, Namespace: namespace, Path: m.Path}
}

// IsSingle reports whether the flags describe the only cluster and mount.
func (c *Config) IsSingle() bool { return c.File == "" }

// Uses reports whether a mount trusts the cluster of that name.
func (c *Config) Uses(cluster string) bool {
	return slices.ContainsFunc(c.Mounts, func(m Mount) bool { return m.trusts(cluster) })
}

// trusts reports whether the mount trusts the cluster of that name.
func (m Mount) trusts(cluster string) bool { return slices.Contains(m.Clusters, cluster) }

// Finish fills in what the mounts' options have from elsewhere: the pins of clusters, the
// keys denied everywhere, and what the flags allow on every mount.
func (c *Config) Finish(f Flags) error {
	deny, err := fingerprints(f, "deny")
	if err != nil {
		return err
	}
	turnovers, err := c.turnovers(f)
	if err != nil {
		return err
	}
	for i := range c.Mounts {
		o := &c.Mounts[i].Options
		o.Deny = append(append(o.Deny, c.Deny...), deny...)
		for _, name := range turnovers {
			if cluster, _, _ := strings.Cut(name, "/"); name == AnyCluster || c.Mounts[i].trusts(cluster) {
				o.AllowTurnover = append(o.AllowTurnover, name)
			}
		}
		o.AllowEmpty = o.AllowEmpty || f.Bool("allow-empty")
		for _, cluster := range c.Clusters {
			if len(cluster.Pin) > 0 && (c.Mounts[i].Relay != nil || c.Mounts[i].trusts(cluster.Name)) {
				if o.Pin == nil {
					o.Pin = map[string][]pem.Fingerprint{}
				}
				o.Pin[cluster.Name] = cluster.Pin
			}
		}
	}
	return nil
}

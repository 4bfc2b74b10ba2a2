package main

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// config is what a file or the flags ask for.
type config struct {
	file     string // "" where the flags did
	clusters []clusterConfig
	vaults   []vaultConfig
	mounts   []mountConfig
	deny     []pem.Fingerprint // on every mount
}

// clusterConfig is a cluster block. Just one of the sources is set.
type clusterConfig struct {
	name           string
	address        string   // Nomad agent
	regions        []string // of the agent; none: its own
	jwksURL        string
	jwksFile       string
	oidcIssuer     string
	document       jwks.Source // pem's standard input
	tls            jwks.TLS
	allowPlaintext bool
	pin            []pem.Fingerprint
}

// url returns the address that keys are fetched from, or "" for a file.
func (c clusterConfig) url() string {
	for _, u := range []string{c.address, c.jwksURL, c.oidcIssuer} {
		if u != "" {
			return u
		}
	}
	return ""
}

// vaultConfig is a vault block. The zero value is Vault as the environment describes it.
type vaultConfig struct {
	name       string // its label
	address    string // "" is the environment's
	namespace  string // "" is the environment's, but none in a labelled block with an address
	caCert     string
	caPath     string
	clientCert string
	clientKey  string
	serverName string
	auth       *authConfig // nil: VAULT_TOKEN or the token helper
}

// isolated says whether the environment describes another Vault than this one.
func (v vaultConfig) isolated() bool { return v.name != "" && v.address != "" }

// authConfig is an auth block; what a method doesn't use is "".
type authConfig struct {
	method       string
	mount        string
	role         string
	tokenFile    string
	roleID       string
	secretIDFile string
}

// mountConfig is a mount block.
type mountConfig struct {
	vault     int // in config.vaults
	namespace string
	path      string
	clusters  []string
	options   vaultsync.Options
	setup     vaultsync.Setup // for the command of that name
	at        hcl.Range       // of the block in the file
}

// target is what makes two mounts one: an address (or the label of a block without),
// namespace and path.
func (c *config) target(m mountConfig) [3]string {
	v := c.vaults[m.vault]
	namespace := m.namespace
	if namespace == "" {
		namespace = v.namespace
	}
	return [3]string{v.address, namespace, m.path}
}

// single says whether the flags describe the only cluster and mount.
func (c *config) single() bool { return c.file == "" }

// uses says whether a mount trusts the cluster of that name.
func (c *config) uses(cluster string) bool {
	return slices.ContainsFunc(c.mounts, func(m mountConfig) bool { return slices.Contains(m.clusters, cluster) })
}

// finish fills in what the mounts' options have from elsewhere: the pins of clusters, the
// keys denied everywhere, and what the flags allow.
func (c *config) finish(deny []pem.Fingerprint, turnover []string, allowEmpty bool) {
	for i := range c.mounts {
		o := &c.mounts[i].options
		o.Deny = append(append(o.Deny, c.deny...), deny...)
		o.AllowTurnover = append(o.AllowTurnover, turnover...)
		o.AllowEmpty = o.AllowEmpty || allowEmpty
		for _, cluster := range c.clusters {
			if len(cluster.pin) > 0 {
				if o.Pin == nil {
					o.Pin = map[string][]pem.Fingerprint{}
				}
				o.Pin[cluster.name] = cluster.pin
			}
		}
	}
}

package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/jwksharvest/harvest/internal/text"
)

// What a pod has, where nothing else is said.
const (
	inClusterAddress = "https://kubernetes.default.svc"
	inClusterSecrets = "/var/run/secrets/kubernetes.io/serviceaccount/" //nolint:gosec // a path
	inClusterCA      = inClusterSecrets + "ca.crt"
	inClusterToken   = inClusterSecrets + "token"
)

var kubernetesAttributes = []string{"address", "ca_cert", "tls_server_name", "token_file"}

// kubernetes reads the kubernetes block of a cluster. Without an address it is the cluster that
// harvest runs in, and the CA and the token are those of the pod. With an address they aren't
// assumed: a pod's token isn't for another cluster.
func (r *fileReader) kubernetes(of block, hb *hcl.Block, c *Cluster) {
	b, _ := open(hb.Body, hb.DefRange, &r.diags, kubernetesAttributes)
	for _, elsewhere := range slices.Concat(tlsAttributes, []string{"token_file", "tls_skip_verify", "allow_plaintext"}) {
		switch {
		case !of.has(elsewhere):
		case slices.Contains(kubernetesAttributes, elsewhere):
			of.problem(elsewhere, "%s of a Kubernetes stands in its kubernetes block", elsewhere)
		default:
			of.problem(elsewhere, "%s has no meaning for a Kubernetes; drop it: it is read over TLS that its CA certificate verifies", elsewhere)
		}
	}
	c.Kubernetes, c.TokenFile = b.text("address"), b.text("token_file")
	c.TLS.CACert, c.TLS.ServerName = b.text("ca_cert"), b.text("tls_server_name")
	if c.Kubernetes != "" {
		if err := checkURL(c.Kubernetes, "https"); err != nil {
			b.problem("address", "address: %v", err)
		} else if hasQuery(c.Kubernetes) {
			b.problem("address", "address has a query or a fragment; give that of the API server alone, before the ? or #")
		}
	}
	r.nameTLSFiles(b, c.TLS)
	r.nameCredentials(b)
	if !b.has("address") {
		c.Kubernetes = inClusterAddress
		if !b.has("ca_cert") {
			c.TLS.CACert = inClusterCA
		}
		if !b.has("token_file") {
			c.TokenFile = inClusterToken
		}
	}
}

// maxIssuer is how long an issuer may be.
const maxIssuer = 2048

// checkAuthorized checks the token and the issuer of a cluster.
func (r *fileReader) checkAuthorized(b block, c Cluster) {
	if b.has("token_file") {
		r.nameCredentials(b)
		switch {
		case b.has("address"), b.has("jwks_file"):
			b.problem("token_file", "token_file goes with jwks_url and oidc_issuer, or into a kubernetes block: a Nomad agent's keys need no token")
		case b.has("allow_plaintext"), b.has("tls_skip_verify"):
			b.problem("token_file", "a token is sent over TLS that verifies the server alone; drop allow_plaintext and tls_skip_verify")
		case c.URL() != "" && checkURL(c.URL(), "https") != nil:
			b.problem("token_file", "a token is sent over https alone")
		}
	}
	switch {
	case !b.has("issuer"):
	case b.has("address"), b.has("oidc_issuer"):
		b.problem("issuer", "issuer goes with jwks_url, jwks_file and kubernetes: the others say it themselves")
	case len(c.Issuer) > maxIssuer || !text.IsPrintable(c.Issuer):
		b.problem("issuer", "issuer: want the \"iss\" of the tokens, %d printable bytes at most", maxIssuer)
	}
}

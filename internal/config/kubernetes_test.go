package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/discover"
	"github.com/jwksharvest/harvest/internal/fakekubernetes"
	"github.com/jwksharvest/harvest/jwks"
)

func onMount(cluster string) []byte {
	return []byte(cluster + "mount \"m\" { clusters = [\"k8s\"] }\n")
}

func TestKubernetesInCluster(t *testing.T) {
	r, diags := readConfig("x.hcl", onMount("cluster \"k8s\" {\n  kubernetes {}\n}\n"))
	require.NoError(t, configError(diags))
	c := r.config.Clusters[0]
	assert.Equal(t, "https://kubernetes.default.svc", c.Kubernetes)
	assert.Equal(t, "/var/run/secrets/kubernetes.io/serviceaccount/token", c.TokenFile)
	assert.Equal(t, jwks.TLS{CACert: "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"}, c.TLS)
}

// A pod's token isn't for another cluster.
func TestKubernetesElsewhere(t *testing.T) {
	r, diags := readConfig("x.hcl", onMount("cluster \"k8s\" {\n  kubernetes { address = \"https://k8s.example.com\" }\n}\n"))
	require.NoError(t, configError(diags))
	c := r.config.Clusters[0]
	assert.Empty(t, c.TokenFile)
	assert.Equal(t, jwks.TLS{}, c.TLS)
	assert.Equal(t, "https://k8s.example.com", c.URL())
}

func TestKubernetesMistakes(t *testing.T) {
	for src, want := range map[string]string{
		`kubernetes { address = "http://x" }`:                                    "address: plain http",
		"kubernetes {}\nkubernetes {}":                                           "two kubernetes blocks",
		"kubernetes {}\naddress = \"https://x\"":                                 "more than one source",
		"kubernetes {}\nallow_plaintext = true":                                  "allow_plaintext has no meaning for a Kubernetes",
		"kubernetes {}\ntls_skip_verify = true\nallow_plaintext = true":          "tls_skip_verify has no meaning",
		"kubernetes {}\nca_cert = \"x\"":                                         "ca_cert of a Kubernetes stands in its kubernetes block",
		"kubernetes {}\nregions = [\"x\"]":                                       "regions are a Nomad agent's",
		`kubernetes "x" {}`:                                                      "kubernetes",
		"kubernetes { namespace = \"x\" }":                                       "Unsupported argument",
		"address = \"https://x\"\ntoken_file = \"t\"":                            "token_file goes with jwks_url",
		"jwks_file = \"f\"\ntoken_file = \"t\"":                                  "token_file goes with jwks_url",
		"jwks_url = \"http://127.0.0.1/x\"\ntoken_file = \"t\"":                  "over https alone",
		"jwks_url = \"https://x/x\"\ntoken_file = \"t\"\nallow_plaintext = true": "drop allow_plaintext",
		"address = \"https://x\"\nissuer = \"i\"":                                "issuer goes with jwks_url",
		"oidc_issuer = \"https://x\"\nissuer = \"i\"":                            "issuer goes with jwks_url",
		"jwks_file = \"f\"\nissuer = \"a\\nb\"":                                  "issuer: want the",
	} {
		_, diags := readConfig("x.hcl", onMount("cluster \"k8s\" {\n"+src+"\n}\n"))
		require.Error(t, configError(diags), src)
		assert.Contains(t, configError(diags).Error(), want, src)
	}
}

// What the file says of a cluster is what is asked of an API server.
func TestKubernetesIsRead(t *testing.T) {
	s := fakekubernetes.New(t)
	token := s.Issue("", time.Hour)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
	for issuer, want := range map[string]string{"": fakekubernetes.Audience, "issuer = \"https://own.example.com\"\n": "https://own.example.com"} {
		src := onMount("cluster \"k8s\" {\n" + issuer + "  kubernetes {\n    address = \"" + s.URL + "\"\n    ca_cert = \"" + s.CAFile(t) + "\"\n    token_file = \"" + file + "\"\n  }\n}\n")
		assert.Empty(t, Check(t.Context(), "x.hcl", src, Checking{Getenv: os.Getenv, Now: time.Now()}).Errors)
		r, diags := readConfig("x.hcl", src)
		require.NoError(t, configError(diags))
		assert.Contains(t, r.config.CredentialFiles(os.Getenv), file)
		for _, lenient := range []bool{false, true} {
			c := r.config.Clusters[0].Open(Reading{Lenient: lenient})
			set, err := c.Sources[0].Fetch(t.Context())
			require.NoError(t, err)
			assert.Len(t, set.Keys, 1)
			found := discover.All(t.Context(), []jwks.Cluster{c})
			require.Len(t, found, 1)
			assert.Equal(t, want, found[0].Metadata.Issuer)
		}
	}
}

// A bound_issuer that isn't the one that the file names would refuse every login.
func TestIssuerIsHeldAgainstBoundIssuer(t *testing.T) {
	src := "cluster \"a\" {\n  jwks_url = \"https://x/keys\"\n  issuer = \"https://issuer\"\n}\nmount \"m\" {\n  clusters = [\"a\"]\n  bound_issuer = \"https://other\"\n}\n"
	v := Check(t.Context(), "x.hcl", []byte(src), Checking{SkipFiles: true})
	require.Len(t, v.Errors, 1)
	assert.Contains(t, v.Errors[0].Message, `the tokens of a name "https://issuer"`)
}

package hint_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/hint"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// TestOf: each hint names the flag, or the line of the file where there is one.
func TestOf(t *testing.T) {
	of := func(err error) error { return &jwks.ClusterError{Cluster: "us-east", Region: "one", Err: err} }
	for name, test := range map[string]struct {
		err         error
		flag, block string
	}{
		"turnover": {
			&vaultsync.TurnoverError{Owner: pem.Owner{Cluster: "us-east", Region: "one"}, Trusted: []pem.Fingerprint{{1}}},
			"harvest sync -mount m -allow-turnover=us-east/one", "harvest sync -mount m -allow-turnover=us-east/one",
		},
		"not read":    {of(vaultsync.ErrNotRead), "harvest sync -mount m -retired us-east/one", "in its mount block in c.hcl:\n  retired = [\"us-east/one\"]"},
		"static keys": {vaultsync.ErrNotStaticKeys, "harvest sync -mount m -convert", "in its mount block in c.hcl:\n  convert = true"},
		"last key":    {vaultsync.ErrLastKey, "harvest sync -mount m -allow-empty", "harvest sync -mount m -allow-empty"},
		"plaintext":   {of(jwks.ErrPlaintext), "harvest sync -mount m -allow-plaintext", "in its cluster block in c.hcl:\n  allow_plaintext = true"},
		"unknown CA":  {of(x509.UnknownAuthorityError{}), "harvest sync -mount m -nomad-ca-cert FILE", "in its cluster block in c.hcl:\n  ca_cert = \"FILE\""},
		"region":      {of(errors.New("500: No path to region")), "harvest sync -mount m -region=", ""},
		"timeout":     {context.DeadlineExceeded, "-timeout 1m0s", "-timeout 1m0s"},
		"other":       {errors.New("other"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			call := hint.Call{
				Args: []string{"/usr/bin/harvest", "sync", "-mount", "m"}, Timeout: time.Minute, Getenv: func(string) string { return "eu" },
			}
			for file, want := range map[string]string{"": test.flag, "c.hcl": test.block} {
				call.File = file
				got := call.Of(test.err, true)
				assert.Contains(t, got, want)
				assert.Equal(t, want == "", got == "", got)
			}
		})
	}
	assert.Empty(t, hint.Call{}.Of(vaultsync.ErrNotStaticKeys, false))
}

// TestAgain: what status found is for plan to show, and what a watch may not do is for one sync.
func TestAgain(t *testing.T) {
	for want, args := range map[string][]string{
		"harvest plan -config c.hcl -x":           {"harvest", "status", "-config", "c.hcl"},
		"harvest sync -config 'my file' -x":       {"harvest", "watch", "-listen", ":8300", "-config", "my file", "--resync=1m"},
		"harvest sync -config=c.hcl -listen y -x": {"harvest", "sync", "-config=c.hcl", "-listen", "y"},
		"harvest -x": nil,
	} {
		assert.Equal(t, want, hint.Call{Args: args}.Again("-x"))
	}
}

// TestGivenCA: where a CA certificate was given, the error says that it is another's, and no hint
// offers the flag again.
func TestGivenCA(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	for _, test := range []struct {
		roots *x509.CertPool
		want  string
	}{{nil, "-nomad-ca-cert FILE"}, {x509.NewCertPool(), ""}} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: test.roots, MinVersion: tls.VersionTLS12}}}
		_, err := (&jwks.Client{HTTPClient: client}).Fetch(t.Context(), server.URL)
		client.CloseIdleConnections()
		require.ErrorAs(t, err, new(x509.UnknownAuthorityError))
		got := hint.Call{Args: []string{"harvest", "sync"}}.Of(&jwks.ClusterError{Cluster: "us-east", Err: err}, true)
		assert.Contains(t, got, test.want)
		assert.Equal(t, test.want == "", got == "", got)
	}
}

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
	"github.com/jwksharvest/harvest/internal/nethint"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// TestOf: each hint names the flag, or the line of the file where there is one.
func TestOf(t *testing.T) {
	of := func(err error) error { return &jwks.ClusterError{Cluster: "us-east", Region: "one", Err: err} }
	for name, test := range map[string]struct {
		err         error
		flag, block string
	}{
		"turnover": {
			&plan.TurnoverError{Owner: pem.Owner{Cluster: "us-east", Region: "one"}, Trusted: []pem.Fingerprint{{1}}},
			"harvest sync -mount m -allow-turnover=us-east/one", "harvest sync -mount m -allow-turnover=us-east/one",
		},
		"not read":    {of(plan.ErrNotRead), "harvest sync -mount m -retired us-east/one", "in its mount block in c.hcl:\n  retired = [\"us-east/one\"]"},
		"static keys": {vaultsync.ErrNotStaticKeys, "harvest sync -mount m -convert", "in its mount block in c.hcl:\n  convert = true\nTake it out again after that sync."},
		"foreign":     {&plan.RoomError{MaxSize: 9, Foreign: 5, Bytes: 2}, "harvest sync -mount m -foreign remove", "in its mount block in c.hcl:\n  foreign = \"remove\""},
		"people's":    {vaultsync.ErrUnreadableFields, "`harvest setup` makes", "`harvest setup` makes"},
		"algorithm":   {&vaultsync.AlgorithmError{Mends: []string{"EdDSA", "RS256"}}, "-jwt-supported-algs EdDSA,RS256", "jwt_supported_algs = [\"EdDSA\", \"RS256\"]"},
		"last key":    {plan.ErrLastKey, "harvest sync -mount m -allow-empty", "harvest sync -mount m -allow-empty"},
		"plaintext":   {of(jwks.ErrPlaintext), "harvest sync -mount m -allow-plaintext", "in its cluster block in c.hcl:\n  allow_plaintext = true"},
		"unknown CA":  {of(x509.UnknownAuthorityError{}), "harvest sync -mount m -nomad-ca-cert FILE", "in its cluster block in c.hcl:\n  ca_cert = \"FILE\""},
		"region":      {of(&jwks.StatusError{StatusCode: 500, Body: "No path to region"}), "harvest sync -mount m -region=", ""},
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

// TestOfVault: what can't be reached is named by the variable, or by the line of the file.
func TestOfVault(t *testing.T) {
	unreachable := new(vaultapi.UnreachableError)
	for name, test := range map[string]struct {
		vault       string
		err         error
		variable    string // VAULT_ADDR
		flag, block string
	}{
		"unknown CA": {"https://v:8200", x509.UnknownAuthorityError{}, "https://v:8200",
			"Name the CA's certificate:\n  export VAULT_CACERT=FILE", "Name the CA's certificate, in its vault block in c.hcl:\n  ca_cert = \"FILE\""},
		"no VAULT_ADDR": {"https://127.0.0.1:8200", unreachable, "",
			"VAULT_ADDR isn't set, and this is what Vault's clients ask then. Name Vault's address:\n  export VAULT_ADDR=https://vault.example.com:8200",
			"VAULT_ADDR isn't set, and this is what Vault's clients ask then. Name Vault's address, in its vault block in c.hcl:\n  address = \"https://vault.example.com:8200\""},
		"named, and away": {"https://127.0.0.1:8200", unreachable, "https://127.0.0.1:8200", "", ""},
		"http to https": {"http://v:8200", &vaultapi.UnreachableError{Cause: nethint.NotPlain}, "http://v:8200",
			"Change Vault's address:\n  export VAULT_ADDR=https://v:8200", "Change Vault's address, in its vault block in c.hcl:\n  address = \"https://v:8200\""},
		"https to http": {"https://localhost:8200", &vaultapi.UnreachableError{Cause: nethint.NotTLS}, "https://localhost:8200",
			"If it is a Vault of this machine without TLS, such as one in -dev mode, change its address:\n  export VAULT_ADDR=http://localhost:8200",
			"If it is a Vault of this machine without TLS, such as one in -dev mode, change its address, in its vault block in c.hcl:\n  address = \"http://localhost:8200\""},
		"https to http elsewhere": {"https://v:8200", &vaultapi.UnreachableError{Cause: nethint.NotTLS}, "https://v:8200", "", ""},
		"no update":               {"https://v:8200", &vaultapi.ForbiddenError{Path: "auth/m/config"}, "", hint.Policy, hint.Policy},
		"no update elsewhere":     {"https://v:8200", &vaultapi.ForbiddenError{Path: "auth/m/role/r"}, "", "", ""},
		"sealed":                  {"https://v:8200", vaultsync.ErrSealed, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			call := hint.Call{Getenv: func(name string) string { return map[string]string{"VAULT_ADDR": test.variable}[name] }}
			err := &vaultsync.MountError{MountID: vaultsync.MountID{Vault: test.vault, Path: "m"}, Err: test.err}
			for file, want := range map[string]string{"": test.flag, "c.hcl": test.block} {
				call.File = file
				assert.Equal(t, want, call.Of(err, true))
			}
		})
	}
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
		_, err := jwks.URL(server.URL, &jwks.Client{HTTPClient: client}).Fetch(t.Context())
		client.CloseIdleConnections()
		require.ErrorAs(t, err, new(x509.UnknownAuthorityError))
		got := hint.Call{Args: []string{"harvest", "sync"}}.Of(&jwks.ClusterError{Cluster: "us-east", Err: err}, true)
		assert.Contains(t, got, test.want)
		assert.Equal(t, test.want == "", got == "", got)
	}
}

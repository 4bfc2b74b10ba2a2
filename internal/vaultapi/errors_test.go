package vaultapi

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestErrorText(t *testing.T) {
	client, err := api.NewClient(nil)
	require.NoError(t, err)
	s := &Session{API: client, Path: "m"}
	err = s.Explain(&api.ResponseError{StatusCode: 500, Errors: []string{strings.Repeat("x", 9999)}}, "auth/m/config", "read")
	assert.Less(t, len(err.Error()), 400)
	assert.True(t, Transient(errors.New("connection reset")))
}

// Each refusal has one cure, and nothing that Go made of a list is left in it.
func TestExplain(t *testing.T) {
	const path = "auth/jwt-nomad/config"
	client, err := api.NewClient(nil)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		status    int
		said      string
		namespace string
		want      string
	}{
		"an expired token": {403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", "",
			"permission denied: Vault knows no such token: it expired, was revoked, or is another Vault's"},
		"a missing policy": {403, "1 error occurred:\n\t* permission denied\n\n", "",
			`permission denied: the token lacks "read" on auth/jwt-nomad/config, or there is no such mount (` + "`harvest policy` prints the policy; before 1.17, Vault says the same of a token that has expired)"},
		"a missing policy in a namespace": {403, "permission denied", "team-a",
			`permission denied: the token lacks "read" on auth/jwt-nomad/config in namespace team-a, or there is no such mount (` + "`harvest policy` prints the policy; before 1.17, Vault says the same of a token that has expired)"},
		"another refusal": {403, "1 error occurred:\n\t* denied by a Sentinel policy\n\n", "",
			`permission denied: Vault refuses "read" on auth/jwt-nomad/config: denied by a Sentinel policy`},
		"no mount in the namespace": {404, "no handler for route \"auth/jwt-nomad/config\". route entry not found.", "team-a",
			"no JWT auth method at this path: create it with `vault auth enable -namespace=team-a -path=jwt-nomad jwt`"},
		"http to https": {400, "Client sent an HTTP request to an HTTPS server.\n", "",
			"Vault can't be reached: it wants TLS on this port (use https://)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Session{API: client, Namespace: test.namespace, Path: "jwt-nomad"}
			err := s.Explain(&api.ResponseError{StatusCode: test.status, Errors: []string{test.said}}, path, "read")
			assert.EqualError(t, err, test.want)
		})
	}
}

// A request without an answer has what to do in its error, and not the URL, which its mount names.
func TestUnreachable(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for name, test := range map[string]struct{ address, want string }{
		"nobody there":  {"http://127.0.0.1:1", "Vault can't be reached: dial tcp 127.0.0.1:1: connect: connection refused (nothing listens there: look at the address and the port)"},
		"unknown CA":    {server.URL, "Vault can't be reached: tls: failed to verify certificate: x509: certificate signed by unknown authority (give the CA certificate that signed the server's)"},
		"https to http": {"https" + strings.TrimPrefix(plain.URL, "http"), "Vault can't be reached: http: server gave HTTP response to HTTPS client (the server doesn't speak TLS on this port)"},
	} {
		t.Run(name, func(t *testing.T) {
			config := api.DefaultConfig()
			config.Address, config.MaxRetries = test.address, 0
			client, err := api.NewClient(config)
			require.NoError(t, err)
			s := &Session{API: client, Path: "jwt-nomad"}
			_, err = s.Lookup(t.Context(), "auth/jwt-nomad/config")
			assert.EqualError(t, err, test.want)
		})
	}
}

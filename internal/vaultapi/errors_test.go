package vaultapi

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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
	client.SetToken("root-token-canary")
	for name, test := range map[string]struct {
		status    int
		said      string
		namespace string
		want      string
	}{
		"an expired token": {403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", "",
			"permission denied: Vault knows no such token: it expired, was revoked, or is another Vault's"},
		"a missing policy": {403, "1 error occurred:\n\t* permission denied\n\n", "",
			`permission denied: the token lacks "read" on auth/jwt-nomad/config, or there is no such mount (before 1.17, Vault says the same of a token that has expired)`},
		"a missing policy in a namespace": {403, "permission denied", "team-a",
			`permission denied: the token lacks "read" on auth/jwt-nomad/config in namespace team-a, or there is no such mount (before 1.17, Vault says the same of a token that has expired)`},
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

// answering returns a session with something that gives one answer.
func answering(t *testing.T, namespace string, status int, body string) *Session {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	client, err := api.NewClient(&api.Config{Address: server.URL})
	require.NoError(t, err)
	client.SetToken("root-token-canary")
	return &Session{API: client, Namespace: namespace, Path: "m"}
}

// A 403 is Vault's where it is in Vault's form. A firewall's says nothing of the token.
func TestForbiddenByWhom(t *testing.T) {
	for body, vaults := range map[string]bool{
		`{"errors":["permission denied"]}`:                            true,
		`{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`: true,
		`<html><title>403 Forbidden</title> root-token-canary</html>`: false,
		`{"message":"Forbidden"}`:                                     false,
		`{"errors":null}`:                                             false,
		`{"errors":"blocked"}`:                                        false,
		``:                                                            false,
	} {
		s := answering(t, "", http.StatusForbidden, body)
		_, err := s.Lookup(t.Context(), "auth/m/config")
		require.Error(t, err)
		assert.Equal(t, vaults, IsForbidden(err), body)
		assert.Equal(t, vaults, errors.Is(err, ErrForbidden), body)
		assert.Equal(t, !vaults, strings.Contains(err.Error(), "isn't Vault's"), body)
		assert.NotContains(t, err.Error(), "canary")
	}
}

// Where no token was sent, none lacks anything.
func TestForbiddenWithoutAToken(t *testing.T) {
	s := answering(t, "", http.StatusForbidden, `{"errors":["permission denied"]}`)
	s.API.ClearToken()
	_, err := s.Lookup(t.Context(), "auth/jwt-nomad/config")
	require.ErrorIs(t, err, ErrForbidden)
	require.ErrorContains(t, err, `no token was sent, and nothing on the way adds one that has "read" on auth/jwt-nomad/config`)
	assert.NotContains(t, err.Error(), "the token lacks")
}

// A server that doesn't speak TLS is asked once: it won't a second later.
func TestPlaintextServerIsAskedOnce(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	cfg := api.DefaultConfig()
	cfg.Address = strings.Replace(server.URL, "http:", "https:", 1)
	c, err := api.NewClient(cfg)
	require.NoError(t, err)
	clone, err := Clone(c, "")
	require.NoError(t, err)
	_, err = (&Session{API: clone, Path: "jwt-nomad"}).Lookup(t.Context(), "auth/jwt-nomad/config")
	require.ErrorContains(t, err, "the server doesn't speak TLS on this port")
	assert.EqualValues(t, 1, connections.Load())
}

// A namespace is named where the answer may be another one's.
func TestForbiddenNamesNamespace(t *testing.T) {
	s := answering(t, "team-a", http.StatusForbidden, `{"errors":["permission denied"]}`)
	_, err := s.Lookup(t.Context(), "auth/m/config")
	require.ErrorContains(t, err, `"read" on auth/m/config in namespace team-a`)
}

// Behind an agent it is told who can't be reached.
func TestAgentCannotReachVault(t *testing.T) {
	s := answering(t, "", http.StatusInternalServerError, `{"errors":["failed to get the response: dial tcp: connection refused"]}`)
	s.API.SetMaxRetries(0)
	_, err := s.Lookup(t.Context(), "auth/m/config")
	require.ErrorContains(t, err, "the Vault Agent or Vault Proxy at this address can't reach Vault")
	assert.True(t, Transient(err))
}

// An answer that is wrapped is none: Vault has done nothing yet.
func TestControlGroup(t *testing.T) {
	const wrapped = `{"request_id":"x","data":null,"wrap_info":{"token":"hvs.CAESIcanarycanarycanary","accessor":"a","ttl":86400,
		"creation_time":"2026-11-22T12:00:00Z","creation_path":"auth/m/config"}}`
	s := answering(t, "", http.StatusOK, wrapped)
	_, read := s.Lookup(t.Context(), "auth/m/config")
	_, list := s.List(t.Context(), "auth/m/role")
	write := s.Write(t.Context(), "auth/m/config", map[string]any{"a": "b"})
	for _, err := range []error{read, list, write} {
		require.ErrorIs(t, err, ErrHeld)
		assert.Contains(t, err.Error(), "control group")
		assert.NotContains(t, err.Error(), "canary")
		assert.False(t, Transient(err))
	}
}

package vaultsync

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
)

// TestKindOfTLS: a certificate of an unknown CA, and one that has expired, or isn't valid yet,
// because a clock was set; of a cluster and of Vault.
func TestKindOfTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for name, config := range map[string]*tls.Config{
		"unknown CA":    {MinVersion: tls.VersionTLS12},
		"expired":       {MinVersion: tls.VersionTLS12, RootCAs: roots, Time: func() time.Time { return time.Now().AddDate(200, 0, 0) }},
		"not yet valid": {MinVersion: tls.VersionTLS12, RootCAs: roots, Time: func() time.Time { return time.Now().AddDate(-80, 0, 0) }},
	} {
		t.Run(name, func(t *testing.T) {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
			_, err := jwks.Nomad{Address: s.URL, Client: &jwks.Client{HTTPClient: client}}.Fetch(t.Context())
			require.Error(t, err)
			assert.Equal(t, "tls", Kind(err), err)
			if name != "unknown CA" {
				assert.ErrorContains(t, err, "look at this machine's clock")
			}
			vault := api.DefaultConfig()
			vault.Address, vault.HttpClient, vault.MaxRetries = s.URL, client, 0
			c, err := api.NewClient(vault)
			require.NoError(t, err)
			_, err = NewMount(c, "jwt-nomad").Read(t.Context())
			assert.Equal(t, "tls", Kind(err), err)
		})
	}
}

// TestKindOfBrokenHeader: an answer that breaks off in the middle of its header.
func TestKindOfBrokenHeader(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Ty"))
			_ = conn.Close()
		}
	}))
	defer s.Close()
	_, err := jwks.Nomad{Address: s.URL}.Fetch(t.Context())
	require.Error(t, err)
	assert.Equal(t, "unreachable", Kind(err), err)
	vault := api.DefaultConfig()
	vault.Address, vault.MaxRetries = s.URL, 0
	c, err := api.NewClient(vault)
	require.NoError(t, err)
	_, err = NewMount(c, "jwt-nomad").Read(t.Context())
	assert.Equal(t, "unreachable", Kind(err), err)
}

// TestKindOfACertificateThatCannotBeRead: crypto/tls has no type for it.
func TestKindOfACertificateThatCannotBeRead(t *testing.T) {
	assert.Equal(t, "tls", Kind(errors.New("tls: failed to parse certificate from server: x509: negative serial number")))
	assert.Equal(t, "other", Kind(errors.New("something else")))
}

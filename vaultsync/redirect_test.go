package vaultsync

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// net/http follows ten redirects for a client that says nothing of them, also down to http,
// and takes Vault's token along: only vault/api's own client leaves them to vault/api.
func TestTokenAcrossRedirects(t *testing.T) {
	var tokens atomic.Int64
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") != "" {
			tokens.Add(1)
		}
		_, _ = w.Write([]byte(`{"data": {"default_role": "x"}}`))
	}))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusTemporaryRedirect))
	defer secure.Close()
	own := secure.Client()
	c, err := api.NewClient(&api.Config{Address: secure.URL, HttpClient: own})
	require.NoError(t, err)
	c.SetToken("canary")
	_, err = NewMount(c, "jwt-nomad").Read(t.Context())
	assert.Zero(t, tokens.Load(), "the token went out in plain text")
	require.ErrorContains(t, err, "redirect would cause protocol downgrade")
	assert.Nil(t, own.CheckRedirect, "a caller's client isn't changed")
}

// A caller whose client follows no redirects has a reason.
func TestStricterRedirectRule(t *testing.T) {
	var tokens atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens.Add(1)
		_, _ = w.Write([]byte(`{"data": {"default_role": "x"}}`))
	}))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer first.Close()
	own := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("no redirects here") }}
	c, err := api.NewClient(&api.Config{Address: first.URL, HttpClient: own, MaxRetries: -1})
	require.NoError(t, err)
	c.SetToken("canary")
	_, err = NewMount(c, "jwt-nomad").Read(t.Context())
	require.ErrorContains(t, err, "no redirects here")
	assert.Zero(t, tokens.Load())
}

package vaultsync

import (
	"cmp"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/jwtrole"
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

// plainClient is a client as a program makes it that says nothing of redirects.
func plainClient(t *testing.T, address string) *api.Client {
	t.Helper()
	c, err := api.NewClient(&api.Config{Address: address, HttpClient: &http.Client{}, MaxRetries: -1})
	require.NoError(t, err)
	c.ClearNamespace()
	c.SetToken(fakevault.RootToken)
	return c
}

// A standby asks the active node for the same. What asks another host for something else is
// something else, and gets no token; net/http would hand it over.
func TestTokenToAnotherHost(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		path   string // "": that of the request
		says   string // "": it is followed
	}{
		"the same path":           {status: http.StatusTemporaryRedirect},
		"the same path, 301":      {status: http.StatusMovedPermanently},
		"a login page":            {http.StatusFound, "/login", "status 302, a redirect to %s for another path: that is no standby of Vault"},
		"a login page of Vault's": {http.StatusTemporaryRedirect, "/v1/auth/oidc/login", "for another path"},
		"the end of the path":     {http.StatusTemporaryRedirect, "/config", "for another path"},
		"the root":                {http.StatusTemporaryRedirect, "/", "for another path"},
		"308":                     {http.StatusPermanentRedirect, "", "status 308, a redirect to %s, which isn't followed"},
		"303":                     {http.StatusSeeOther, "", "isn't followed"},
	} {
		t.Run(name, func(t *testing.T) {
			standby, other := fakevault.New(t), fakevault.New(t)
			other.Enable("", "jwt-nomad", "jwt")
			standby.Inject(func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
				http.Redirect(w, r, other.URL+cmp.Or(test.path, r.URL.Path), test.status)
			})
			_, err := NewMount(plainClient(t, standby.URL), "jwt-nomad").Read(t.Context())
			if test.says == "" {
				require.NoError(t, err)
				assert.Len(t, other.Requests(), 1)
				return
			}
			require.ErrorContains(t, err, strings.ReplaceAll(test.says, "%s", strings.TrimPrefix(other.URL, "http://")))
			assert.Empty(t, other.Requests(), "the token stays here")
		})
	}
}

// An upgrade to https is no reason to hand the token to anyone who asks.
func TestTokenToAnotherHostByTLS(t *testing.T) {
	other := fakevault.NewInProcess()
	other.ListenTLS()
	t.Cleanup(other.Close)
	first := fakevault.New(t)
	first.Inject(func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		http.Redirect(w, r, other.URL+"/login", http.StatusFound)
	})
	c, err := api.NewClient(&api.Config{Address: first.URL, HttpClient: other.Server.Client(), MaxRetries: -1})
	require.NoError(t, err)
	c.SetToken(fakevault.RootToken)
	_, err = NewMount(c, "jwt-nomad").Read(t.Context())
	require.ErrorContains(t, err, "for another path")
	assert.Empty(t, other.Requests())
}

// A proxy may cut the path before a standby sees it; Vault redirects to what it saw.
func TestRedirectBehindProxy(t *testing.T) {
	active := fakevault.New(t)
	active.Enable("", "jwt-nomad", "jwt")
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, active.URL+strings.TrimPrefix(r.URL.Path, "/vault"), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(proxy.Close)
	_, err := NewMount(plainClient(t, proxy.URL+"/vault"), "jwt-nomad").Read(t.Context())
	require.NoError(t, err)
	assert.Len(t, active.Requests(), 1)
}

// VAULT_DISABLE_REDIRECTS is for who wants none: of vault/api's clones, which a mount is, none
// has it from their original.
func TestRedirectsDisabled(t *testing.T) {
	t.Setenv(api.EnvVaultDisableRedirects, "true")
	for name, client := range map[string]func(*testing.T, *fakevault.Server) *Mount{
		"of the environment":         throughHTTP,
		"with an http.Client of one": func(t *testing.T, s *fakevault.Server) *Mount { return NewMount(plainClient(t, s.URL), "jwt-nomad") },
	} {
		t.Run(name, func(t *testing.T) {
			standby, active := fakevault.New(t), fakevault.New(t)
			active.Enable("", "jwt-nomad", "jwt")
			standby.Inject(toActive(active.URL))
			m := client(t, standby)
			_, err := m.Sync(t.Context(), desired(publish("a", "k1")), Options{})
			require.ErrorContains(t, err, "VAULT_DISABLE_REDIRECTS is set: address the active node")
			s, err := m.Session()
			require.NoError(t, err)
			_, err = jwtrole.ReadAll(t.Context(), s)
			require.ErrorContains(t, err, "VAULT_DISABLE_REDIRECTS is set")
			assert.Empty(t, active.Requests())
		})
	}
}

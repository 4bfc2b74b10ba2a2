package jwks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/text"
)

func TestNomadDiscover(t *testing.T) {
	const good = `{"issuer": "https://nomad.example.com", "jwks_uri": "https://elsewhere.example.com/keys",
		"id_token_signing_alg_values_supported": ["RS256", "EdDSA", "RS256"]}`
	tests := map[string]struct {
		document string // "": 404
		want     Metadata
		message  string
	}{
		"oidc_issuer is set":     {good, Metadata{Issuer: "https://nomad.example.com", Algorithms: []string{"EdDSA", "RS256"}}, ""},
		"oidc_issuer isn't set":  {"", Metadata{}, ""},
		"no algorithms":          {`{"issuer": "x"}`, Metadata{Issuer: "x"}, ""},
		"no issuer":              {`{"jwks_uri": "x"}`, Metadata{}, "names no issuer"},
		"a long issuer":          {fmt.Sprintf(`{"issuer": %q}`, strings.Repeat("x", 2049)), Metadata{}, "2049 bytes"},
		"the longest issuer":     {fmt.Sprintf(`{"issuer": %q}`, strings.Repeat("x", 2048)), Metadata{Issuer: strings.Repeat("x", 2048)}, ""},
		"an issuer of two lines": {`{"issuer": "a\nb"}`, Metadata{}, "can't be shown"},
		"an issuer, then ESC":    {`{"issuer": "a\u001b[2J"}`, Metadata{}, "can't be shown"},
		"issuer twice":           {`{"issuer": "a", "issuer": "b"}`, Metadata{}, "duplicate key"},
		"access tokens":          {`{"issuer": "a", "access_token_issuer": "b"}`, Metadata{Issuer: "a", AccessTokenIssuer: "b"}, ""},
		"access tokens, null":    {`{"issuer": "a", "access_token_issuer": null}`, Metadata{Issuer: "a"}, ""},
		"access tokens, 5":       {`{"issuer": "a", "access_token_issuer": 5}`, Metadata{}, "access_token_issuer is no text"},
		"access tokens, long":    {fmt.Sprintf(`{"issuer": "a", "access_token_issuer": %q}`, strings.Repeat("x", 2049)), Metadata{}, "2049 bytes"},
		"access tokens, then BS": {`{"issuer": "a", "access_token_issuer": "b\b"}`, Metadata{}, "can't be shown"},
		"many algorithms":        {`{"issuer": "a", "id_token_signing_alg_values_supported": [` + manyNames(65) + `]}`, Metadata{}, "65 algorithms"},
		"no algorithm's name":    {`{"issuer": "a", "id_token_signing_alg_values_supported": ["\u0007"]}`, Metadata{}, "name of no algorithm"},
		"algorithms as a text":   {`{"issuer": "a", "id_token_signing_alg_values_supported": "RS256"}`, Metadata{}, "no list of names"},
		"algorithms as null":     {`{"issuer": "a", "id_token_signing_alg_values_supported": null}`, Metadata{Issuer: "a"}, ""},
		"html":                   {"<html>", Metadata{}, "HTML"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "/.well-known/openid-configuration?region=us-east", r.RequestURI)
				if test.document == "" {
					http.Error(w, "OIDC Discovery endpoint disabled", http.StatusNotFound)
					return
				}
				serve(test.document)(w, r)
			})
			found, err := Nomad{Address: server.URL, Region: "us-east"}.Discover(t.Context())
			test.want.Nomad = true
			if test.message == "" {
				test.want.Region = "us-east"
			}
			assert.Equal(t, test.want, found)
			if test.message == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.message)
			assert.True(t, text.IsPrintable(err.Error()))
		})
	}
}

// manyNames returns a JSON list of so many names, without its brackets.
func manyNames(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf(`"A%d"`, i))
	}
	return strings.Join(names, ",")
}

// An agent's own region among several is the one that has its keys.
func TestDiscoverOwnRegion(t *testing.T) {
	name := func(address string) string {
		found, err := Nomad{Address: address}.Discover(t.Context())
		require.NoError(t, err)
		return found.Region
	}
	agent := fakenomad.New(t, "eu", "ap", "us")
	assert.Equal(t, "eu", name(agent.URL))

	other := agent.Region("us").Active()
	agent.Region("us").Add(agent.Region("eu").Active())
	assert.Equal(t, "eu", name(agent.URL), "another region has a key more")
	agent.Region("eu").Add(other)
	assert.Empty(t, name(agent.URL), "two with the same keys can't be told apart")
	agent.Inject(func(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
		if r.URL.Query().Get("region") == "us" {
			http.Error(w, "No path to region", http.StatusInternalServerError)
			return
		}
		next(w, r)
	})
	assert.Equal(t, "eu", name(agent.URL), "a region that can't be asked isn't the agent's own")
	agent.Region("eu").Clear()
	assert.Empty(t, name(agent.URL), "no keys, nothing to compare")

	many := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/regions":
			serve("["+manyNames(65)+"]")(w, r)
		case "/.well-known/jwks.json":
			t.Error("so many regions aren't asked for their keys")
		default:
			http.NotFound(w, r)
		}
	})
	assert.Empty(t, name(many.URL))
}

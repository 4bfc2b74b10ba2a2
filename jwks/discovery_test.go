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

func TestDiscoverAll(t *testing.T) {
	mux := http.NewServeMux()
	var base string
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("region") {
		case "down":
			http.Error(w, "No path to region", http.StatusInternalServerError)
		case "bare":
			http.NotFound(w, r)
		default:
			serve(fmt.Sprintf(`{"issuer": %q, "jwks_uri": %q}`, base, base+"/keys"))(w, r)
		}
	})
	regions := `["bare", "down", "eu"]`
	mux.HandleFunc("/v1/regions", func(w http.ResponseWriter, r *http.Request) { serve(regions)(w, r) })
	base = newServer(t, mux.ServeHTTP).URL
	agent := Nomad{Address: base}

	found := DiscoverAll(t.Context(), []Cluster{
		{Name: "all", Federation: &agent},
		{Name: "own", Sources: []Source{&agent}},
		{Name: "oidc", Sources: []Source{Issuer{Issuer: base}}},
		{Name: "file", Sources: []Source{File("keys.json"), URL{Address: base + "/keys"}}},
	})
	require.Len(t, found, 5)
	for i, want := range []Discovery{
		{Cluster: "all", Region: "bare", Nomad: true, RegionName: "bare"},
		{Cluster: "all", Region: "down", Nomad: true, RegionName: "down"},
		{Cluster: "all", Region: "eu", Nomad: true, RegionName: "eu", Metadata: Metadata{Issuer: base}},
		{Cluster: "own", Nomad: true, Metadata: Metadata{Issuer: base}}, // one of three regions
		{Cluster: "oidc", Metadata: Metadata{Issuer: base}},
	} {
		got := found[i]
		if want.Region == "down" {
			var cluster *ClusterError
			require.ErrorAs(t, got.Err, &cluster)
			assert.Equal(t, "down", cluster.Region)
			got.Err = nil
		} else {
			want.Metadata.Nomad, want.Metadata.Region = want.Nomad, want.RegionName
		}
		assert.Equal(t, want, got)
	}

	regions = `["global"]`
	found = DiscoverAll(t.Context(), []Cluster{{Name: "own", Sources: []Source{agent}}})
	require.Len(t, found, 1)
	assert.Equal(t, "global", found[0].RegionName, "the agent's own region has a name where it is the only one")

	regions = `{}`
	found = DiscoverAll(t.Context(), []Cluster{{Name: "all", Federation: &agent}})
	require.Len(t, found, 1)
	assert.Equal(t, "*", found[0].Region)
	require.ErrorContains(t, found[0].Err, "not a list of regions")
}

// An agent's own region among several is the one that has its keys.
func TestDiscoverOwnRegion(t *testing.T) {
	name := func(address string) string {
		found := DiscoverAll(t.Context(), []Cluster{{Name: "own", Sources: []Source{Nomad{Address: address}}}})
		require.Len(t, found, 1)
		require.NoError(t, found[0].Err)
		assert.Empty(t, found[0].Region, "its keys stay those of the region without a name")
		return found[0].RegionName
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

package discover

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
)

func TestAll(t *testing.T) {
	mux := http.NewServeMux()
	var base string
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("region") {
		case "down":
			http.Error(w, "No path to region", http.StatusInternalServerError)
		case "bare":
			http.NotFound(w, r)
		default:
			fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": %q}`, base, base+"/keys")
		}
	})
	regions := `["bare", "down", "eu"]`
	mux.HandleFunc("/v1/regions", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, regions) })
	server := httptest.NewServer(mux)
	defer server.Close()
	base = server.URL
	agent := jwks.Nomad{Address: base}

	found := All(t.Context(), []jwks.Cluster{
		{Name: "all", Federation: &agent},
		{Name: "own", Sources: []jwks.Source{&agent}},
		{Name: "oidc", Sources: []jwks.Source{jwks.Issuer(base, nil)}},
		{Name: "file", Sources: []jwks.Source{jwks.File("keys.json"), jwks.URL(base+"/keys", nil)}},
	})
	require.Len(t, found, 5)
	for i, want := range []Discovery{
		{Cluster: "all", Region: "bare", Nomad: true, RegionName: "bare"},
		{Cluster: "all", Region: "down", Nomad: true, RegionName: "down"},
		{Cluster: "all", Region: "eu", Nomad: true, RegionName: "eu", Metadata: jwks.Metadata{Issuer: base}},
		{Cluster: "own", Nomad: true, Metadata: jwks.Metadata{Issuer: base}}, // one of three regions
		{Cluster: "oidc", Metadata: jwks.Metadata{Issuer: base}},
	} {
		got := found[i]
		if want.Region == "down" {
			var cluster *jwks.ClusterError
			require.ErrorAs(t, got.Err, &cluster)
			assert.Equal(t, "down", cluster.Region)
			got.Err = nil
		} else {
			want.Metadata.Nomad, want.Metadata.Region = want.Nomad, want.RegionName
		}
		assert.Equal(t, want, got)
	}

	regions = `["global"]`
	found = All(t.Context(), []jwks.Cluster{{Name: "own", Sources: []jwks.Source{agent}}})
	require.Len(t, found, 1)
	assert.Equal(t, "global", found[0].RegionName, "the agent's own region has a name where it is the only one")

	regions = `{}`
	found = All(t.Context(), []jwks.Cluster{{Name: "all", Federation: &agent}})
	require.Len(t, found, 1)
	assert.Equal(t, "*", found[0].Region)
	require.ErrorContains(t, found[0].Err, "not a list of regions")
}

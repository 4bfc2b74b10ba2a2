package vaultsync

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
)

// What a sync asks on the wire, whatever the number of mounts that trust a region.
func TestHarvesterSteadyRequests(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		agent := fakenomad.NewInProcess("r1", "r2", "r3")
		defer agent.Close()
		h := &Harvester{Clusters: []jwks.Cluster{{Name: "a"}}}
		client := &jwks.Client{HTTPClient: agent.Client()}
		for _, region := range []string{"r1", "r2", "r3"} {
			h.Clusters[0].Sources = append(h.Clusters[0].Sources, jwks.Nomad{Address: agent.URL, Region: region, Client: client})
		}
		v.Enable("", "second", "jwt")
		for _, mount := range []*Mount{m, NewMount(v.Client(), "second")} {
			h.Targets = append(h.Targets, Target{Mount: mount, Clusters: []string{"a"}})
		}
		_, err := h.Sync(t.Context())
		require.NoError(t, err)
		for _, path := range []string{"jwt-nomad", "second"} { // read, written, read back, looked at
			assert.Equal(t, 3, v.Count("GET", path+configPath))
			assert.Equal(t, 1, v.Count("PUT", path+configPath))
		}
		assert.Len(t, v.Requests(), 8, "the first sync asks nothing else")
		agent.ClearRequests()
		v.ClearRequests()

		report, err := h.Sync(t.Context())
		require.NoError(t, err)
		assert.True(t, report.InSync())
		var asked []string
		for _, r := range agent.Requests() {
			asked = append(asked, r.String())
		}
		assert.ElementsMatch(t, []string{
			"GET /.well-known/jwks.json?region=r1", "GET /.well-known/jwks.json?region=r2", "GET /.well-known/jwks.json?region=r3",
		}, asked, "one request a region")
		asked = nil
		for _, r := range v.Requests() {
			asked = append(asked, r.String())
		}
		assert.ElementsMatch(t, []string{"GET /v1/auth/jwt-nomad/config", "GET /v1/auth/second/config"}, asked, "one request a mount")
	})
}

package vaultsync

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/jwks"
)

// Who is on no mount isn't asked.
func TestHarvesterDiscover(t *testing.T) {
	used, unused := fakenomad.New(t), fakenomad.New(t)
	used.SetIssuer("https://nomad.example.com")
	h := &Harvester{
		Clusters: []jwks.Cluster{
			{Name: "used", Sources: []jwks.Source{jwks.Nomad{Address: used.URL}}},
			{Name: "unused", Sources: []jwks.Source{jwks.Nomad{Address: unused.URL}}},
		},
		Targets: []Target{{Clusters: []string{"used"}}},
	}
	found := h.Discover(t.Context())
	require.Len(t, found, 1)
	assert.Equal(t, "used", found[0].Cluster)
	assert.Equal(t, "https://nomad.example.com", found[0].Metadata.Issuer)
	assert.Empty(t, unused.Requests())
}

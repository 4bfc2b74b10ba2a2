//go:build e2e

package e2e

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/jwks"
	harvestpem "github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// handMade is a source of the caller's making, whose keys no document was read for.
type handMade struct{ keys []jwks.Key }

func (handMade) RegionName() string { return "" }

func (s handMade) Fetch(context.Context) (*jwks.Set, error) { return &jwks.Set{Keys: s.keys}, nil }

// Vault takes any key that parses. harvest lets none through that it hasn't judged, and removes
// a key of its own clusters that must not be trusted.
func TestNoKeyUnjudged(t *testing.T) {
	short := &rsa.PublicKey{N: new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 512), big.NewInt(569)), E: 65537} // a prime, too
	repeating := &rsa.PublicKey{N: new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2048), big.NewInt(1)), E: 65537}
	element, err := harvestpem.Block{Public: short, Annotation: harvestpem.Annotation{
		Version: harvestpem.Version, Cluster: "us-east", KeyID: "short", Added: time.Now(),
	}}.MarshalText()
	require.NoError(t, err)
	good := fakenomad.NewKey("RS256")
	der, err := x509.MarshalPKIXPublicKey(good.Public())
	require.NoError(t, err)
	c := enable(t, vault, "jwt-judged", map[string]any{"jwt_validation_pubkeys": []string{
		string(element), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	}})
	require.Len(t, trusted(t, c, "jwt-judged"), 2, "Vault takes them as they come")

	h := vaultsync.Harvester{
		Clusters: []jwks.Cluster{{Name: "us-east", Sources: []jwks.Source{handMade{[]jwks.Key{
			{KeyID: "short", Public: short}, {KeyID: "repeating", Public: repeating}, {KeyID: "good", Public: good.Public()},
		}}}}},
		Targets: []vaultsync.Target{{Mount: vaultsync.NewMount(c, "jwt-judged"), Clusters: []string{"us-east"}}},
	}
	report, err := h.Sync(t.Context())
	require.NoError(t, err)
	skipped := map[string]string{}
	for _, k := range report.Mounts[0].Plan.Skipped {
		skipped[k.KeyID] = k.Reason
	}
	assert.Contains(t, skipped["short"], "size: RSA modulus of 512 bits")
	assert.Contains(t, skipped["repeating"], "factor: ")
	left := trusted(t, c, "jwt-judged")
	require.Len(t, left, 1)
	assert.Equal(t, "good", left[0].KeyID)
}

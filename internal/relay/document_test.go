package relay

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/jwks"
)

// What is written is read back as the same keys, by what reads the documents of clusters.
func TestDocumentIsReadBack(t *testing.T) {
	keys := []Key{
		{"rsa", []string{"RS256"}, fakekeys.RSA()},
		{"ed", []string{"EdDSA"}, fakekeys.Public("k1")},
		{"ed-2", nil, fakekeys.Public("k2")},
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		keys = append(keys, Key{"ec <\"&>", nil, private.Public()})
	}
	document, err := Document(keys)
	require.NoError(t, err)
	set, err := jwks.Parse(document)
	require.NoError(t, err)
	require.Len(t, set.Keys, len(keys))
	assert.Empty(t, set.Skipped)
	for i, k := range set.Keys {
		assert.Equal(t, keys[i].KeyID, k.KeyID)
		assert.Equal(t, "sig", k.Use)
		assert.True(t, k.Public.(interface{ Equal(crypto.PublicKey) bool }).Equal(keys[i].Public), k.KeyID)
	}
	assert.Equal(t, []string{"RS256"}, set.Keys[0].Algorithms)
}

func TestDocumentLeavesOutWhatAKeyDoesNotHave(t *testing.T) {
	document, err := Document([]Key{{"", nil, fakekeys.Public("k")}})
	require.NoError(t, err)
	assert.NotContains(t, string(document), "kid")
	assert.NotContains(t, string(document), "alg")
}

func TestDocumentWithoutKeysHasAList(t *testing.T) {
	document, err := Document(nil)
	require.NoError(t, err)
	assert.Equal(t, "{\"keys\":[]}\n", string(document))
}

// One of several algorithms would rule out the others.
func TestDocumentNamesAnAlgorithmWhereThereIsOne(t *testing.T) {
	document, err := Document([]Key{{"k", []string{"RS256", "PS256"}, fakekeys.RSA()}})
	require.NoError(t, err)
	assert.NotContains(t, string(document), `"alg"`)
}

func TestDocumentRefusesWhatIsNoPublicKey(t *testing.T) {
	_, err := Document([]Key{{"private", nil, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}})
	assert.ErrorContains(t, err, `key "private"`)
}

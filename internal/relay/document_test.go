package relay

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/jwks"
)

// What is written is read back as the same keys, by what reads the documents of clusters.
func TestDocumentIsReadBack(t *testing.T) {
	keys := []jwks.Key{
		{KeyID: "rsa", Algorithms: []string{"RS256"}, Public: fakekeys.RSA()},
		{KeyID: "ed", Algorithms: []string{"EdDSA"}, Public: fakekeys.Public("k1")},
		{KeyID: "ed-2", Public: fakekeys.Public("k2")},
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		keys = append(keys, jwks.Key{KeyID: "ec <\"&> " + curve.Params().Name, Public: private.Public()})
	}
	document, err := Document(keys)
	require.NoError(t, err)
	set, err := jwks.Parse(document)
	require.NoError(t, err)
	require.Len(t, set.Keys, len(keys))
	assert.Empty(t, set.Skipped)
	for _, k := range set.Keys {
		at := slices.IndexFunc(keys, func(written jwks.Key) bool { return written.KeyID == k.KeyID })
		require.GreaterOrEqual(t, at, 0, k.KeyID)
		assert.Equal(t, "sig", k.Use)
		assert.True(t, k.Public.(interface{ Equal(crypto.PublicKey) bool }).Equal(keys[at].Public), k.KeyID)
		if k.KeyID == "rsa" {
			assert.Equal(t, []string{"RS256"}, k.Algorithms)
		}
	}
}

func TestDocumentHasEachKeyOnceWhateverTheirOrder(t *testing.T) {
	a, b := jwks.Key{KeyID: "a", Public: fakekeys.Public("a")}, jwks.Key{KeyID: "b", Public: fakekeys.Public("b")}
	one, err := Document([]jwks.Key{a, b, a})
	require.NoError(t, err)
	other, err := Document([]jwks.Key{b, a})
	require.NoError(t, err)
	assert.Equal(t, string(one), string(other))
}

func TestDocumentLeavesOutWhatAKeyDoesNotHave(t *testing.T) {
	document, err := Document([]jwks.Key{{Public: fakekeys.Public("k")}})
	require.NoError(t, err)
	assert.NotContains(t, string(document), "kid")
	assert.NotContains(t, string(document), "alg")
}

func TestDocumentWithoutKeysHasAList(t *testing.T) {
	document, err := Document(nil)
	require.NoError(t, err)
	assert.JSONEq(t, `{"keys":[]}`, string(document))
}

// One of several algorithms would rule out the others.
func TestDocumentNamesAnAlgorithmWhereThereIsOne(t *testing.T) {
	document, err := Document([]jwks.Key{{KeyID: "k", Algorithms: []string{"RS256", "PS256"}, Public: fakekeys.RSA()}})
	require.NoError(t, err)
	assert.NotContains(t, string(document), `"alg"`)
}

func TestDocumentRefusesWhatIsNoPublicKey(t *testing.T) {
	_, err := Document([]jwks.Key{{KeyID: "private", Public: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}})
	assert.ErrorContains(t, err, `key "private"`)
}

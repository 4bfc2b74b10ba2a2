package plan

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// withKeys adds keys that no document was read for.
func withKeys(r jwks.Result, keys ...jwks.Key) jwks.Result {
	r.Set.Keys = append(r.Set.Keys, keys...)
	return r
}

// No way leads onto a mount past the judge: not that of a Source or a jwks.Set of the caller's.
func TestPlanJudges(t *testing.T) {
	ones := func(bits uint) *big.Int {
		return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), bits), big.NewInt(1))
	}
	for name, test := range map[string]struct {
		key  jwks.Key
		want jwks.Reason
	}{
		"RSA of 512 bits": {jwks.Key{Public: &rsa.PublicKey{N: ones(512), E: 65537}}, jwks.ReasonSize},
		"RSA, factors":    {jwks.Key{Public: &rsa.PublicKey{N: ones(2048), E: 65537}}, jwks.ReasonFactor},
		"RSA, a pattern":  {jwks.Key{Public: &rsa.PublicKey{N: ones(2203), E: 65537}}, jwks.ReasonPattern},
		"no RSA key":      {jwks.Key{Public: &rsa.PublicKey{}}, jwks.ReasonMalformed},
		"no EC key":       {jwks.Key{Public: &ecdsa.PublicKey{Curve: elliptic.P256()}}, jwks.ReasonMalformed},
		"small order":     {jwks.Key{Public: weakKey()}, jwks.ReasonOrder},
		"two lines":       {jwks.Key{KeyID: "a\nb", Public: publicKey("x")}, jwks.ReasonKeyID},
		"alg":             {jwks.Key{Algorithms: []string{"none"}, Public: publicKey("x")}, jwks.ReasonAlgorithm},
		"nothing":         {jwks.Key{}, jwks.ReasonKeyType},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := New(elements(trust("a", "k1")), Desired{[]string{"a"}, []jwks.Result{withKeys(publish("a", "k1"), test.key)}}, Rules{Now: now})
			require.NoError(t, err)
			assert.False(t, plan.Changed)
			assert.Empty(t, plan.Failed)
			require.Len(t, plan.Skipped, 1)
			assert.Contains(t, plan.Skipped[0].Reason, string(test.want)+": ")
			requireOneLine(t, plan.Skipped[0].KeyID)
		})
	}
}

// A set of which nothing is left wasn't read: its cluster fails, and keeps its keys.
func TestPlanJudgesAllKeysUnfit(t *testing.T) {
	weak := jwks.Result{Cluster: "a", Set: &jwks.Set{Keys: []jwks.Key{{KeyID: "weak", Public: weakKey()}}}}
	plan, err := New(elements(trust("a", "k1")), Desired{[]string{"a"}, []jwks.Result{weak}}, Rules{Now: now})
	require.NoError(t, err)
	assert.False(t, plan.Changed)
	require.Len(t, plan.Failed, 1)
	require.ErrorIs(t, plan.Failed[0].Err, jwks.ErrNoKeys)
	assert.ErrorContains(t, plan.Failed[0].Err, "small order")
	assert.Equal(t, 1, plan.Failed[0].Kept)
}

// A trusted key of ours that must not be trusted counts as no longer published, no
// matter who publishes it, can't be read, or was asked before it was added.
func TestPlanRemovesWeakKeys(t *testing.T) {
	published := withKeys(publish("a", "k1"), jwks.Key{KeyID: "weak", Public: weakKey()})
	asked := published
	asked.Asked = now.Add(-48 * time.Hour)
	for name, r := range map[string]jwks.Result{"published": published, "unreadable": down("a"), "gone": publish("a", "k1"), "asked before": asked} {
		t.Run(name, func(t *testing.T) {
			plan, err := New(elements(trust("a", "k1"), trust("a", "weak")), Desired{[]string{"a"}, []jwks.Result{r}}, Rules{Now: now})
			require.NoError(t, err)
			require.Len(t, plan.Remove, 1)
			assert.Equal(t, "weak", plan.Remove[0].KeyID)
			assert.Contains(t, plan.Remove[0].Reason, "must not be trusted: order: ")
			require.Len(t, plan.Keep, 1)
			assert.Equal(t, "k1", plan.Keep[0].KeyID)
		})
	}
	t.Run("never retained", func(t *testing.T) {
		plan, err := New(elements(trust("a", "k1"), trust("a", "weak")), Desired{[]string{"a"}, []jwks.Result{published}}, Rules{Now: now, Retain: time.Hour})
		require.NoError(t, err)
		require.Len(t, plan.Remove, 1, "anyone may have its private half")
		assert.Contains(t, plan.Remove[0].Reason, "must not be trusted: order: ")
	})
	t.Run("the last one", func(t *testing.T) {
		_, err := New(elements(trust("a", "weak")), Desired{[]string{"a"}, []jwks.Result{down("a")}}, Rules{Now: now})
		require.ErrorIs(t, err, ErrLastKey)
	})
}

// A weak key says nothing about its cluster: where the mount has no other of it, others come in,
// and where it has, a weak one in common doesn't make another set of keys the same cluster's.
func TestPlanTurnoverOfWeakKeys(t *testing.T) {
	r := withKeys(publish("a", "k1"), jwks.Key{KeyID: "weak", Public: weakKey()})
	plan, err := New(elements(trust("a", "weak")), Desired{[]string{"a"}, []jwks.Result{r}}, Rules{Now: now})
	require.NoError(t, err)
	assert.Empty(t, plan.Failed)
	require.Len(t, plan.Add, 1)
	require.Len(t, plan.Remove, 1)

	plan, err = New(elements(trust("a", "weak"), trust("a", "k2")), Desired{[]string{"a"}, []jwks.Result{r}}, Rules{Now: now})
	require.NoError(t, err)
	require.Len(t, plan.Failed, 1)
	require.ErrorIs(t, plan.Failed[0].Err, ErrTurnover)
	assert.Empty(t, plan.Add)
	require.Len(t, plan.Remove, 1)
}

// A key that somebody pasted isn't adopted where it must not be trusted.
func TestPlanAdoptsNoWeakKey(t *testing.T) {
	pasted, err := pem.Encode(weakKey())
	require.NoError(t, err)
	r := withKeys(publish("a", "k1"), jwks.Key{KeyID: "weak", Public: weakKey()})
	plan, err := New(elements(trust("a", "k1"), string(pasted)), Desired{[]string{"a"}, []jwks.Result{r}}, Rules{Now: now})
	require.NoError(t, err)
	assert.Empty(t, plan.Adopt)
	require.Len(t, plan.Foreign, 1)
	require.Len(t, plan.Skipped, 1)
	assert.Equal(t, fingerprintOf(weakKey()), plan.Skipped[0].Fingerprint)
}

// A hand-built set may list a key twice, which Parse never does.
func TestPlanKeyTwiceInASet(t *testing.T) {
	r := withKeys(publish("a", "k1"), jwks.Key{KeyID: "k1", Algorithms: []string{"EdDSA"}, Public: publicKey("k1")})
	plan, err := New(elements(trust("a", "k1")), Desired{[]string{"a"}, []jwks.Result{r}}, Rules{Now: now})
	require.NoError(t, err)
	assert.False(t, plan.Changed)
}

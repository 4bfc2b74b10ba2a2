package plan

import (
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
	for want, key := range map[jwks.Reason]jwks.Key{
		jwks.ReasonSize: {Public: &rsa.PublicKey{N: big.NewInt(1<<62 + 1), E: 65537}}, jwks.ReasonOrder: {Public: weakKey()}, jwks.ReasonKeyType: {},
		jwks.ReasonKeyID: {KeyID: "a\nb", Public: publicKey("x")}, jwks.ReasonAlgorithm: {Algorithms: []string{"none"}, Public: publicKey("x")},
	} {
		plan := planOf(t, elements(trust("a", "k1")), onlyA(withKeys(publish("a", "k1"), key)), Rules{Now: now})
		assert.False(t, plan.Changed)
		assert.Empty(t, plan.Failed)
		require.Len(t, plan.Skipped, 1)
		assert.Contains(t, plan.Skipped[0].Reason, string(want)+": ")
		requireOneLine(t, plan.Skipped[0].KeyID)
	}
}

// A set of which nothing is left wasn't read: its cluster fails, and keeps its keys.
func TestPlanJudgesAllKeysUnfit(t *testing.T) {
	weak := jwks.Result{Cluster: "a", Set: &jwks.Set{Keys: []jwks.Key{{KeyID: "weak", Public: weakKey()}}}}
	plan := planOf(t, elements(trust("a", "k1")), Desired{[]string{"a"}, []jwks.Result{weak}}, Rules{Now: now})
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
			plan := planOf(t, elements(trust("a", "k1"), trust("a", "weak")), Desired{[]string{"a"}, []jwks.Result{r}}, Rules{Now: now})
			require.Len(t, plan.Remove, 1)
			assert.Equal(t, "weak", plan.Remove[0].KeyID)
			assert.Contains(t, plan.Remove[0].Reason, "must not be trusted: order: ")
			require.Len(t, plan.Keep, 1)
			assert.Equal(t, "k1", plan.Keep[0].KeyID)
		})
	}
	t.Run("never retained", func(t *testing.T) {
		plan := planOf(t, elements(trust("a", "k1"), trust("a", "weak")), Desired{[]string{"a"}, []jwks.Result{published}}, Rules{Now: now, Retain: time.Hour})
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
	plan := planOf(t, elements(trust("a", "weak")), Desired{[]string{"a"}, []jwks.Result{r}}, Rules{Now: now})
	assert.Empty(t, plan.Failed)
	require.Len(t, plan.Add, 1)
	require.Len(t, plan.Remove, 1)

	plan = planOf(t, elements(trust("a", "weak"), trust("a", "k2")), Desired{[]string{"a"}, []jwks.Result{r}}, Rules{Now: now})
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
	plan := planOf(t, elements(trust("a", "k1"), string(pasted)), Desired{[]string{"a"}, []jwks.Result{r}}, Rules{Now: now})
	assert.Empty(t, plan.Adopt)
	require.Len(t, plan.Foreign, 1)
	require.Len(t, plan.Skipped, 1)
	assert.Equal(t, fingerprintOf(weakKey()), plan.Skipped[0].Fingerprint)
}

// A hand-built set may list a key twice, which Parse never does.
func TestPlanKeyTwiceInASet(t *testing.T) {
	r := withKeys(publish("a", "k1"), jwks.Key{KeyID: "k1", Algorithms: []string{"EdDSA"}, Public: publicKey("k1")})
	plan := planOf(t, elements(trust("a", "k1")), Desired{[]string{"a"}, []jwks.Result{r}}, Rules{Now: now})
	assert.False(t, plan.Changed)
}

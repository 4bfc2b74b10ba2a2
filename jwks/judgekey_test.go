package jwks

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Judge takes nothing on trust of a key that no document was read for.
func TestJudgeKey(t *testing.T) {
	rsaKey := func(n *big.Int, e int) *rsa.PublicKey { return &rsa.PublicKey{N: n, E: e} }
	sound := modulus("a", 2048)
	ecKey := func(curve elliptic.Curve, x, y []byte) *ecdsa.PublicKey {
		return &ecdsa.PublicKey{Curve: curve, X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)} //nolint:staticcheck // points off the curve too
	}
	x, y := point("a", elliptic.P256())
	px, py := point("a", elliptic.P224())
	ed := ed25519.PublicKey(edwardsPoint("a"))

	for name, test := range map[string]struct {
		key  Key
		want Reason
	}{
		"RSA":               {Key{KeyID: "k", Algorithms: []string{"PS256"}, Use: "sig", Public: rsaKey(sound, 65537)}, ""},
		"no kid":            {Key{Public: rsaKey(sound, 65537)}, ""},
		"EC":                {Key{Algorithms: []string{"ES256"}, Public: ecKey(elliptic.P256(), x, y)}, ""},
		"Ed25519":           {Key{Algorithms: []string{"EdDSA"}, Use: "jwt-svid", Public: ed}, ""},
		"RSA of 512 bits":   {Key{Public: rsaKey(modulus("a", 512), 65537)}, ReasonSize},
		"RSA of 8,192 bits": {Key{Public: rsaKey(oddNumber("a", 8192), 65537)}, ReasonSize},
		"even":              {Key{Public: rsaKey(new(big.Int).Lsh(sound, 1), 65537)}, ReasonModulus},
		"e 1":               {Key{Public: rsaKey(sound, 1)}, ReasonExponent},
		"e -65537":          {Key{Public: rsaKey(sound, -65537)}, ReasonExponent},
		"negative":          {Key{Public: rsaKey(new(big.Int).Neg(sound), 65537)}, ReasonMalformed},
		"zero":              {Key{Public: rsaKey(new(big.Int), 65537)}, ReasonMalformed},
		"no modulus":        {Key{Public: &rsa.PublicKey{E: 65537}}, ReasonMalformed},
		"nil RSA":           {Key{Public: (*rsa.PublicKey)(nil)}, ReasonMalformed},
		"RSA by value":      {Key{Public: *rsaKey(sound, 65537)}, ReasonKeyType},
		"a private key":     {Key{Public: ed25519.NewKeyFromSeed(make([]byte, 32))}, ReasonKeyType},
		"nil":               {Key{}, ReasonKeyType},
		"P-224":             {Key{Public: ecKey(elliptic.P224(), px, py)}, ReasonKeyType},
		"a curve of one's own": {
			Key{Public: ecKey(elliptic.P256().Params(), x, y)}, ReasonKeyType,
		},
		"no curve":             {Key{Public: ecKey(nil, x, y)}, ReasonKeyType},
		"nil EC":               {Key{Public: (*ecdsa.PublicKey)(nil)}, ReasonMalformed},
		"no coordinates":       {Key{Public: &ecdsa.PublicKey{Curve: elliptic.P256()}}, ReasonMalformed},
		"off the curve":        {Key{Public: ecKey(elliptic.P256(), y, x)}, ReasonPoint},
		"at infinity":          {Key{Public: ecKey(elliptic.P256(), nil, nil)}, ReasonPoint},
		"no Ed25519":           {Key{Public: ed25519.PublicKey(nil)}, ReasonPoint},
		"Ed25519, small order": {Key{Public: ed25519.PublicKey(smallOrder()[0])}, ReasonOrder},
		"alg":                  {Key{Algorithms: []string{"RS256"}, Public: ed}, ReasonAlgorithm},
		"a second alg":         {Key{Algorithms: []string{"EdDSA", "ES256"}, Public: ed}, ReasonAlgorithm},
		"alg none":             {Key{Algorithms: []string{"none"}, Public: ed}, ReasonAlgorithm},
		"use":                  {Key{Use: "enc", Public: ed}, ReasonUse},
		"kid of two lines":     {Key{KeyID: "a\nharvest/1 b", Public: ed}, ReasonKeyID},
		"kid too long":         {Key{KeyID: strings.Repeat("k", MaxKeyID+1), Public: ed}, ReasonKeyID},
	} {
		t.Run(name, func(t *testing.T) {
			requireReason(t, test.want, Judge(test.key))
		})
	}
}

// A verdict is of the number, not of the variable that holds it.
func TestJudgeNamesTheTypeOfAKey(t *testing.T) {
	for kind, k := range map[string]Key{"RSA": {Public: &testKeys()[0].PublicKey}, "EC P-256": ownKey(t, "a")} {
		k.Algorithms = []string{"none"}
		require.ErrorContains(t, Judge(k), `alg "none" is no signature algorithm of a key of type `+kind)
		assert.True(t, strings.HasSuffix(Judge(k).Error(), kind), Judge(k))
	}
}

func TestJudgeKeyThatChanges(t *testing.T) {
	public := &rsa.PublicKey{N: modulus("a", 2048), E: 65537}
	require.NoError(t, Judge(Key{Public: public}))
	public.N.Mul(public.N, big.NewInt(757))
	requireReason(t, ReasonFactor, Judge(Key{Public: public}))
}

func TestSetJudge(t *testing.T) {
	good := Key{KeyID: "good", Public: ed25519.PublicKey(edwardsPoint("a"))}
	bad := Key{KeyID: "bad", Public: ed25519.PublicKey(smallOrder()[0])}
	skipped := &KeyError{Position: 1, Reason: ReasonUse}
	set := &Set{Keys: []Key{bad, good}, Skipped: []*KeyError{skipped}, Warnings: []string{"w"}, Index: 7}
	judged, err := set.Judge()
	require.NoError(t, err)
	assert.Equal(t, []Key{good}, judged.Keys)
	assert.Equal(t, []string{"w"}, judged.Warnings)
	assert.Equal(t, uint64(7), judged.Index)
	require.Len(t, judged.Skipped, 2)
	assert.EqualError(t, judged.Skipped[1], `key with kid "bad": order: Ed25519 key of small order: signatures can be forged without a private key`)
	assert.Len(t, set.Keys, 2, "the set itself is as it was")
	assert.Len(t, set.Skipped, 1)

	set.Keys = []Key{bad}
	judged, err = set.Judge()
	assert.Nil(t, judged)
	require.ErrorIs(t, err, ErrNoKeys)
	assert.ErrorContains(t, err, "small order")
}

// What a hostile cluster publishes over time takes no more than so much memory, and what is
// asked for all the while isn't judged again.
func TestVerdictsAreBounded(t *testing.T) {
	var v verdicts
	judged := map[uint64]int{}
	ask := func(i uint64) {
		v.remember(sha256.Sum256(binary.BigEndian.AppendUint64(nil, i)), func() *objection { judged[i]++; return nil })()
	}
	for i := range uint64(5 * maxVerdicts) {
		ask(i)
		ask(0)
		require.LessOrEqual(t, len(v.newer), maxVerdicts)
		require.LessOrEqual(t, len(v.older), maxVerdicts)
	}
	assert.Equal(t, 1, judged[0])
	ask(1)
	assert.Equal(t, 2, judged[1], "forgotten long ago")
	ask(5*maxVerdicts - 1)
	assert.Equal(t, 1, judged[5*maxVerdicts-1])
}

func TestVerdictOnce(t *testing.T) {
	var v verdicts
	var judged atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			why := v.of(big.NewInt(7), func() *objection { judged.Add(1); return object(ReasonFactor, "7") })
			assert.Equal(t, ReasonFactor, why.reason)
		})
	}
	all.Wait()
	assert.EqualValues(t, 1, judged.Load())
}

// A judge that failed has given no verdict: least of all that the key is sound.
func TestVerdictAfterPanic(t *testing.T) {
	var v verdicts
	for range 2 {
		assert.Panics(t, func() { v.of(big.NewInt(7), func() *objection { panic("out of order") }) })
	}
}

var judgedKey crypto.PublicKey

func BenchmarkJudge(b *testing.B) {
	for _, bits := range []int{2048, 4096} {
		n := modulus("a", bits)
		b.Run(big.NewInt(int64(bits)).String()+"/first", func(b *testing.B) {
			for b.Loop() {
				_ = weakness(n)
			}
		})
		judgedKey = &rsa.PublicKey{N: n, E: 65537}
		b.Run(big.NewInt(int64(bits)).String()+"/again", func(b *testing.B) {
			for b.Loop() {
				_ = Judge(Key{Public: judgedKey})
			}
		})
	}
}

// A plan finds the verdicts on keys that were fetched or watched, and waits for none.
func TestJudgedWhereItArrives(t *testing.T) {
	arrives := func(label string) (fakeSource, *big.Int) {
		n := modulus(label, 2048)
		return fakeSource{fetch: func(context.Context) (*Set, error) {
			return &Set{Keys: []Key{{Public: &testKeys()[0].PublicKey}, {KeyID: label, Public: &rsa.PublicKey{N: n, E: 65537}}}}, nil
		}}, n
	}
	requireKnown := func(n *big.Int) {
		weaknesses.of(n, func() *objection {
			assert.Fail(t, "not judged yet")
			return nil
		})
	}
	fetched, n := arrives("fetched")
	require.NoError(t, FetchAll(t.Context(), []Cluster{{Name: "a", Sources: []Source{fetched}}}, nil)[0].Err)
	requireKnown(n)

	watched, n := arrives("watched")
	w := newWatch(watched, WatchOptions{}, func(news) bool { return false })
	w.run(t.Context())
	requireKnown(n)

	judgeAhead(t.Context(), nil) // a panic, which is contained
}

// A set of which each key takes long to judge delays its cluster by two seconds, not by minutes.
func TestJudgeAheadIsBounded(t *testing.T) {
	var set Set
	for i := range 1000 {
		set.Keys = append(set.Keys, Key{Public: &rsa.PublicKey{N: oddNumber(fmt.Sprint("dear", i), 4096), E: 65537}})
	}
	began := time.Now()
	judgeAhead(t.Context(), &set)
	assert.Less(t, time.Since(began), 10*time.Second)
}

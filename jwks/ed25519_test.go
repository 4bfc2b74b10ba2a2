package jwks

import (
	"crypto/ed25519"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestJudgeEd25519(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	good := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	mixed, err := new(edwards25519.Point).SetBytes(good)
	require.NoError(t, err)
	order8, err := new(edwards25519.Point).SetBytes(unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
	require.NoError(t, err)
	mixed.Add(mixed, order8)

	for name, test := range map[string]struct {
		point []byte
		want  Reason
	}{
		"good":                 {good, ""},
		"large order, 8 times": {mixed.Bytes(), ""},
		"the identity":         {unhex("01" + strings.Repeat("00", 31)), ReasonOrder},
		"order 2":              {unhex("ec" + strings.Repeat("ff", 30) + "7f"), ReasonOrder},
		"order 4":              {make([]byte, 32), ReasonOrder},
		"order 4, other sign":  {unhex(strings.Repeat("00", 31) + "80"), ReasonOrder},
		"order 8":              {order8.Bytes(), ReasonOrder},
		"order 8, negated":     {new(edwards25519.Point).Negate(order8).Bytes(), ReasonOrder},
		"identity, -0":         {unhex("01" + strings.Repeat("00", 30) + "80"), ReasonPoint},
		"identity as p+1":      {unhex("ee" + strings.Repeat("ff", 30) + "7f"), ReasonPoint},
		"order 4 as p":         {unhex("ed" + strings.Repeat("ff", 30) + "7f"), ReasonPoint},
		"off the curve":        {unhex("02" + strings.Repeat("00", 31)), ReasonPoint},
		"31 bytes":             {good[:31], ReasonPoint},
		"33 bytes":             {append(slices.Clone(good), 0), ReasonPoint},
		"large y, not reduced": {nonCanonical(t), ReasonPoint},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := Parse([]byte(keySet(fields{"kty": "OKP", "crv": "Ed25519", "x": encode(test.point)}, rsaMember(0, nil))))
			require.NoError(t, err)
			if test.want == "" {
				assert.Len(t, set.Keys, 2)
				return
			}
			require.Len(t, set.Skipped, 1)
			assert.Equal(t, test.want, set.Skipped[0].Reason, set.Skipped[0].Detail)
		})
	}
}

// nonCanonical returns a point of large order whose y is written as y+p: only a y below 19
// leaves room for that.
func nonCanonical(t *testing.T) []byte {
	t.Helper()
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	for y := int64(2); y < 19; y++ {
		octets := new(big.Int).Add(p, big.NewInt(y)).FillBytes(make([]byte, 32))
		slices.Reverse(octets)
		if point, err := new(edwards25519.Point).SetBytes(octets); err == nil {
			require.NotEqual(t, octets, point.Bytes())
			return octets
		}
	}
	t.Fatal("no such point")
	return nil
}

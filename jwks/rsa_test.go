package jwks

import (
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// probablePrime returns a prime of so many bits, the two highest set.
func probablePrime(t testing.TB, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	require.NoError(t, err)
	return p
}

// primeAbove returns the first prime above i that is gap or more away.
func primeAbove(i *big.Int, gap *big.Int) *big.Int {
	p := new(big.Int).Add(i, gap)
	p.SetBit(p, 0, 1)
	for p.Cmp(i) == 0 || !p.ProbablyPrime(20) {
		p.Add(p, big.NewInt(2))
	}
	return p
}

// rocaPrime makes a prime of 1024 bits as the flawed library does: k*M + 65537^a mod M, M the
// product of the primes up to 701.
func rocaPrime(t testing.TB) *big.Int {
	t.Helper()
	m := big.NewInt(1)
	for p := int64(2); p <= maxROCAPrime; p++ {
		if big.NewInt(p).ProbablyPrime(0) {
			m.Mul(m, big.NewInt(p))
		}
	}
	// The two highest bits are set, so that a product of two has 2048 bits.
	least := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(3), 1022), m)
	for {
		a, err := rand.Int(rand.Reader, m)
		require.NoError(t, err)
		k, err := rand.Int(rand.Reader, new(big.Int).Div(least, big.NewInt(3)))
		require.NoError(t, err)
		p := new(big.Int).Exp(big.NewInt(rocaGenerator), a, m)
		p.Add(p, k.Mul(k.Add(k, least).Add(k, big.NewInt(1)), m))
		if p.BitLen() == 1024 && p.ProbablyPrime(20) {
			return p
		}
	}
}

func TestJudgeWeakModulus(t *testing.T) {
	p, r := probablePrime(t, 1024), probablePrime(t, 1015)
	shift := func(bits uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), bits) }
	product := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	for name, test := range map[string]struct {
		n    *big.Int
		want Reason
	}{
		"divisible by 3":         {product(big.NewInt(3), product(p, probablePrime(t, 1023))), ReasonFactor},
		"divisible by 701":       {product(big.NewInt(701), product(p, r)), ReasonFactor},
		"divisible by 751":       {product(big.NewInt(751), product(p, r)), ReasonFactor},
		"divisible by 757":       {product(big.NewInt(757), product(p, r)), ""},
		"ROCA":                   {product(rocaPrime(t), rocaPrime(t)), ReasonROCA},
		"a power of 65537":       {new(big.Int).Exp(big.NewInt(rocaGenerator), big.NewInt(130), nil), ReasonROCA},
		"a square":               {product(p, p), ReasonClosePrimes},
		"twin primes, or nearly": {product(p, primeAbove(p, big.NewInt(0))), ReasonClosePrimes},
		"primes 2^512 apart":     {product(p, primeAbove(p, shift(512))), ReasonClosePrimes},
		"primes 2^524 apart":     {product(p, primeAbove(p, shift(524))), ""},
		"2049 bits":              {product(probablePrime(t, 1025), probablePrime(t, 1025)), ""},
		"4096 bits":              {product(product(p, p), product(p, primeAbove(p, shift(900)))), ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.NotZero(t, test.n.Bit(0))
			set, err := Parse([]byte(keySet(rsaMember(0, fields{"n": encodeInt(test.n)}), rsaMember(1, nil))))
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

// The last round of Fermat's method is tried, and no round more.
func TestFermatRounds(t *testing.T) {
	a := new(big.Int).Lsh(big.NewInt(1), 1024)
	for _, round := range []int64{0, 1, 62, 63, 64, 99} {
		n, ok := factoredInRound(a, round)
		require.True(t, ok)
		assert.NotNil(t, primesApart(n, nil), "round %d", round)
	}
	n, ok := factoredInRound(a, fermatRounds)
	require.True(t, ok)
	assert.Nil(t, primesApart(n, nil))
}

// factoredInRound returns a number that Fermat's method factors in just that round, its
// root's ceiling being about a.
func factoredInRound(a *big.Int, round int64) (*big.Int, bool) {
	// n = c*c - b*b with c = ceil(sqrt(n)) + round: b*b is about 2*c*round.
	c := new(big.Int).Add(a, big.NewInt(round))
	for b := new(big.Int).Sqrt(new(big.Int).Mul(c, big.NewInt(2*round))); b.BitLen() < c.BitLen(); b.Add(b, big.NewInt(1)) {
		n := new(big.Int).Sub(new(big.Int).Mul(c, c), new(big.Int).Mul(b, b))
		root := new(big.Int).Sqrt(new(big.Int).Sub(n, big.NewInt(1)))
		root.Add(root, big.NewInt(1)) // the ceiling
		switch got := new(big.Int).Sub(c, root).Int64(); {
		case got == round:
			return n, true
		case got > round:
			return nil, false
		}
	}
	return nil, false
}

package jwks

import (
	"crypto/rand"
	"errors"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"strings"
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
	p, q := probablePrime(t, 1024), probablePrime(t, 1024)
	shift := func(bits uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), bits) }
	product := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	divisible := func(by int64) *big.Int {
		return product(big.NewInt(by), modulus("cofactor", 2049-big.NewInt(by).BitLen()))
	}
	repeating := func(octets string, times int) *big.Int {
		n := modulus("a", 2048).Bytes()
		copy(n[100:], strings.Repeat(octets, times))
		return oddCofactor(n)
	}
	for name, test := range map[string]struct {
		n    *big.Int
		want Reason
	}{
		"sound":                   {product(p, q), ""},
		"divisible by 3":          {divisible(3), ReasonFactor},
		"divisible by 701":        {divisible(701), ReasonFactor},
		"divisible by 757":        {divisible(757), ReasonFactor},
		"divisible by 2^20-3":     {divisible(1<<20 - 3), ReasonFactor}, // the largest under 2^20
		"divisible by 2^20+7":     {divisible(1<<20 + 7), ""},           // the next
		"divisible by two primes": {product(divisible(3*1048573), big.NewInt(1009)), ReasonFactor},
		"a power of 3":            {new(big.Int).Exp(big.NewInt(3), big.NewInt(1300), nil), ReasonFactor},
		"ROCA":                    {product(rocaPrime(t), rocaPrime(t)), ReasonROCA},
		"a power of 65537":        {new(big.Int).Exp(big.NewInt(rocaGenerator), big.NewInt(130), nil), ReasonROCA},
		"a square":                {product(p, p), ReasonClosePrimes},
		"twin primes, or nearly":  {product(p, primeAbove(p, big.NewInt(0))), ReasonClosePrimes},
		"primes 2^512 apart":      {product(p, primeAbove(p, shift(512))), ReasonClosePrimes},
		"primes 2^524 apart":      {product(p, primeAbove(p, shift(524))), ""},
		"one byte 17 times":       {repeating("a", 17), ReasonPattern},
		"one byte 15 times":       {repeating("a", 15), ""},
		"16 bytes twice":          {repeating("0123456789abcdef", 2), ReasonPattern},
		"4 bytes 5 times":         {repeating("abcd", 5), ReasonPattern},
		"a prime":                 {primeModulus(), ReasonPrime},
		"2049 bits":               {modulus("a", 2049), ""},
		"4096 bits":               {product(product(p, p), product(p, primeAbove(p, shift(900)))), ""},
		"three primes":            {product(p, product(p, q)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.NotZero(t, test.n.Bit(0))
			set := parsed(t, []byte(keySet(rsaMember(0, fields{"n": encodeInt(test.n)}))))
			requireReason(t, test.want, Judge(set.Keys[0]))
			requireReason(t, test.want, Judge(set.Keys[0]))
		})
	}
}

// oddCofactor returns the first number from that of the octets upwards that has no small factor.
func oddCofactor(octets []byte) *big.Int {
	n := new(big.Int).SetBytes(octets)
	n.SetBit(n, 0, 1)
	for noSmallFactor(n) != nil {
		n.Add(n, big.NewInt(2))
	}
	return n
}

func requireReason(t *testing.T, want Reason, err error) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	refusal, ok := errors.AsType[*KeyError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, want, refusal.Reason, refusal.Detail)
	requirePrintable(t, refusal.Error())
}

// The last round of Fermat's method is tried, and no round more.
func TestFermatRounds(t *testing.T) {
	a := new(big.Int).Lsh(big.NewInt(1), 1024)
	for _, round := range []int64{0, 1, 62, 63, 64, 99} {
		n, ok := factoredInRound(a, round)
		require.True(t, ok)
		assert.NotNil(t, primesApart(n), "round %d", round)
	}
	n, ok := factoredInRound(a, fermatRounds)
	require.True(t, ok)
	assert.Nil(t, primesApart(n))
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

// The verdict on moduli whose primes are at any distance, from twins to far too far, is that
// of Fermat's method done plainly.
func TestFermatDifferential(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(3, 4))
	found := map[bool]int{}
	for i := range 2000 {
		bits := 2048 + 2*random.IntN(1025)
		p := randomBits(random, bits/2)
		p.SetBit(p, bits/2-1, 1).SetBit(p, bits/2-2, 1).SetBit(p, 0, 1)
		// Fermat's method ends at differences of about 2^(bits/4+5).
		distance := randomBits(random, max(2, bits/4-3+random.IntN(14)))
		if i%8 == 0 {
			distance = randomBits(random, 2+random.IntN(bits/4))
		}
		q := new(big.Int).Add(p, distance)
		n := new(big.Int).Mul(p, q.SetBit(q, 0, 1))
		want := fallsToFermat(n)
		found[want]++
		require.Equal(t, want, primesApart(n) != nil, "%x", n)
	}
	assert.Greater(t, found[true], 200)
	assert.Greater(t, found[false], 200)
}

// fallsToFermat tries a hundred numbers from the root of n upwards.
func fallsToFermat(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) < 0 {
		a.Add(a, big.NewInt(1))
	}
	for range 100 {
		difference := new(big.Int).Sub(new(big.Int).Mul(a, a), n)
		if sixteenth := new(big.Int).And(difference, big.NewInt(15)).Int64(); slices.Contains([]int64{0, 1, 4, 9}, sixteenth) {
			root := new(big.Int).Sqrt(difference)
			if new(big.Int).Mul(root, root).Cmp(difference) == 0 {
				return true
			}
		}
		a.Add(a, big.NewInt(1))
	}
	return false
}

// randomBits returns a number of so many bits. A third of them have long runs of zeros and
// ones, which carries and wrong quotients come from.
func randomBits(random *mathrand.Rand, bits int) *big.Int {
	n := new(big.Int)
	for n.BitLen() < bits {
		switch random.IntN(3) {
		case 0:
			run := uint(random.IntN(64) + 1)
			n.Lsh(n, run)
			if random.IntN(2) == 0 {
				n.Add(n, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), run), big.NewInt(1)))
			}
		default:
			n.Lsh(n, 64)
			n.Or(n, new(big.Int).SetUint64(random.Uint64()))
		}
		if n.Sign() == 0 {
			n.SetUint64(1)
		}
	}
	return n.Rsh(n, uint(n.BitLen()-bits))
}

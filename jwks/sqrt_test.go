package jwks

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requireRoot compares with the definition: root^2 <= n < (root+1)^2.
func requireRoot(t *testing.T, n *big.Int) {
	t.Helper()
	before := new(big.Int).Set(n)
	root, rest := sqrtRem(n)
	require.Equal(t, before, n, "the number itself was changed")
	require.GreaterOrEqual(t, rest.Sign(), 0, "%x", n)
	require.LessOrEqual(t, rest.Cmp(new(big.Int).Lsh(root, 1)), 0, "%x", n)
	sum := new(big.Int).Mul(root, root)
	require.Zero(t, sum.Add(sum, rest).Cmp(n), "%x", n)
}

// randomBits returns a number of so many bits. A third of them have long runs of zeros and
// ones, which carries and wrong quotients come from.
func randomBits(random *rand.Rand, bits int) *big.Int {
	n := new(big.Int)
	for n.BitLen() < bits {
		switch random.IntN(3) {
		case 0:
			run := uint(random.IntN(64) + 1)
			n.Lsh(n, run)
			if random.IntN(2) == 0 {
				n.Add(n, new(big.Int).Sub(new(big.Int).Lsh(one, run), one))
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

func TestSqrtRem(t *testing.T) {
	for n := range int64(5000) {
		requireRoot(t, big.NewInt(n+1))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 { // two words
		requireRoot(t, randomBits(random, 127+random.IntN(2)))
	}
	for _, root := range []uint64{1 << 63, 1<<63 + 1, math.MaxUint64, math.MaxUint64 - 1, math.MaxUint32 << 32, 0xb504f333f9de6484} {
		square := new(big.Int).SetUint64(root)
		square.Mul(square, square)
		requireRoot(t, square)
		requireRoot(t, new(big.Int).Add(square, one))
		requireRoot(t, new(big.Int).Sub(square, one))
		requireRoot(t, new(big.Int).Add(square, new(big.Int).SetUint64(root)))
	}
	requireRoot(t, new(big.Int).Sub(new(big.Int).Lsh(one, 128), one))
	for bits := 1; bits <= 4100; bits++ {
		n := randomBits(random, bits)
		requireRoot(t, n)
		// Squares and their neighbours are where a root goes up.
		square := new(big.Int).Mul(n, n)
		if bits <= 2050 {
			requireRoot(t, square)
			requireRoot(t, new(big.Int).Add(square, one))
			if bits > 1 {
				requireRoot(t, new(big.Int).Sub(square, one))
			}
		}
	}
}

// The verdict on moduli whose primes are at any distance, from twins to far too far, is that
// of Fermat's method done plainly.
func TestFermatDifferential(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
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
		require.Equal(t, want, primesApart(n, nil) != nil, "%x", n)
	}
	assert.Greater(t, found[true], 200)
	assert.Greater(t, found[false], 200)
}

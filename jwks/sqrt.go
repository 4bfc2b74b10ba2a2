package jwks

import (
	"math"
	"math/big"
)

// sqrtRem returns the integer square root of n, which must be positive, and what n is more
// than its square. big.Int.Sqrt divides numbers of full length a dozen times; this divides
// once at each length, which doubles from that of a word, and the remainder comes for free
// (Zimmermann, "Karatsuba Square Root", INRIA RR-3805).
func sqrtRem(n *big.Int) (root, rest *big.Int) {
	if n.BitLen() <= 64 {
		return sqrtRemWord(n.Uint64())
	}
	// The algorithm wants one of the two highest of an even number of bits set, so that the
	// root of the high half is long enough.
	quarter := uint(n.BitLen()+3) / 4
	shift := 4*quarter - uint(n.BitLen())
	shift -= shift % 2
	if shift > 0 {
		root, _ = sqrtRem(new(big.Int).Lsh(n, shift))
		root.Rsh(root, shift/2)
		rest = new(big.Int).Mul(root, root)
		return root, rest.Sub(n, rest)
	}

	mask := new(big.Int).Lsh(one, quarter)
	mask.Sub(mask, one)
	high := new(big.Int).Rsh(n, 2*quarter)
	root, rest = sqrtRem(high)

	// Of what is left, the second quarter from below takes part in one division by twice
	// the root of the high half.
	part := new(big.Int).Rsh(n, quarter)
	part.And(part, mask)
	rest.Lsh(rest, quarter).Or(rest, part)
	quotient, divisor := new(big.Int), new(big.Int).Lsh(root, 1)
	quotient.QuoRem(rest, divisor, rest)

	root.Lsh(root, quarter).Add(root, quotient)
	rest.Lsh(rest, quarter).Or(rest, part.And(n, mask))
	rest.Sub(rest, quotient.Mul(quotient, quotient))
	for rest.Sign() < 0 { // the quotient was one too large
		rest.Add(rest, divisor.Lsh(root, 1)).Sub(rest, one)
		root.Sub(root, one)
	}
	return root, rest
}

func sqrtRemWord(n uint64) (root, rest *big.Int) {
	r := uint64(math.Sqrt(float64(n))) // off by one at most
	r = min(r, math.MaxUint32)
	for r*r > n {
		r--
	}
	for r < math.MaxUint32 && (r+1)*(r+1) <= n {
		r++
	}
	return new(big.Int).SetUint64(r), new(big.Int).SetUint64(n - r*r)
}

package jwks

import (
	"math"
	"math/big"
	"math/bits"
)

// sqrtRem returns the integer square root of n, which must be positive, and what n is more
// than its square. big.Int.Sqrt divides numbers of full length a dozen times; this divides
// once at each length, which doubles from that of a word, and the remainder comes for free
// (Zimmermann, "Karatsuba Square Root", INRIA RR-3805).
func sqrtRem(n *big.Int) (root, rest *big.Int) {
	if n.BitLen() <= 64 {
		r := sqrtWord(n.Uint64())
		return new(big.Int).SetUint64(r), new(big.Int).SetUint64(n.Uint64() - r*r)
	}
	if words := n.Bits(); bits.UintSize == 64 && len(words) == 2 && words[1]>>62 != 0 {
		return sqrtRemPair(uint64(words[1]), uint64(words[0]))
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

	high, second, lowest := quarters(n, quarter)
	root, rest = sqrtRem(high)

	// Of what is left, the second quarter from below takes part in one division by twice
	// the root of the high half.
	quotient, divisor := new(big.Int), new(big.Int).Lsh(root, 1)
	quotient.QuoRem(rest.Lsh(rest, quarter).Or(rest, second), divisor, rest)

	root.Lsh(root, quarter).Add(root, quotient)
	rest.Lsh(rest, quarter).Or(rest, lowest)
	rest.Sub(rest, quotient.Mul(quotient, quotient))
	for rest.Sign() < 0 { // the quotient was one too large
		rest.Add(rest, divisor.Lsh(root, 1)).Sub(rest, one)
		root.Sub(root, one)
	}
	return root, rest
}

// quarters cuts a number into its high half and the two lower quarters, of so many bits each.
// They may share the words of n: they are to be read alone.
func quarters(n *big.Int, quarter uint) (high, second, lowest *big.Int) {
	if quarter%bits.UintSize == 0 {
		words, k := n.Bits(), quarter/bits.UintSize
		return new(big.Int).SetBits(words[2*k:]), new(big.Int).SetBits(words[k : 2*k]), new(big.Int).SetBits(words[:k])
	}
	mask := new(big.Int).Lsh(one, quarter)
	mask.Sub(mask, one)
	high, second = new(big.Int).Rsh(n, 2*quarter), new(big.Int).Rsh(n, quarter)
	return high, second.And(second, mask), mask.And(mask, n)
}

// sqrtRemPair is sqrtRem for two words, one of the two highest bits being set: the same steps
// without big numbers.
func sqrtRemPair(high, low uint64) (root, rest *big.Int) {
	r := sqrtWord(high)
	left := high - r*r // at most 2r: 33 bits
	quotient, left := bits.Div64(left>>32, left<<32|low>>32, 2*r)
	if quotient > math.MaxUint32 {
		quotient, left = quotient-1, left+2*r
	}
	r = r<<32 + quotient
	// What is left may be below zero, or above a word: over says how many times 2^64.
	rem, borrow := bits.Sub64(left<<32|low&math.MaxUint32, quotient*quotient, 0)
	over := int64(left>>32) - int64(borrow) //nolint:gosec // a bit
	for over < 0 {
		var carry uint64
		rem, carry = bits.Add64(rem, 2*r-1, 0)
		over += int64(carry) //nolint:gosec // a bit
		if r > 1<<63 {       // 2r-1 is more than a word
			over++
		}
		r--
	}
	rest = new(big.Int).SetUint64(uint64(over))
	return new(big.Int).SetUint64(r), rest.Lsh(rest, 64).Or(rest, new(big.Int).SetUint64(rem))
}

func sqrtWord(n uint64) uint64 {
	r := min(uint64(math.Sqrt(float64(n))), math.MaxUint32) // off by one at most
	for r*r > n {
		r--
	}
	for r < math.MaxUint32 && (r+1)*(r+1) <= n {
		r++
	}
	return r
}

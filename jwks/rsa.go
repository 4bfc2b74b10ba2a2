package jwks

import (
	"crypto"
	"crypto/rsa"
	_ "embed" // smallprimes.bin
	"math"
	"math/big"
	"slices"
	"strings"
)

// Bounds on RSA keys. NIST SP 800-131A sets the lower bounds; the upper ones keep a login,
// which tries the keys one after another, cheap.
const (
	minModulusBits = 2048
	maxModulusBits = 4096
	minExponent    = 65537
	maxExponent    = math.MaxInt32
)

func (m *member) rsaKey() (crypto.PublicKey, *objection) {
	if len(m.n) > minModulusBits/8 && strings.Trim(m.n, "0123456789abcdefABCDEFx") == "" {
		// These digits are base64url as well. Read so, they are nobody's modulus.
		return nil, object(ReasonMalformed, `"n" is hexadecimal or decimal, not base64url`)
	}
	modulus, why := octets("n", m.n)
	if why != nil {
		return nil, why
	}
	exponent, why := octets("e", m.e)
	if why != nil {
		return nil, why
	}
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	if why := judgeNumbers(n, e); why != nil {
		return nil, why
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// judgeNumbers returns what can be seen at a glance of an RSA key.
func judgeNumbers(n, e *big.Int) *objection {
	for _, test := range rsaTests {
		if why := test(n, e); why != nil {
			return why
		}
	}
	return nil
}

func modulusSize(n, _ *big.Int) *objection {
	if bits := n.BitLen(); bits < minModulusBits || bits > maxModulusBits {
		return object(ReasonSize, "RSA modulus of %d bits, not %d to %d", bits, minModulusBits, maxModulusBits)
	}
	return nil
}

func modulusOdd(n, _ *big.Int) *objection {
	if n.Bit(0) == 0 {
		return object(ReasonModulus, "even RSA modulus: anyone can factor it")
	}
	return nil
}

func exponentUsual(_, e *big.Int) *objection {
	switch {
	case e.Cmp(big.NewInt(maxExponent)) > 0:
		return object(ReasonExponent, "RSA exponent over %d", maxExponent)
	case e.Bit(0) == 0:
		return object(ReasonExponent, "even RSA exponent %d: no RSA key has one", e)
	case e.Cmp(big.NewInt(minExponent)) < 0:
		return object(ReasonExponent, "RSA exponent %d, under %d: signatures under small ones have been forged", e, minExponent)
	}
	return nil
}

// Bounds on the search for weak primes.
const (
	// maxSmallFactor is above every prime that is looked for in a modulus. NIST SP 800-89
	// section 5.3.3 asks for no factor under 752; the elliptic-curve method finds larger ones
	// than these, so that no bound here is the right one.
	maxSmallFactor = 1 << 20
	// maxROCAPrime is the largest prime of the fingerprint. The flawed library takes the
	// product of at least the primes up to here for a modulus of 1984 bits or more
	// (CVE-2017-15361; Nemec et al., "The Return of Coppersmith's Attack", section 2.1).
	maxROCAPrime = 701
	// rocaGenerator is what the flawed library takes powers of.
	rocaGenerator = 65537
	// fermatRounds is how long Fermat's method is tried: CA/Browser Forum, Baseline
	// Requirements for TLS, section 6.1.1.3.
	fermatRounds = 100
	// repeatedOctets is how many octets in a row may repeat those before them. So many do so
	// in fewer than one of 2^115 sound moduli.
	repeatedOctets = 16
)

// notROCA refuses a modulus whose remainders by small primes are all powers of 65537: the mark
// of a library whose keys can be factored. A sound modulus bears it once in more than 2^100.
func notROCA(n *big.Int) *objection {
	rest, divisor := new(big.Int), new(big.Int)
	for p := range oddPrimes(maxROCAPrime + 1) {
		if rest.Rem(n, divisor.SetUint64(p)); !isROCAPower(rest.Uint64(), p) {
			return nil
		}
	}
	return object(ReasonROCA, "RSA modulus with the fingerprint of ROCA (CVE-2017-15361): its private key can be computed")
}

// isROCAPower reports whether a remainder by the prime p is a power of rocaGenerator.
func isROCAPower(rest, p uint64) bool {
	power := uint64(1)
	for power != rest {
		if power = power * rocaGenerator % p; power == 1 {
			return false
		}
	}
	return true
}

// smallPrimeOctets is the product of the odd primes under maxSmallFactor, big-endian. It is here as
// bytes, since multiplying them takes longer than judging a key.
//
//go:embed smallprimes.bin
var smallPrimeOctets []byte

// smallPrimesMod returns that product modulo n. It goes by pieces, which stay in the processor's
// cache, and whose division leaves next to nothing to be collected.
func smallPrimesMod(n *big.Int) *big.Int {
	const piece = 2 << 10
	rest, octets, quotient := new(big.Int), new(big.Int), new(big.Int)
	for part := range slices.Chunk(smallPrimeOctets, piece) {
		octets.SetBytes(part)
		octets.Add(octets, rest.Lsh(rest, uint(8*len(part))))
		quotient.QuoRem(octets, n, rest)
	}
	return rest
}

// noSmallFactor refuses a modulus that a prime under maxSmallFactor divides.
func noSmallFactor(n *big.Int) *objection {
	common := smallPrimesMod(n)
	common.GCD(nil, nil, common, n)
	switch {
	case common.IsInt64() && common.Int64() == 1:
		return nil
	case common.IsInt64():
		return object(ReasonFactor, "RSA modulus divisible by %d: anyone can factor it", common)
	}
	return object(ReasonFactor, "RSA modulus divisible by several primes under %d: anyone can factor it", maxSmallFactor)
}

// oddPrimes yields the odd primes under limit.
func oddPrimes(limit uint64) func(yield func(uint64) bool) {
	return func(yield func(uint64) bool) {
		composite := make([]bool, limit/2) // the odd numbers: 1, 3, 5
		for p := uint64(3); p < limit; p += 2 {
			if composite[p/2] {
				continue
			}
			for multiple := p * p / 2; multiple < limit/2; multiple += p {
				composite[multiple] = true
			}
			if !yield(p) {
				return
			}
		}
	}
}

// primesApart tries Fermat's method, which factors a modulus whose primes are close to one
// another: if a*a-n is a square b*b for an a just above the root of n, then n is
// (a-b)*(a+b). The square of a prime falls at once.
func primesApart(n *big.Int) *objection {
	a, difference, one := new(big.Int).Sqrt(n), new(big.Int), big.NewInt(1)
	for range fermatRounds + 1 { // the first a is the root or less
		if difference.Mul(a, a).Sub(difference, n); difference.Sign() >= 0 && isSquare(difference) {
			return object(ReasonClosePrimes, "RSA modulus of two primes close to each other: Fermat's method factors it")
		}
		a.Add(a, one)
	}
	return nil
}

// isSquare reports whether a number that isn't negative is a square.
func isSquare(i *big.Int) bool {
	// Of the 64 remainders by 64, squares have these 12.
	const remainders = uint64(1<<0 | 1<<1 | 1<<4 | 1<<9 | 1<<16 | 1<<17 | 1<<25 | 1<<33 | 1<<36 | 1<<41 | 1<<49 | 1<<57)
	if words := i.Bits(); len(words) > 0 && remainders>>(words[0]%64)&1 == 0 {
		return false
	}
	root := new(big.Int).Sqrt(i)
	return root.Mul(root, root).Cmp(i) == 0
}

// noPattern refuses a modulus with a run of octets that repeat those before them, as blank
// memory and broken sources of randomness make them.
func noPattern(n *big.Int) *objection {
	octets := n.Bytes()
	for period := 1; period <= repeatedOctets; period++ {
		run := 0
		for i := period; i < len(octets); i++ {
			if octets[i] != octets[i-period] {
				run = 0
			} else if run++; run == repeatedOctets {
				return object(ReasonPattern, "RSA modulus that repeats a pattern of %d bytes: it wasn't made at random", period)
			}
		}
	}
	return nil
}

// composite refuses a modulus that is itself prime: then the private exponent is the inverse
// of the public one modulo n-1, and anyone can sign. ProbablyPrime(0) is one Miller-Rabin
// round, which every prime passes and almost no product of two does, and after that a Lucas
// test: no product is known that passes both, so that no sound key is refused.
func composite(n *big.Int) *objection {
	if n.ProbablyPrime(0) {
		return object(ReasonPrime, "RSA modulus that is a prime itself: anyone can sign with it")
	}
	return nil
}

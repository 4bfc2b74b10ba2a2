package jwks

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
	"strings"
	"sync"
)

// Bounds on RSA keys. NIST SP 800-131A sets the lower bounds; the upper ones keep a login,
// which tries the keys one after another, cheap.
const (
	minModulusBits = 2048
	maxModulusBits = 4096
	minExponent    = 65537
	maxExponent    = math.MaxInt32
)

func judgeRSA(m *member) *objection {
	if len(m.n) > minModulusBits/8 && strings.Trim(m.n, "0123456789abcdefABCDEFx") == "" {
		// These digits are base64url as well. Read so, they are nobody's modulus.
		return object(ReasonMalformed, `"n" is hexadecimal or decimal, not base64url`)
	}
	modulus, why := octets("n", m.n)
	if why != nil {
		return why
	}
	exponent, why := octets("e", m.e)
	if why != nil {
		return why
	}
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
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
	// maxSmallFactor is the largest prime that a modulus is divided by: NIST SP 800-89
	// section 5.3.3 asks for no factor smaller than 752.
	maxSmallFactor = 751
	// maxROCAPrime is the largest prime of the fingerprint. The flawed library takes the
	// product of at least the primes up to here for a modulus of 1984 bits or more
	// (CVE-2017-15361; Nemec et al., "The Return of Coppersmith's Attack", section 2.1).
	maxROCAPrime = 701
	// rocaGenerator is what the flawed library takes powers of.
	rocaGenerator = 65537
	// fermatRounds is how long Fermat's method is tried: CA/Browser Forum, Baseline
	// Requirements for TLS, section 6.1.1.3.
	fermatRounds = 100
)

// modulusResidues divides the modulus by every small prime. A remainder of 0 is a factor;
// remainders that are all powers of 65537 are the mark of a library whose keys can be factored
// (ROCA), which a sound modulus bears once in more than 2^100.
func modulusResidues(n, _ *big.Int) *objection {
	primes := smallPrimes()
	// The remainder by all of them together is half as long as the shortest modulus.
	short := new(big.Int).Rem(n, primes.product)
	var octets [maxModulusBits / 8]byte
	words := significant(short, octets[:])
	roca := true
	for _, chunk := range primes.chunks {
		rest := residue(words, chunk.product)
		for _, prime := range chunk.primes {
			residue := rest % prime.p
			if residue == 0 {
				return object(ReasonFactor, "RSA modulus divisible by %d: anyone can factor it", prime.p)
			}
			if prime.powers != nil {
				roca = roca && prime.powers[residue]
			}
		}
	}
	if roca {
		return object(ReasonROCA, "RSA modulus with the fingerprint of ROCA (CVE-2017-15361): its private key can be computed")
	}
	return nil
}

// significant fills octets, whose length is a multiple of 8, with a number and returns what
// is left of them without leading words of zero.
func significant(i *big.Int, octets []byte) []byte {
	i.FillBytes(octets)
	return octets[len(octets)-(i.BitLen()+63)/64*8:]
}

// residue returns the remainder of a number of whole words, the highest first, by a divisor.
func residue(words []byte, divisor uint64) (rest uint64) {
	for i := 0; i < len(words); i += 8 {
		_, rest = bits.Div64(rest, binary.BigEndian.Uint64(words[i:]), divisor)
	}
	return rest
}

// primeTable is all the primes that a modulus is divided by, and their product.
type primeTable struct {
	chunks  []primeChunk
	product *big.Int
}

// primeChunk is primes whose product fits a word, so that one pass over a modulus serves
// them all.
type primeChunk struct {
	product uint64
	primes  []smallPrime
}

type smallPrime struct {
	p      uint64
	powers []bool // by remainder: whether it is a power of rocaGenerator; nil: not asked for
}

// smallPrimes are the odd primes up to maxSmallFactor, made at the first RSA key.
var smallPrimes = sync.OnceValue(func() primeTable {
	var composite [maxSmallFactor + 1]bool
	chunks := []primeChunk{{product: 1}}
	for p := uint64(3); p <= maxSmallFactor; p += 2 {
		if composite[p] {
			continue
		}
		for multiple := p * p; multiple <= maxSmallFactor; multiple += p {
			composite[multiple] = true
		}
		prime := smallPrime{p: p}
		if p <= maxROCAPrime {
			prime.powers = make([]bool, p)
			for power := uint64(1); !prime.powers[power]; power = power * rocaGenerator % p {
				prime.powers[power] = true
			}
		}
		last := &chunks[len(chunks)-1]
		if over, _ := bits.Mul64(last.product, p); over != 0 {
			chunks = append(chunks, primeChunk{product: 1})
			last = &chunks[len(chunks)-1]
		}
		last.product *= p
		last.primes = append(last.primes, prime)
	}
	table := primeTable{chunks: chunks, product: big.NewInt(1)}
	for _, chunk := range chunks {
		table.product.Mul(table.product, new(big.Int).SetUint64(chunk.product))
	}
	return table
})

// primesApart tries Fermat's method, which factors a modulus whose primes are close to one
// another: if a*a-n is a square b*b for an a little above the root of n, then n is
// (a-b)*(a+b). The square of a prime falls at once.
func primesApart(n, _ *big.Int) *objection {
	a, rest := sqrtRem(n)
	difference := new(big.Int) // a*a-n
	if rest.Sign() > 0 {
		// (a+1)^2-n = 2a+1-rest
		difference.Lsh(a, 1).Add(difference, one).Sub(difference, rest)
		a.Add(a, one)
	}
	// A square has the remainder of a square by any divisor. Few other numbers have by all of
	// these, so that hardly one of the differences, each 2a+1 more than the one before, is
	// ever made.
	d, step := wordRemainder(difference), (2*wordRemainder(a)+1)%squareDivisor
	squares := squareRemainders()
	for round := range int64(fermatRounds) {
		if squares.has(d) && isFermat(n, a, round) {
			return object(ReasonClosePrimes, "RSA modulus of two primes close to each other: Fermat's method factors it")
		}
		d, step = (d+step)%squareDivisor, (step+2)%squareDivisor
	}
	return nil
}

var one = big.NewInt(1)

// isFermat says whether (a+round)^2-n is a square.
func isFermat(n, a *big.Int, round int64) bool {
	difference := new(big.Int).Add(a, big.NewInt(round))
	difference.Mul(difference, difference)
	difference.Sub(difference, n)
	root := new(big.Int).Sqrt(difference)
	return root.Mul(root, root).Cmp(difference) == 0
}

// Divisors that few remainders of squares go with, such as 12 of 64 and 16 of 63: of a
// thousand numbers less than one passes them all. Their product times 64 fits a word.
var squareDivisors = []uint64{64, 63, 65, 11, 17, 19, 23, 31}

const squareDivisor = 64 * 63 * 65 * 11 * 17 * 19 * 23 * 31

// remaindersOfSquares says, by index of a divisor and by remainder, whether squares have it.
type remaindersOfSquares [][]bool

var squareRemainders = sync.OnceValue(func() remaindersOfSquares {
	squares := make(remaindersOfSquares, len(squareDivisors))
	for i, divisor := range squareDivisors {
		squares[i] = make([]bool, divisor)
		for root := range divisor {
			squares[i][root*root%divisor] = true
		}
	}
	return squares
})

// has says whether a number with this remainder by squareDivisor may be a square.
func (r remaindersOfSquares) has(remainder uint64) bool {
	for i, divisor := range squareDivisors {
		if !r[i][remainder%divisor] {
			return false
		}
	}
	return true
}

// wordRemainder returns the remainder of a number, which isn't negative, by squareDivisor.
func wordRemainder(i *big.Int) uint64 {
	var octets [maxModulusBits/8 + 8]byte
	return residue(significant(i, octets[:]), squareDivisor)
}

package jwks

import (
	"bytes"
	"crypto/elliptic"
	"encoding/hex"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The judges here decide by other means than the package's own what it must accept. They
// are written for plainness, not for speed.

// privateMembersOf returns the names of the private members of a well-formed document: those that
// hold something, and those that are empty and not allowed to be. It knows
// nothing of the structure: a string before a colon is a name, wherever it stands, and
// whatever follows is its value. So it is blind to neither duplicates nor depth.
func privateMembersOf(data []byte) (lost, empty []string) {
	for i := 0; i < len(data); i++ {
		if data[i] != '"' {
			continue
		}
		start := i
		for i++; i < len(data) && data[i] != '"'; i++ {
			if data[i] == '\\' {
				i++
			}
		}
		if i >= len(data) {
			return lost, empty
		}
		name := unescape(data[start+1 : i])
		rest, isName := bytes.CutPrefix(bytes.TrimLeft(data[i+1:], " \t\r\n"), []byte(":"))
		if !isName {
			continue
		}
		rest = bytes.TrimLeft(rest, " \t\r\n")
		switch name {
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv":
			list := emptyList.Match(rest)
			switch {
			case bytes.HasPrefix(rest, []byte("null")), name == "oth" && list:
			case list, bytes.HasPrefix(rest, []byte(`""`)), emptyObject.Match(rest):
				empty = append(empty, name)
			default:
				lost = append(lost, name)
			}
		}
	}
	return lost, empty
}

var (
	emptyList   = regexp.MustCompile(`^\[[ \t\r\n]*\]`)
	emptyObject = regexp.MustCompile(`^\{[ \t\r\n]*\}`)
)

// unescape decodes the escapes of a JSON string that can stand for ASCII letters.
func unescape(raw []byte) string {
	var out strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 >= len(raw) {
			out.WriteByte(raw[i])
			continue
		}
		i++
		if raw[i] != 'u' || i+4 >= len(raw) {
			out.WriteByte('?') // \n and the like: not a letter
			continue
		}
		if code, err := strconv.ParseUint(string(raw[i+1:i+5]), 16, 16); err == nil && code < 0x80 {
			out.WriteByte(byte(code))
		} else {
			out.WriteByte('?')
		}
		i += 4
	}
	return out.String()
}

// primesTo returns the primes up to n, by trial division.
func primesTo(n int64) []*big.Int {
	var primes []*big.Int
	for i := int64(2); i <= n; i++ {
		prime := true
		for _, p := range primes {
			if p := p.Int64(); p*p > i {
				break
			} else if i%p == 0 {
				prime = false
				break
			}
		}
		if prime {
			primes = append(primes, big.NewInt(i))
		}
	}
	return primes
}

var (
	primesTo2To20 = sync.OnceValue(func() []*big.Int { return primesTo(1 << 20) })
	primesTo701   = sync.OnceValue(func() []*big.Int { return primesTo(701)[1:] })
)

// modulusFaults returns what speaks against reading an RSA modulus.
func modulusFaults(n *big.Int) (why []Reason) {
	if bits := n.BitLen(); bits < 2048 || bits > 4096 {
		why = append(why, ReasonSize)
	}
	if new(big.Int).And(n, big.NewInt(1)).Sign() == 0 {
		why = append(why, ReasonModulus)
	}
	return why
}

// weaknessesOf returns what speaks against trusting an RSA modulus that could be read.
func weaknessesOf(n *big.Int) []Reason {
	known, ok := weaknessesFound.Load(n.Text(16))
	if !ok {
		known, _ = weaknessesFound.LoadOrStore(n.Text(16), findWeaknesses(n))
	}
	return known.([]Reason)
}

var weaknessesFound sync.Map // by modulus: most are looked at many times

func findWeaknesses(n *big.Int) (why []Reason) {
	rest := new(big.Int)
	if slices.ContainsFunc(primesTo2To20(), func(p *big.Int) bool { return rest.Rem(n, p).Sign() == 0 }) {
		why = append(why, ReasonFactor)
	}
	if isROCA(n) {
		why = append(why, ReasonROCA)
	}
	if fallsToFermat(n) {
		why = append(why, ReasonClosePrimes)
	}
	octets := n.Bytes()
	for i := range octets {
		for period := 1; period <= 16 && i+period+16 <= len(octets); period++ {
			if bytes.Equal(octets[i:i+16], octets[i+period:i+period+16]) {
				why = append(why, ReasonPattern)
			}
		}
	}
	// Fermat's little theorem: of what has no small factor, hardly anything but a prime holds to
	// it.
	if least := new(big.Int).Sub(n, big.NewInt(1)); rest.Exp(big.NewInt(3), least, n).Cmp(big.NewInt(1)) == 0 {
		why = append(why, ReasonPrime)
	}
	return why
}

func exponentFaults(e *big.Int) []Reason {
	if !e.IsInt64() || e.Int64() < 65537 || e.Int64()%2 == 0 || e.Int64() > 2147483647 {
		return []Reason{ReasonExponent}
	}
	return nil
}

// isROCA reports whether n is a power of 65537 by every prime up to 701. The group is cyclic, so
// n is one if its own order divides that of 65537.
func isROCA(n *big.Int) bool {
	for _, p := range primesTo701() {
		if new(big.Int).Exp(n, generatorOrder(p.Int64()), p).Cmp(big.NewInt(1)) != 0 {
			return false
		}
	}
	return true
}

func generatorOrder(p int64) *big.Int {
	order := int64(1)
	for power := int64(65537) % p; power != 1; power = power * 65537 % p {
		order++
	}
	return big.NewInt(order)
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

// onWeierstrass solves y² = x³ - 3x + b (SEC 2).
func onWeierstrass(curve *elliptic.CurveParams, x, y *big.Int) bool {
	if x.Cmp(curve.P) >= 0 || y.Cmp(curve.P) >= 0 {
		return false
	}
	right := new(big.Int).Exp(x, big.NewInt(3), nil)
	right.Sub(right, new(big.Int).Mul(x, big.NewInt(3))).Add(right, curve.B)
	left := new(big.Int).Mul(y, y)
	return left.Sub(left, right).Mod(left, curve.P).Sign() == 0
}

// smallOrderPoints are the points of order 1, 2, 4 and 8 in their canonical encoding.
var smallOrderPoints = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
}

// edwardsFaults returns what speaks against an Ed25519 key (RFC 8032 section 5.1.3), or nothing.
func edwardsFaults(encoded []byte) []Reason {
	if len(encoded) != 32 {
		return []Reason{ReasonPoint}
	}
	if slices.Contains(smallOrderPoints, hex.EncodeToString(encoded)) {
		return []Reason{ReasonOrder}
	}
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	octets := slices.Clone(encoded)
	sign := octets[31] >> 7
	octets[31] &= 0x7f
	slices.Reverse(octets)
	y := new(big.Int).SetBytes(octets)
	if y.Cmp(p) >= 0 {
		return []Reason{ReasonPoint}
	}
	// x² = (y² - 1) / (d y² + 1), d = -121665/121666
	one := big.NewInt(1)
	d := new(big.Int).ModInverse(big.NewInt(121666), p)
	d.Mod(d.Mul(d, big.NewInt(-121665)), p)
	square := new(big.Int).Mul(y, y)
	below := new(big.Int).Mul(d, square)
	below.Mod(below.Add(below, one), p)
	x := new(big.Int).Sub(square, one)
	x.Mod(x.Mul(x, below.ModInverse(below, p)), p)
	if big.Jacobi(x, p) < 0 || x.Sign() == 0 && sign == 1 {
		return []Reason{ReasonPoint}
	}
	return nil
}

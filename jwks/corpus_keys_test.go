package jwks

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
)

// rsaDocuments hold RSA keys whose numbers are bad, or just good enough.
func rsaDocuments() map[string][]byte {
	n := func(n *big.Int) []byte { return beside(rsaOf("weak", fields{"n": encodeInt(n)})) }
	e := func(e *big.Int) []byte { return beside(rsaOf("weak", fields{"e": encodeInt(e)})) }
	product := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	shift := func(bits uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), bits) }
	times := func(factor int64) []byte {
		factorBits := big.NewInt(factor).BitLen()
		return n(product(big.NewInt(factor), modulus("cofactor", 2049-factorBits)))
	}
	p := prime("weak", 1024)
	return map[string][]byte{
		"rsa-512.json":          n(modulus("weak", 512)),
		"rsa-1024.json":         n(modulus("weak", 1024)),
		"rsa-2047.json":         n(modulus("weak", 2047)),
		"rsa-2048-to-4096.json": beside(rsaOf("2048", fields{"n": encodeInt(modulus("a", 2048))}), rsaOf("3072", fields{"n": encodeInt(modulus("a", 3072))}), rsaOf("4096", fields{"n": encodeInt(modulus("a", 4096))})),
		"rsa-4097.json":         n(oddNumber("weak", 4097)),
		"rsa-16384.json":        n(oddNumber("weak", 16384)),
		"rsa-zero.json":         beside(rsaOf("weak", fields{"n": "AA"})),
		"rsa-one.json":          n(big.NewInt(1)),
		"rsa-even.json":         n(product(big.NewInt(2), modulus("cofactor", 2047))),
		"rsa-power-of-two.json": n(shift(2047)),
		"rsa-factor-3.json":     times(3),
		"rsa-factor-641.json":   times(641),
		"rsa-factor-751.json":   times(751),
		"rsa-factor-757.json":   times(757),
		"rsa-factor-2-20.json":  times(1<<20 - 3),
		"rsa-pattern.json":      n(repeating("weak", 2048)),
		"rsa-prime.json":        n(primeModulus()),
		"rsa-all-ones.json":     n(new(big.Int).Sub(shift(2048), big.NewInt(1))),
		"rsa-roca.json":         n(product(flawedPrime("roca p"), flawedPrime("roca q"))),
		"rsa-square.json":       n(product(p, p)),
		"rsa-close.json":        n(product(p, primeAbove(p, big.NewInt(2)))),
		"rsa-close-512.json":    n(product(p, primeAbove(p, shift(512)))),
		"rsa-e-0.json":          beside(rsaOf("weak", fields{"e": "AA"})),
		"rsa-e-1.json":          e(big.NewInt(1)),
		"rsa-e-2.json":          e(big.NewInt(2)),
		"rsa-e-3.json":          e(big.NewInt(3)),
		"rsa-e-17.json":         e(big.NewInt(17)),
		"rsa-e-65536.json":      e(big.NewInt(65536)),
		"rsa-e-65539.json":      e(big.NewInt(65539)),
		"rsa-e-2147483647.json": e(big.NewInt(1<<31 - 1)),
		"rsa-e-2147483649.json": e(big.NewInt(1<<31 + 1)),
		"rsa-e-wraps.json":      e(new(big.Int).Add(shift(64), big.NewInt(65537))),
		"rsa-e-n.json":          e(modulus("weak", 2048)),
	}
}

// rsaEncodingDocuments hold sound RSA keys that are badly written down.
func rsaEncodingDocuments() map[string][]byte {
	octets := modulus("weak", 2048).Bytes()
	rsa := func(changes fields) []byte { return beside(rsaOf("weak", changes)) }
	text := encode(octets)
	der := append([]byte{0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00}, append(octets, 2, 3, 1, 0, 1)...)
	return map[string][]byte{
		"rsa-n-missing.json":        rsa(fields{"n": nil}),
		"rsa-n-empty.json":          rsa(fields{"n": ""}),
		"rsa-n-null.json":           rsa(fields{"n": json.RawMessage("null")}),
		"rsa-n-number.json":         rsa(fields{"n": 65537}),
		"rsa-n-array.json":          rsa(fields{"n": []any{text}}),
		"rsa-n-padded.json":         rsa(fields{"n": base64.URLEncoding.EncodeToString(octets)}),
		"rsa-n-line-feeds.json":     rsa(fields{"n": text[:64] + "\n" + text[64:]}),
		"rsa-n-blank-before.json":   rsa(fields{"n": " " + text}),
		"rsa-n-tab-after.json":      rsa(fields{"n": text + "\t"}),
		"rsa-n-standard.json":       rsa(fields{"n": base64.RawStdEncoding.EncodeToString(octets)}),
		"rsa-n-one-sextet.json":     rsa(fields{"n": text + "AAA"}),
		"rsa-n-hex.json":            rsa(fields{"n": "0x" + strings.ToUpper(hex.EncodeToString(octets)) + ":"}),
		"rsa-n-hex-digits.json":     rsa(fields{"n": hex.EncodeToString(octets)}),
		"rsa-n-decimal.json":        rsa(fields{"n": new(big.Int).SetBytes(octets).String()}),
		"rsa-n-der.json":            rsa(fields{"n": encode(append(der, make([]byte, 256)...))}),
		"rsa-n-zero-led.json":       rsa(fields{"n": encode(append([]byte{0}, octets...))}),
		"rsa-n-zeros-led.json":      rsa(fields{"n": encode(append(make([]byte, 300), octets...))}),
		"rsa-e-missing.json":        rsa(fields{"e": nil}),
		"rsa-e-number.json":         rsa(fields{"e": 65537}),
		"rsa-e-decimal.json":        rsa(fields{"e": "65537"}),
		"rsa-e-padded.json":         rsa(fields{"e": "AQAB===="}),
		"rsa-e-zero-led.json":       rsa(fields{"e": "AAEAAQ"}),
		"rsa-swapped.json":          rsa(fields{"n": "AQAB", "e": text}),
		"rsa-names-upper-case.json": rsa(fields{"n": nil, "e": nil, "N": text, "E": "AQAB"}),
	}
}

// ecDocuments hold EC keys that are no points of their curve, or badly written down.
func ecDocuments() map[string][]byte {
	p256 := elliptic.P256()
	x, y := point("bad", p256)
	key := func(changes fields) []byte { return beside(ec("bad", p256, changes)) }
	flipped := append([]byte{}, y...)
	flipped[31] ^= 1
	negated := new(big.Int).Sub(p256.Params().P, new(big.Int).SetBytes(y)).FillBytes(make([]byte, 32))
	past := new(big.Int).Add(p256.Params().P, big.NewInt(5)).FillBytes(make([]byte, 32)) // x = 5 is on the curve
	px, py := point("other", elliptic.P384())
	zeroLed := func() (x, y []byte) {
		for i := byte('a'); ; i++ {
			for j := byte('a'); j <= 'z'; j++ {
				if x, y = point(string([]byte{i, j}), p256); x[0] == 0 {
					return x, y
				}
			}
		}
	}
	zx, zy := zeroLed()
	return map[string][]byte{
		"ec-all.json": pretty(fields{"keys": []any{
			ec("P-256", p256, nil), ec("P-384", elliptic.P384(), nil), ec("P-521", elliptic.P521(), nil),
		}}),
		"ec-negated.json":        key(fields{"y": encode(negated)}),
		"ec-off-curve.json":      key(fields{"y": encode(flipped)}),
		"ec-swapped.json":        key(fields{"x": encode(y), "y": encode(x)}),
		"ec-infinity.json":       key(fields{"x": encode(make([]byte, 32)), "y": encode(make([]byte, 32))}),
		"ec-past-field.json":     key(fields{"x": encode(past), "y": encode(sqrtAtFive())}),
		"ec-other-curve.json":    key(fields{"x": encode(px), "y": encode(py)}),
		"ec-p-521-as-p-256.json": beside(ec("bad", elliptic.P521(), fields{"crv": "P-256"})),
		"ec-x-missing.json":      key(fields{"x": nil}),
		"ec-y-missing.json":      key(fields{"y": nil}),
		"ec-y-empty.json":        key(fields{"y": ""}),
		"ec-y-parity.json":       key(fields{"y": true}),
		"ec-x-short.json":        key(fields{"x": encode(x[1:])}),
		"ec-x-long.json":         key(fields{"x": encode(append([]byte{0}, x...))}),
		"ec-x-stripped.json":     key(fields{"x": encode(zx[1:]), "y": encode(zy)}),
		"ec-stripped-other.json": key(fields{"x": encode(zx[1:]), "y": encode(flippedLast(zy))}),
		"ec-x-zero-led.json":     key(fields{"x": encode(zx), "y": encode(zy)}),
		"ec-x-padded.json":       key(fields{"x": base64.URLEncoding.EncodeToString(x)}),
		"ec-x-blank.json":        key(fields{"x": encode(x)[:20] + " " + encode(x)[20:]}),
		"ec-y-standard.json":     key(fields{"y": strings.Repeat("+", 43)}),
		"ec-x-number.json":       key(fields{"x": 5}),
		"ec-uncompressed.json":   key(fields{"x": encode(append(append([]byte{4}, x...), y...))}),
	}
}

// flippedLast is b with its last bit another.
func flippedLast(b []byte) []byte {
	b = slices.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// sqrtAtFive is the y of P-256 at x = 5.
func sqrtAtFive() []byte {
	params := elliptic.P256().Params()
	square := new(big.Int).Add(big.NewInt(125-15), params.B)
	return new(big.Int).ModSqrt(square.Mod(square, params.P), params.P).FillBytes(make([]byte, 32))
}

// ed25519Documents hold Ed25519 keys that are no keys, or that anyone can sign with.
func ed25519Documents() map[string][]byte {
	good := edwardsPoint("bad")
	x := func(x any) []byte { return beside(ed("bad", fields{"x": x})) }
	many := func(encodings [][]byte) []byte {
		var members []any
		for _, encoding := range encodings {
			members = append(members, ed("forgeable", fields{"x": encode(encoding)}))
		}
		return beside(members...)
	}
	past := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19-3)) // y = 3 is on the curve
	octets := past.FillBytes(make([]byte, 32))
	for i, j := 0, 31; i < j; i, j = i+1, j-1 {
		octets[i], octets[j] = octets[j], octets[i]
	}
	return map[string][]byte{
		"ed25519-small-order.json":      many(smallOrder()),
		"ed25519-small-order-else.json": many(nonCanonicalSmallOrder()),
		"ed25519-not-reduced.json":      x(encode(octets)),
		"ed25519-off-curve.json":        x(encode(offTheCurve())),
		"ed25519-all-ones.json":         x(encode(bytes.Repeat([]byte{0xff}, 32))),
		"ed25519-31.json":               x(encode(good[:31])),
		"ed25519-33.json":               x(encode(append(good[:32:32], 0))),
		"ed25519-64.json":               x(encode(append(good[:32:32], good...))),
		"ed25519-spki.json":             x(encode(append([]byte{0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0}, good...))),
		"ed25519-missing.json":          x(nil),
		"ed25519-empty.json":            x(""),
		"ed25519-number.json":           x(1),
		"ed25519-padded.json":           x(base64.URLEncoding.EncodeToString(good)),
		"ed25519-blank.json":            x(encode(good) + " "),
		"ed25519-standard.json":         x(strings.Repeat("/", 43)),
		"ed25519-hex.json":              x(hex.EncodeToString(good)),
		"ed25519-stray-y.json":          beside(ed("good", fields{"y": "AA"})),
	}
}

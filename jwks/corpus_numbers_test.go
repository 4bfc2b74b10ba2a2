package jwks

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"filippo.io/edwards25519"
)

// The numbers of the corpus come out of SHA-256, so that the corpus can be made again byte for
// byte and yet nobody has a private half of a key in it that is accepted: not even who made it.

// stream returns n bytes that the label stands for.
func stream(label string, n int) []byte {
	var out []byte
	for i := uint64(0); len(out) < n; i++ {
		block := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(label), i))
		out = append(out, block[:]...)
	}
	return out[:n]
}

// oddNumber returns an odd number of so many bits, the two highest set.
func oddNumber(label string, bits int) *big.Int {
	i := new(big.Int).SetBytes(stream(label, (bits+7)/8))
	i.Rsh(i, uint((bits+7)/8*8-bits))
	return i.SetBit(i.SetBit(i.SetBit(i, 0, 1), bits-1, 1), bits-2, 1)
}

var moduli sync.Map // what modulus returned, by its arguments: finding one takes a while

// modulus returns a number of so many bits that passes for a modulus, of unknown factors.
func modulus(label string, bits int) *big.Int {
	name := fmt.Sprint(label, "/", bits)
	if n, ok := moduli.Load(name); ok {
		return new(big.Int).Set(n.(*big.Int))
	}
	n := oddNumber(label, bits)
	for weakness(n) != nil {
		n.Add(n, big.NewInt(2))
	}
	moduli.Store(name, new(big.Int).Set(n))
	return n
}

// repeating returns a number without small factors, of so many bits, that repeats eight bytes.
func repeating(label string, bits int) *big.Int {
	octets := bytes.Repeat(stream(label, 8), bits/64)
	octets[0] |= 0xc0
	return oddCofactor(octets)
}

// primeModulus returns a prime of 2048 bits, the first above its odd number.
func primeModulus() *big.Int {
	n := oddNumber("weak modulus", 2048)
	return n.Add(n, big.NewInt(192))
}

// prime returns the first prime above an odd number, by whose label anyone can find it.
func prime(label string, bits int) *big.Int {
	return primeAbove(oddNumber(label, bits), big.NewInt(0))
}

// flawedPrime is rocaPrime, always the same one for a label.
func flawedPrime(label string) *big.Int {
	m := big.NewInt(1)
	for p := int64(2); p <= maxROCAPrime; p++ {
		if big.NewInt(p).ProbablyPrime(0) {
			m.Mul(m, big.NewInt(p))
		}
	}
	k := new(big.Int).Div(oddNumber(label+" k", 1024), m)
	a := oddNumber(label+" a", 512)
	for {
		p := new(big.Int).Exp(big.NewInt(rocaGenerator), a, m)
		if p.Add(p, new(big.Int).Mul(k, m)); p.ProbablyPrime(20) {
			return p
		}
		a.Add(a, big.NewInt(1))
	}
}

// point returns the coordinates of a point of a curve, whose logarithm nobody knows.
func point(label string, curve elliptic.Curve) (x, y []byte) {
	params := curve.Params()
	size := (params.BitSize + 7) / 8
	for i := new(big.Int).SetBytes(stream(label, size)); ; i.Add(i, big.NewInt(1)) {
		i.Mod(i, params.P)
		square := new(big.Int).Exp(i, big.NewInt(3), params.P) // x^3 - 3x + b
		square.Sub(square, new(big.Int).Mul(i, big.NewInt(3)))
		square.Add(square, params.B).Mod(square, params.P)
		if root := new(big.Int).ModSqrt(square, params.P); root != nil {
			return i.FillBytes(make([]byte, size)), root.FillBytes(make([]byte, size))
		}
	}
}

// edwardsPoint returns the encoding of a point of large order, whose logarithm nobody knows.
func edwardsPoint(label string) []byte {
	octets := stream(label, 32)
	for {
		if p, err := new(edwards25519.Point).SetBytes(octets); err == nil {
			return p.MultByCofactor(p).Bytes()
		}
		octets[0]++
	}
}

// offTheCurve returns 32 bytes that stand for no point.
func offTheCurve() []byte {
	octets := make([]byte, 32)
	octets[0] = 2
	return octets
}

// smallOrder returns the encodings of the eight points whose order divides the cofactor.
func smallOrder() [][]byte {
	octets, err := hex.DecodeString("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
	if err != nil {
		panic(err)
	}
	generator, err := new(edwards25519.Point).SetBytes(octets)
	if err != nil {
		panic(err)
	}
	var encodings [][]byte
	sum := edwards25519.NewIdentityPoint()
	for range 8 {
		encodings = append(encodings, sum.Bytes())
		sum = new(edwards25519.Point).Add(sum, generator)
	}
	return encodings
}

// nonCanonicalSmallOrder returns the other encodings of these points that decoders take: a y
// past the field, and a sign where x is 0.
func nonCanonicalSmallOrder() [][]byte {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	var encodings [][]byte
	for _, y := range []*big.Int{
		big.NewInt(1), new(big.Int).Sub(p, big.NewInt(1)), p, new(big.Int).Add(p, big.NewInt(1)),
	} {
		for _, sign := range []byte{0, 0x80} {
			octets := y.FillBytes(make([]byte, 32))
			slices.Reverse(octets)
			octets[31] |= sign
			if point, err := new(edwards25519.Point).SetBytes(octets); err == nil && !slices.Equal(point.Bytes(), octets) {
				encodings = append(encodings, octets)
			}
		}
	}
	return encodings
}

// certificate returns an X.509 certificate, as x5c has it, for the modulus of that label. Its
// signature is one that anybody could make.
func certificate(label string) string {
	issuer := ed25519.NewKeyFromSeed(stream("issuer of "+label, ed25519.SeedSize))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: label},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	public := &rsa.PublicKey{N: modulus(label, 2048), E: 65537}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, issuer)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

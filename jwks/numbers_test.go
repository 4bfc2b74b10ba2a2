package jwks

import (
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"sync"

	"filippo.io/edwards25519"
)

// Numbers come out of SHA-256, so that they are the same in each run and yet nobody has a private
// half of a key that is accepted: not even who wrote the test. Those of the corpus did, too.

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

// primeModulus returns a prime of 2048 bits, the first above its odd number.
func primeModulus() *big.Int {
	n := oddNumber("weak modulus", 2048)
	return n.Add(n, big.NewInt(192))
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

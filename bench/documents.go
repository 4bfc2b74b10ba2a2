package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
)

// kinds of key sets: what the keys of a document are.
const (
	kindRSA     = "RSA 2048"
	kindLarge   = "RSA 4096"
	kindEd25519 = "Ed25519"
	kindMixed   = "RSA 2048 and Ed25519"
)

// member is one key as Nomad writes it.
type member struct {
	Use       string `json:"use"`
	KeyType   string `json:"kty"`
	KeyID     string `json:"kid"`
	Curve     string `json:"crv,omitempty"`
	Algorithm string `json:"alg"`
	N         string `json:"n,omitempty"`
	E         string `json:"e,omitempty"`
	X         string `json:"x,omitempty"`
}

// keySet returns a document of so many different keys, alternating where they are mixed.
func keySet(kind string, count int) ([]byte, error) {
	set := struct {
		Keys []member `json:"keys"`
	}{Keys: make([]member, count)}
	for i := range set.Keys {
		m := member{Use: "sig", KeyID: fmt.Sprintf("%08x-4a5c-4d77-bb2e-7a0e5a1b%04x", i*2654435761%(1<<32), i)}
		if kind == kindEd25519 || kind == kindMixed && i%2 == 1 {
			seed := binary.BigEndian.AppendUint64(make([]byte, ed25519.SeedSize-8), uint64(i))
			public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
			m.KeyType, m.Curve, m.Algorithm, m.X = "OKP", "Ed25519", "EdDSA", base64url(public)
		} else {
			factors := 2
			if kind == kindLarge {
				factors = 4
			}
			m.KeyType, m.Algorithm, m.N, m.E = "RSA", "RS256", base64url(modulus(i, factors).Bytes()), "AQAB"
		}
		set.Keys[i] = m
	}
	return json.Marshal(set)
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// modulus returns the i-th product of two primes of 1024 bits, or of four. Pairs of so many keys
// would take minutes to make, and a reader of public keys can't tell the difference.
func modulus(i, factors int) *big.Int {
	// The i-th pair of different primes, such that the first few need few of them.
	b := 1
	for i >= b {
		i -= b
		b++
	}
	n := new(big.Int).Mul(prime(i), prime(b))
	if factors == 4 {
		n.Mul(n, n.Mul(prime(46+i), prime(92+b)))
	}
	return n
}

var (
	random    = rand.New(rand.NewPCG(20, 26)) // the same keys in each run
	primePool []*big.Int
)

// prime returns the i-th of a row of primes that is the same in each run: what a key costs
// to judge depends on it a little.
func prime(i int) *big.Int {
	for len(primePool) <= i {
		p := new(big.Int)
		for range 16 {
			p.Lsh(p, 64).Or(p, new(big.Int).SetUint64(random.Uint64()))
		}
		p.SetBit(p, 1023, 1).SetBit(p, 1022, 1).SetBit(p, 0, 1)
		for !p.ProbablyPrime(0) {
			p.Add(p, big.NewInt(2))
		}
		primePool = append(primePool, p)
	}
	return primePool[i]
}

// case names, such as "RSA 2048, 100 keys".
func caseName(kind string, count int) string {
	if count == 1 {
		return kind + ", 1 key"
	}
	return fmt.Sprintf("%s, %d keys", kind, count)
}

func parseCaseName(name string) (kind string, count int, err error) {
	kind, rest, _ := strings.Cut(name, ", ")
	_, err = fmt.Sscanf(rest, "%d", &count)
	return kind, count, err
}

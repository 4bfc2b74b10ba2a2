package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
)

// kinds of key sets: what the keys of a document are.
const (
	kindRSA     = "RSA 2048"
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
			public, _, err := ed25519.GenerateKey(nil)
			if err != nil {
				return nil, err
			}
			m.KeyType, m.Curve, m.Algorithm, m.X = "OKP", "Ed25519", "EdDSA", base64url(public)
		} else {
			n, err := modulus(i)
			if err != nil {
				return nil, err
			}
			m.KeyType, m.Algorithm, m.N, m.E = "RSA", "RS256", base64url(n.Bytes()), "AQAB"
		}
		set.Keys[i] = m
	}
	return json.Marshal(set)
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// primes is as many as have a thousand products of two.
const primes = 46

var primePool = sync.OnceValues(func() ([]*big.Int, error) {
	pool := make([]*big.Int, primes)
	for i := range pool {
		p, err := rand.Prime(rand.Reader, 1024)
		if err != nil {
			return nil, err
		}
		pool[i] = p
	}
	return pool, nil
})

// modulus returns the i-th product of two primes of 1024 bits. A thousand key pairs would
// take minutes to make, and a reader of public keys can't tell the difference.
func modulus(i int) (*big.Int, error) {
	pool, err := primePool()
	if err != nil {
		return nil, err
	}
	for first := range pool {
		if rest := len(pool) - first - 1; i >= rest {
			i -= rest
			continue
		}
		return new(big.Int).Mul(pool[first], pool[first+1+i]), nil
	}
	return nil, errors.New("no more products")
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

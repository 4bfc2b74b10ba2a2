package fakenomad

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// Key is one key of a keyring.
type Key struct {
	ID        string // a UUID, the JWK's kid
	Algorithm string // RS256 or EdDSA
	Private   crypto.Signer
}

// NewKey returns a fresh key: RSA with 2048 bits for RS256, Ed25519 for EdDSA. It panics
// on any other algorithm, for Nomad has no other.
func NewKey(algorithm string) *Key {
	k := &Key{ID: newUUID(), Algorithm: algorithm}
	switch algorithm {
	case "RS256":
		k.Private = rsaKeys.take()
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		k.Private = private
	default:
		panic("fakenomad: no such algorithm: " + algorithm)
	}
	return k
}

// Public is the public half.
func (k *Key) Public() crypto.PublicKey { return k.Private.Public() }

// JWK is the public half as Nomad publishes it.
func (k *Key) JWK() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Public(), KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"}
}

// rsaKeys keeps the RSA keys of closed servers for those to come, because making one
// takes a tenth of a second and more. No two open servers share one.
var rsaKeys pool

type pool struct {
	mu   sync.Mutex
	free []*rsa.PrivateKey
}

func (p *pool) take() *rsa.PrivateKey {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		k := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return k
	}
	p.mu.Unlock()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

func (p *pool) give(k *Key) {
	if private, ok := k.Private.(*rsa.PrivateKey); ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.free = append(p.free, private)
	}
}

func newUUID() string {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

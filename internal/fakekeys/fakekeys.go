// Package fakekeys has keys by name, for tests: as a cluster publishes them, and as elements of a
// list. The same name gives the same key.
package fakekeys

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
	random "math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// Now is when tests take place.
var Now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

var publicKeys, fingerprints sync.Map // by name, by key

// Public returns the key of a name. That of "weak" must not be trusted.
func Public(name string) ed25519.PublicKey {
	if name == "weak" {
		return Weak()
	}
	if known, ok := publicKeys.Load(name); ok {
		return known.(ed25519.PublicKey)
	}
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	publicKeys.Store(name, key)
	return key
}

// Weak returns a key that anybody can sign for: a point of small order.
func Weak() ed25519.PublicKey {
	key := make(ed25519.PublicKey, ed25519.PublicKeySize)
	key[0] = 1
	return key
}

// Fingerprint returns that of a name's key.
func Fingerprint(name string) pem.Fingerprint { return FingerprintOf(Public(name)) }

// FingerprintOf returns that of a key.
func FingerprintOf(key ed25519.PublicKey) pem.Fingerprint {
	if known, ok := fingerprints.Load(string(key)); ok {
		return known.(pem.Fingerprint)
	}
	f, err := pem.FingerprintOf(key)
	if err != nil {
		panic(err)
	}
	fingerprints.Store(string(key), f)
	return f
}

// Owner returns the owner of "cluster" or "cluster/region".
func Owner(name string) pem.Owner {
	cluster, region, _ := strings.Cut(name, "/")
	return pem.Owner{Cluster: cluster, Region: region}
}

// Trust returns an element as harvest wrote it a day ago; changes may follow.
func Trust(owner, name string, changes ...func(*pem.Block)) string {
	o := Owner(owner)
	b := pem.Block{Public: Public(name), Annotation: pem.Annotation{
		Version: pem.Version, Cluster: o.Cluster, Region: o.Region, KeyID: name, Algorithms: []string{"EdDSA"}, Added: Now.Add(-24 * time.Hour),
	}}
	for _, change := range changes {
		change(&b)
	}
	text, err := b.MarshalText()
	if err != nil {
		panic(err)
	}
	return string(text)
}

// Added changes when an element was added.
func Added(t time.Time) func(*pem.Block) { return func(b *pem.Block) { b.Annotation.Added = t } }

// Missing has an element be in its retention period since t.
func Missing(t time.Time) func(*pem.Block) { return func(b *pem.Block) { b.Annotation.Missing = t } }

// Adopted has an element be one that was foreign before.
func Adopted(b *pem.Block) { b.Annotation.Adopted = true }

// Also gives an element further owners.
func Also(owners ...string) func(*pem.Block) {
	return func(b *pem.Block) {
		for _, o := range owners {
			b.Annotation.Also = append(b.Annotation.Also, Owner(o))
		}
	}
}

// Paste returns an element that somebody wrote by hand.
func Paste(name string) string {
	text, err := pem.Encode(Public(name))
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(text))
}

// Publish returns what a cluster or region gives that publishes the keys of these names.
func Publish(owner string, names ...string) jwks.Result {
	set := &jwks.Set{}
	for _, name := range names {
		set.Keys = append(set.Keys, jwks.Key{KeyID: name, Algorithms: []string{"EdDSA"}, Public: Public(name)})
	}
	o := Owner(owner)
	return jwks.Result{Cluster: o.Cluster, Region: o.Region, Set: set}
}

// ErrDown is why a cluster can't be read.
var ErrDown = errors.New("i/o timeout")

// Down returns what a cluster or region gives that can't be read.
func Down(owner string) jwks.Result {
	o := Owner(owner)
	return jwks.Result{Cluster: o.Cluster, Region: o.Region, Err: &jwks.ClusterError{Cluster: o.Cluster, Region: o.Region, Err: ErrDown}}
}

// RSA returns a key that can serve several algorithms, another one in each process.
var RSA = sync.OnceValue(func() *rsa.PublicKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return &private.PublicKey
})

// PublishAs is Publish of RSA, under a name, with these algorithms.
func PublishAs(owner, name string, algs ...string) jwks.Result {
	r := Publish(owner, name)
	r.Set.Keys[0].Algorithms, r.Set.Keys[0].Public = algs, RSA()
	return r
}

// Signs makes an element one of RSA with these algorithms.
func Signs(algs ...string) func(*pem.Block) {
	return func(b *pem.Block) { b.Annotation.Algorithms, b.Public = algs, RSA() }
}

// Dear returns what a cluster gives that publishes n RSA keys, each of which takes long to judge.
func Dear(cluster string, n int) jwks.Result {
	source := random.NewChaCha8([32]byte{byte(n)})
	r := Publish(cluster)
	for i := range n {
		octets := make([]byte, 512)
		_, _ = source.Read(octets)
		octets[0] |= 0x80
		octets[511] |= 1
		r.Set.Keys = append(r.Set.Keys, jwks.Key{
			KeyID: strconv.Itoa(i), Public: &rsa.PublicKey{N: new(big.Int).SetBytes(octets), E: 65537},
		})
	}
	return r
}

//go:build linux

package scale

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// member is a JWK as Nomad publishes it.
type member struct {
	Use string `json:"use"`
	Kty string `json:"kty"`
	Kid string `json:"kid"`
	Alg string `json:"alg"`
	N   string `json:"n"`
	E   string `json:"e"`
}

// newMember returns a fresh public key in the form and size of Nomad's, RSA with 2048 bits,
// that nobody signs with.
func newMember() member {
	return member{"sig", "RSA", rand.Text(), "RS256", base64.RawURLEncoding.EncodeToString(pool.modulus().Bytes()), "AQAB"}
}

// pool makes moduli that harvest takes, each the product of another pair of its primes: finding
// two primes for each would take a tenth of a second.
var pool primePool

type primePool struct {
	sync.Mutex
	primes []*big.Int
	paired int // of the primes: those that were multiplied with the last one
}

func (p *primePool) modulus() *big.Int {
	p.Lock()
	defer p.Unlock()
	for p.paired+1 >= len(p.primes) {
		prime, err := rand.Prime(rand.Reader, 1024)
		if err != nil {
			panic(err)
		}
		p.primes, p.paired = append(p.primes, prime), 0
	}
	n := new(big.Int).Mul(p.primes[p.paired], p.primes[len(p.primes)-1])
	p.paired++
	return n
}

func document(members ...member) []byte {
	out, err := json.Marshal(map[string][]member{"keys": members})
	if err != nil {
		panic(err)
	}
	return out
}

// authority is a CA for the agents' certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
	serial      int64
}

func newAuthority() *authority {
	a := &authority{key: newECKey()}
	template := a.template("harvest test CA")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der := sign(template, template, &a.key.PublicKey, a.key)
	var err error
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// config returns that of a server with a certificate of its own.
func (a *authority) config() *tls.Config {
	key := newECKey()
	template := a.template("nomad agent")
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der := sign(template, a.certificate, &key.PublicKey, a.key)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

func (a *authority) template(name string) *x509.Certificate {
	a.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func newECKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		panic(err)
	}
	return der
}

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
// that nobody signs with: its modulus is the product of two numbers without a small factor, not
// of primes, which would take a tenth of a second to find.
func newMember() member {
	n := new(big.Int).Mul(factor(), factor())
	return member{"sig", "RSA", rand.Text(), "RS256", base64.RawURLEncoding.EncodeToString(n.Bytes()), "AQAB"}
}

// smallPrimes is the product of the odd primes below 1,000.
var smallPrimes = func() *big.Int {
	product := big.NewInt(1)
	for p := int64(3); p < 1000; p += 2 {
		if n := big.NewInt(p); n.ProbablyPrime(1) {
			product.Mul(product, n)
		}
	}
	return product
}()

// factor returns an odd number of 1024 bits, its two uppermost set.
func factor() *big.Int {
	data := make([]byte, 128)
	n, common := new(big.Int), new(big.Int)
	for {
		_, _ = rand.Read(data)
		data[0] |= 0xc0
		data[127] |= 1
		if n.SetBytes(data); common.GCD(nil, nil, n, smallPrimes).IsInt64() && common.Int64() == 1 {
			return n
		}
	}
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

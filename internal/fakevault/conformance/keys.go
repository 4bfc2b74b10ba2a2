package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
)

// elements: what one element of jwt_validation_pubkeys may be, and how it is kept.
func elements(t *testing.T, v *vault) {
	key := pkixOf(t, rsaKey(t).Public())
	const line = `harvest/1 cluster="us-east, \"prod\"" region="us-east-1" kid="3f0f,ccd0" alg="RS256" note="Größe"` + "\n"

	taken := map[string]struct{ give, keep string }{
		"plain":                 {key, trimmed(key)},
		"text before the block": {line + key, trimmed(line + key)},
		"several lines before":  {line + "# and more\n\n" + key, trimmed(line + "# and more\n\n" + key)},
		"space around":          {"  \n" + key + " \n\n", trimmed(key)},
		"a certificate":         {certificate(t), trimmed(certificate(t))},
		"an EC key":             {ecKey, trimmed(ecKey)},
		"an Ed25519 key":        {pkixOf(t, fakenomad.NewKey("EdDSA").Public()), ""},
		"another block's name":  {strings.ReplaceAll(key, "PUBLIC KEY", "ANY THING"), ""},
		"RSA with 512 bits":     {rsaPEM(t, oddNumber(512), 65537), ""},
		"an even modulus":       {rsaPEM(t, new(big.Int).Lsh(big.NewInt(3), 2046), 65537), ""},
		"e = 2":                 {rsaPEM(t, oddNumber(2048), 2), ""},
	}
	for name, c := range taken {
		t.Run("taken/"+name, func(t *testing.T) {
			m := v.mount(t)
			v.write(t, m, object{"jwt_validation_pubkeys": []string{c.give}})
			if c.keep == "" {
				c.keep = trimmed(c.give)
			}
			require.Equal(t, []any{c.keep}, v.read(t, m)["jwt_validation_pubkeys"])
		})
	}

	refused := map[string]struct{ give, words string }{
		"PKCS#1":               {pkcs1(t, rsaKey(t).Public().(*rsa.PublicKey)), "error parsing public key: x509: malformed tbs certificate"},
		"text after the block": {key + "the end", "error parsing public key: unexpected trailing data after parsed PEM block"},
		"two blocks":           {key + key, "error parsing public key: unexpected trailing data after parsed PEM block"},
		"no block":             {"key", "error parsing public key: data does not contain any valid public keys"},
		"nothing":              {"", "error parsing public key: data does not contain any valid public keys"},
		"an X25519 key":        {x25519, "error parsing public key: data does not contain any valid public keys"},
	}
	for name, c := range refused {
		t.Run("refused/"+name, func(t *testing.T) {
			m := v.mount(t)
			v.refuses(t, m, object{"jwt_validation_pubkeys": []string{c.give}}, c.words)
			v.refuses(t, m, object{"jwt_validation_pubkeys": []string{key, c.give}}, c.words)
		})
	}

	t.Run("order and duplicates are kept", func(t *testing.T) {
		m := v.mount(t)
		list := []string{trimmed(ecKey), trimmed(key), trimmed(line + key), trimmed(key)}
		v.write(t, m, object{"jwt_validation_pubkeys": list})
		require.Equal(t, []any{list[0], list[1], list[2], list[3]}, v.read(t, m)["jwt_validation_pubkeys"])
	})
	t.Run("one string is split on commas", func(t *testing.T) {
		m := v.mount(t)
		v.write(t, m, object{"jwt_validation_pubkeys": key + "," + ecKey})
		require.Equal(t, []any{trimmed(key), trimmed(ecKey)}, v.read(t, m)["jwt_validation_pubkeys"])
		v.refuses(t, m, object{"jwt_validation_pubkeys": line + key}, "data does not contain any valid public keys")
	})
	t.Run("POST is PUT", func(t *testing.T) {
		m := v.mount(t)
		r := v.do(t, "POST", "auth/"+m+"/config", object{"jwt_validation_pubkeys": []string{key}})
		require.Equal(t, http.StatusNoContent, r.status, r.raw)
	})
}

func rsaKey(t *testing.T) *fakenomad.Key {
	t.Helper()
	return fakenomad.New(t).Region("").Active()
}

// pkixOf is a public key as a PEM block with a newline at its end.
func pkixOf(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// rsaPEM encodes a modulus that need not be one.
func rsaPEM(t *testing.T, n *big.Int, e int) string {
	t.Helper()
	inner, err := asn1.Marshal(struct {
		N *big.Int
		E int
	}{n, e})
	require.NoError(t, err)
	der, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue},
		asn1.BitString{Bytes: inner, BitLength: 8 * len(inner)},
	})
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func oddNumber(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.Add(n, big.NewInt(1))
}

func pkcs1(t *testing.T, public *rsa.PublicKey) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(public)}))
}

const (
	ecKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIB/HnPVLzlJeAUxK4H2BiBM8sfuv
7fb6aIWv8C0gYulS4GhQtlLDQs5jWwGbYXMiwez62UA8r+ak6A7i5niNSw==
-----END PUBLIC KEY-----
`
	x25519 = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VuAyEAofCdQ2X07LUdc4XkGMxPFQkPrZ8hCzT/JhPXPkbPrAw=
-----END PUBLIC KEY-----
`
)

var selfSigned string

func certificate(t *testing.T) string {
	t.Helper()
	if selfSigned != "" {
		return selfSigned
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a signer"},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	selfSigned = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return selfSigned
}

// trimmed is an element as Vault keeps it.
func trimmed(element string) string { return strings.TrimSpace(element) }

package jwks

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/pem"
)

// What converting a document takes without judging its keys, and what Judge takes of keys that
// it doesn't know. HARVEST_JWKS names the document; without it, it is of one key of crypto/rsa.
// The comparison in bench runs this beside other libraries.
func BenchmarkParts(b *testing.B) {
	document := benchmarkDocument(b)
	b.Run("convert", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := convertAlone(document); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("judge", func(b *testing.B) {
		b.ReportAllocs()
		set, err := Parse(document)
		require.NoError(b, err)
		for b.Loop() {
			weaknesses = verdicts{} // as if the keys were new
			for _, key := range set.Keys {
				if err := Judge(key); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func convertAlone(document []byte) ([]byte, error) {
	members, err := readMembers(document)
	if err != nil {
		return nil, err
	}
	var out []byte
	for i := range members {
		key, why := decodeAlone(&members[i])
		if why != nil {
			return nil, errors.New(why.detail)
		}
		block, err := pem.Block{Public: key}.MarshalText()
		if err != nil {
			return nil, err
		}
		out = append(append(out, block...), '\n')
	}
	return out, nil
}

// decodeAlone is publicKey without the one test of numbers that takes time.
func decodeAlone(m *member) (crypto.PublicKey, *objection) {
	if m.keyType != "OKP" {
		return m.publicKey()
	}
	point, why := octets("x", m.x)
	return ed25519.PublicKey(point), why
}

func benchmarkDocument(b *testing.B) []byte {
	if name := os.Getenv("HARVEST_JWKS"); name != "" {
		document, err := os.ReadFile(name)
		require.NoError(b, err)
		return document
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(b, err)
	return []byte(keySet(rsaMember(0, fields{"n": encodeInt(key.N)})))
}

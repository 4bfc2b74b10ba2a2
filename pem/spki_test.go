package pem

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireStandard compares with crypto/x509 and encoding/pem, which must agree byte for byte.
func requireStandard(t *testing.T, pub crypto.PublicKey) {
	t.Helper()
	want, wantErr := x509.MarshalPKIXPublicKey(pub)
	got, err := appendKeyInfo(nil, pub)
	require.Equal(t, wantErr, err)
	require.Equal(t, want, got)
	if err != nil {
		return
	}
	text, err := Encode(pub)
	require.NoError(t, err)
	require.Equal(t, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: want})), string(text))
	require.Len(t, text, blockSize(len(want)))
}

// FuzzSubjectPublicKeyInfo writes keys of any numbers, sound ones or not, as crypto/x509 does.
func FuzzSubjectPublicKeyInfo(f *testing.F) {
	f.Add([]byte{1}, int64(65537), false)
	f.Add([]byte{0x80}, int64(127), true)
	f.Add(bytes.Repeat([]byte{0xff}, 256), int64(128), false)
	f.Add(bytes.Repeat([]byte{0x7f}, 32), int64(1<<31-1), false)
	f.Add(bytes.Repeat([]byte{0x80}, 2049), int64(1<<31), false)
	f.Add([]byte{}, int64(0), false)
	f.Add([]byte{5}, int64(-1), true)
	f.Fuzz(func(t *testing.T, number []byte, e int64, negative bool) {
		n := new(big.Int).SetBytes(number)
		if negative {
			n.Neg(n)
		}
		requireStandard(t, &rsa.PublicKey{N: n, E: int(e)})
		requireStandard(t, ed25519.PublicKey(number))
		require.Equal(t, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: number})), string(appendBlock(nil, number)))
	})
}

// Each length of a modulus and of an exponent, with and without a highest bit that would
// be a sign.
func TestSubjectPublicKeyInfo(t *testing.T) {
	for bits := uint(1); bits <= maxDirectBits+9; bits += 1 + bits/600 {
		for _, e := range []int{1, 127, 128, 255, 256, 32767, 32768, 65537, 1<<23 - 1, 1 << 23, 1<<31 - 1, 1 << 31, 1 << 40} {
			n := new(big.Int).Lsh(big.NewInt(1), bits-1)
			requireStandard(t, &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: e})
		}
	}
	for _, key := range fixedKeys(t) {
		requireStandard(t, key)
	}
	for _, size := range []int{0, 31, 32, 33} {
		requireStandard(t, ed25519.PublicKey(make([]byte, size)))
	}
	for _, n := range []int64{0, -1, -128} {
		requireStandard(t, &rsa.PublicKey{N: big.NewInt(n), E: 65537})
	}
	requireStandard(t, &rsa.PublicKey{N: big.NewInt(15), E: -3})
	_, err := appendKeyInfo(nil, (*ecdsa.PrivateKey)(nil))
	require.Error(t, err)
}

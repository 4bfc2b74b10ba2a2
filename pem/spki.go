package pem

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
)

// appendKeyInfo appends the DER (SubjectPublicKeyInfo) of a key that can verify signatures:
// crypto/x509 would encode one for key agreement as well.
//
// The keys that clusters publish are written here, in the very bytes of crypto/x509, whose
// way through encoding/asn1 takes longer than all else that makes an element; the others
// are left to it.
func appendKeyInfo(der []byte, pub crypto.PublicKey) ([]byte, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if pub != nil && pub.N != nil && pub.N.Sign() > 0 && pub.E > 0 && pub.E <= math.MaxInt32 && pub.N.BitLen() <= maxDirectBits {
			return appendRSA(der, pub), nil
		}
	case ed25519.PublicKey:
		if len(pub) == ed25519.PublicKeySize {
			return append(append(der, ed25519Header...), pub...), nil
		}
	case *ecdsa.PublicKey:
	default:
		return nil, fmt.Errorf("%T is no RSA, ECDSA or Ed25519 public key", pub)
	}
	info, err := x509.MarshalPKIXPublicKey(pub)
	return append(der, info...), err
}

// usualKeyInfo has room for the DER of an RSA key of 4096 bits.
type usualKeyInfo [560]byte

// maxDirectBits is the size of modulus up to which each length in the DER fits two bytes.
const maxDirectBits = 16384

// Tags of DER (X.690 section 8).
const (
	tagInteger   = 0x02
	tagBitString = 0x03
	tagSequence  = 0x30
)

var (
	// rsaAlgorithm is SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL } (RFC 3279 section 2.3.1).
	rsaAlgorithm = []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00")
	// ed25519Header is all that stands before the 32 bytes of the key (RFC 8410 section 4).
	ed25519Header = []byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00")
)

// appendRSA appends a key whose numbers are positive.
func appendRSA(der []byte, pub *rsa.PublicKey) []byte {
	// An integer begins with a zero where its highest bit would be a sign.
	modulus := pub.N.BitLen()/8 + 1
	exponent := exponentSize(pub.E)
	numbers := elementSize(modulus) + elementSize(exponent)
	bits := 1 + elementSize(numbers) // one byte says that none of the last one's bits are unused
	content := len(rsaAlgorithm) + elementSize(bits)

	der = slices.Grow(der, elementSize(content))
	der = appendHeader(der, tagSequence, content)
	der = append(der, rsaAlgorithm...)
	der = append(appendHeader(der, tagBitString, bits), 0)
	der = appendHeader(der, tagSequence, numbers)
	der = appendHeader(der, tagInteger, modulus)
	der = der[:len(der)+modulus]
	pub.N.FillBytes(der[len(der)-modulus:])
	der = appendHeader(der, tagInteger, exponent)
	for i := exponent - 1; i >= 0; i-- {
		der = append(der, byte(pub.E>>(8*i))) //nolint:gosec // the lowest byte is what is wanted
	}
	return der
}

// exponentSize returns how many bytes an integer takes, with one bit for its sign.
func exponentSize(e int) int {
	size := 1
	for e >>= 7; e > 0; e >>= 8 {
		size++
	}
	return size
}

// elementSize returns the size of an element whose content has so many bytes.
func elementSize(content int) int {
	switch {
	case content < 1<<7:
		return 2 + content
	case content < 1<<8:
		return 3 + content
	}
	return 4 + content
}

func appendHeader(der []byte, tag byte, content int) []byte {
	switch {
	case content < 1<<7:
		return append(der, tag, byte(content)) //nolint:gosec // fits, as the case says
	case content < 1<<8:
		return append(der, tag, 0x81, byte(content))
	}
	return append(der, tag, 0x82, byte(content>>8), byte(content)) //nolint:gosec // two bytes, as maxDirectBits says
}

const (
	blockBegin = "-----BEGIN PUBLIC KEY-----\n"
	blockEnd   = "-----END PUBLIC KEY-----\n"
	lineOctets = 48 // which make a line of 64 characters (RFC 7468 section 2)
)

// blockSize returns the size of the block of so many bytes of DER.
func blockSize(der int) int {
	text := base64.StdEncoding.EncodedLen(der)
	return len(blockBegin) + text + (text+63)/64 + len(blockEnd)
}

// appendBlock appends what encoding/pem writes of a PUBLIC KEY without headers.
func appendBlock(out, der []byte) []byte {
	out = slices.Grow(out, blockSize(len(der)))
	out = append(out, blockBegin...)
	for len(der) > 0 {
		line := der[:min(lineOctets, len(der))]
		der = der[len(line):]
		out = append(base64.StdEncoding.AppendEncode(out, line), '\n')
	}
	return append(out, blockEnd...)
}

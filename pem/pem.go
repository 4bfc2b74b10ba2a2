// Package pem writes public keys as Vault's JWT auth method takes them: each element of
// jwt_validation_pubkeys is one PKIX PEM block, with a line of text before it that says whose key
// it is.
//
// [Encode] makes plain PEM. A [Block] carries an [Annotation] as well, which Vault stores
// and ignores (RFC 7468 section 5.2, explanatory text), so that the list itself records
// which cluster each key belongs to and since when:
//
//	harvest/1 cluster="us-east" region="us-east-1" kid="3f0fccd0" alg="RS256" added="2026-11-22T10:43:34Z"
//	-----BEGIN PUBLIC KEY-----
//	…
//	-----END PUBLIC KEY-----
//
// The package imports only the standard library.
package pem

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Encode returns pub as a PKIX "PUBLIC KEY" block, the one form of a bare public key that
// Vault accepts: it refuses PKCS#1. pub is a *rsa.PublicKey, an *ecdsa.PublicKey or an
// ed25519.PublicKey; others, which Vault refuses, are an error.
func Encode(pub crypto.PublicKey) ([]byte, error) {
	der, err := marshalKey(pub)
	if err != nil {
		return nil, fmt.Errorf("encoding public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// marshalKey returns the DER (SubjectPublicKeyInfo) of a key that can verify signatures.
func marshalKey(pub crypto.PublicKey) ([]byte, error) {
	if err := verifies(pub); err != nil {
		return nil, err
	}
	key, ok := pub.(*rsa.PublicKey)
	if !ok {
		return x509.MarshalPKIXPublicKey(pub)
	}
	bits := x509.MarshalPKCS1PublicKey(key)
	return asn1.Marshal(struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}{asn1.RawValue{FullBytes: rsaEncryption}, asn1.BitString{Bytes: bits, BitLength: 8 * len(bits)}})
}

// rsaEncryption is the AlgorithmIdentifier of each RSA key (RFC 3279 section 2.3.1), which
// crypto/x509 encodes it again for each key: a third of what the DER of a key takes.
var rsaEncryption = []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00")

// verifies refuses keys for key agreement, which crypto/x509 encodes as well, and keys with
// nothing in them, on which it panics.
func verifies(pub crypto.PublicKey) error {
	var empty bool
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		empty = pub == nil || pub.N == nil
	case *ecdsa.PublicKey:
		empty = pub == nil || pub.Curve == nil || pub.X == nil || pub.Y == nil //nolint:staticcheck // to see whether they are there
	case ed25519.PublicKey:
		empty = len(pub) != ed25519.PublicKeySize
	default:
		return fmt.Errorf("%T is no RSA, ECDSA or Ed25519 public key", pub)
	}
	if empty {
		return fmt.Errorf("%T without a key in it", pub)
	}
	return nil
}

// Fingerprint is the SHA-256 of a key's SubjectPublicKeyInfo DER: the identity of a key,
// whatever text stands around it.
type Fingerprint [sha256.Size]byte

const fingerprintPrefix = "sha256:"

// FingerprintOf returns the fingerprint of pub, a type that [Encode] takes.
func FingerprintOf(pub crypto.PublicKey) (Fingerprint, error) {
	der, err := marshalKey(pub)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint of public key: %w", err)
	}
	return sha256.Sum256(der), nil
}

// ParseFingerprint reads the form that [Fingerprint.String] writes. It wants all 32 bytes, because
// a shortened fingerprint could name another key.
func ParseFingerprint(s string) (Fingerprint, error) {
	var f Fingerprint
	digits, ok := strings.CutPrefix(s, fingerprintPrefix)
	if !ok || len(digits) != hex.EncodedLen(len(f)) {
		return f, fmt.Errorf("fingerprint %q: want sha256: and 64 hexadecimal digits", s)
	}
	if _, err := hex.Decode(f[:], []byte(digits)); err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint %q: want sha256: and 64 hexadecimal digits", s)
	}
	return f, nil
}

// String returns "sha256:" and 64 lower-case hexadecimal digits.
func (f Fingerprint) String() string { return fingerprintPrefix + hex.EncodeToString(f[:]) }

// Short returns "sha256:" and the first 8 digits, by which people tell keys apart. It doesn't
// identify a key: eight digits can be forged.
func (f Fingerprint) Short() string { return fingerprintPrefix + hex.EncodeToString(f[:4]) }

// MarshalText implements encoding.TextMarshaler.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	parsed, err := ParseFingerprint(string(text))
	if err != nil {
		return err
	}
	*f = parsed
	return nil
}

// ErrNoBlock says that an element doesn't hold exactly one public key or certificate.
var ErrNoBlock = errors.New("not one PEM public key or certificate")

// Block is one element of jwt_validation_pubkeys.
type Block struct {
	// Public is the key; of a certificate, the key that it certifies.
	Public crypto.PublicKey
	// Annotation says whose key it is. A foreign key has the zero Annotation.
	Annotation Annotation
	// Comment is other text before the block, such as what somebody wrote there by hand, with line
	// feeds between its lines and none around them. It is kept up to the first line that could be
	// taken for a PEM boundary.
	Comment string
}

// Fingerprint returns the key's fingerprint, or the zero Fingerprint if [Encode] doesn't take
// Public.
func (b Block) Fingerprint() Fingerprint {
	f, err := FingerprintOf(b.Public)
	if err != nil {
		return Fingerprint{}
	}
	return f
}

// MarshalText returns the element: the annotation's line, if there is one, the comment
// and the PEM block, with no line feed at the end, as Vault stores it.
func (b Block) MarshalText() ([]byte, error) {
	der, err := marshalKey(b.Public)
	if err != nil {
		return nil, fmt.Errorf("encoding public key: %w", err)
	}
	var out []byte
	if !b.Annotation.IsZero() {
		if out, err = b.Annotation.appendLine(out); err != nil {
			return nil, err
		}
		out = append(out, '\n')
	}
	if b.Comment != "" {
		if boundary(b.Comment) < len(b.Comment) {
			return nil, errors.New("comment holds a PEM boundary")
		}
		if strings.Trim(b.Comment, lineEnds) != b.Comment {
			return nil, errors.New("comment begins or ends with a line end")
		}
		if b.Annotation.IsZero() && isAnnotation(b.Comment) {
			return nil, errors.New("comment reads as an annotation")
		}
		out = append(append(out, b.Comment...), '\n')
	}
	buffer := bytes.NewBuffer(out)
	buffer.Grow(3*len(der)/2 + 64) // enough for the block
	if err := pem.Encode(buffer, &pem.Block{Type: "PUBLIC KEY", Bytes: der}); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// UnmarshalText reads one element as Vault gives it back. An element without an annotation, or with
// one that doesn't parse, gets the zero Annotation. The error wraps [ErrNoBlock] if there isn't
// exactly one PKIX public key or certificate, with nothing after it.
func (b *Block) UnmarshalText(element []byte) error {
	block, after := pem.Decode(element)
	if block == nil {
		return ErrNoBlock
	}
	if strings.TrimSpace(string(after)) != "" {
		return fmt.Errorf("%w: text after the block", ErrNoBlock)
	}
	pub, err := publicKey(block.Bytes)
	if err != nil {
		return err
	}
	*b = Block{Public: pub}
	text := string(element)
	first, others, _ := strings.Cut(text, "\n")
	if b.Annotation.UnmarshalText([]byte(strings.TrimSuffix(first, "\r"))) == nil {
		text = others
	} else {
		b.Annotation = Annotation{}
	}
	// encoding/pem may have skipped a damaged block; its lines are nobody's comment.
	b.Comment = strings.Trim(text[:boundary(text)], lineEnds)
	return nil
}

const lineEnds = "\r\n"

// boundary returns where the first line begins that could be taken for a PEM boundary.
func boundary(text string) int {
	if strings.HasPrefix(text, "-----") {
		return 0
	}
	if i := strings.Index(text, "\n-----"); i >= 0 {
		return i
	}
	return len(text)
}

// publicKey reads what Vault's certutil.ParsePublicKeyPEM reads, whatever the block's
// label says: a PKIX public key, else a certificate; of one of the three types of key.
func publicKey(der []byte) (crypto.PublicKey, error) {
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoBlock, err)
		}
		pub = cert.PublicKey
	}
	if err := verifies(pub); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBlock, err)
	}
	return pub, nil
}

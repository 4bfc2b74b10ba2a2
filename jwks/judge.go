package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/text"
)

// signatureAlgorithms are the "alg" values that fit a key, by "kty" and "crv" (RFC 7518
// section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2). What isn't listed is unknown.
var signatureAlgorithms = map[[2]string][]string{
	{"RSA", ""}:        {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
	{"EC", "P-256"}:    {"ES256"},
	{"EC", "P-384"}:    {"ES384"},
	{"EC", "P-521"}:    {"ES512"},
	{"OKP", "Ed25519"}: {"EdDSA", "Ed25519"},
}

// The tests, in the order in which they object. What is none of our business (skipped)
// comes before what must not be trusted (rejected), and the cheap before the dear. What is
// dearer still waits for [Judge]. Nothing after this package looks at a key: Vault takes an
// even modulus or an exponent of 2.
var (
	memberTests  = []func(*member) *objection{wellFormed, typeKnown, forSignatures, allowsVerify, keyIDPrintable, algorithmFits}
	rsaTests     = []func(n, e *big.Int) *objection{modulusSize, modulusOdd, exponentUsual}
	ed25519Tests = []func(point []byte) *objection{ed25519Length, ed25519OnCurve}
)

// judge returns the key of a member, or what speaks against using it.
func judge(m *member) (*Key, *objection) {
	for _, test := range memberTests {
		if why := test(m); why != nil {
			return nil, why
		}
	}
	public, why := m.publicKey()
	if why != nil {
		return nil, why
	}
	key := &Key{KeyID: m.kid, Use: m.use, Public: public}
	if m.alg != "" {
		key.Algorithms = []string{m.alg}
	}
	return key, nil
}

// family returns "kty" and "crv" where the type has curves.
func (m *member) family() [2]string {
	if m.keyType == "RSA" {
		return [2]string{"RSA", ""}
	}
	return [2]string{m.keyType, m.curve}
}

func wellFormed(m *member) *objection { return m.why }

func typeKnown(m *member) *objection {
	if m.keyType == "" {
		return object(ReasonMalformed, `no "kty"`)
	}
	if _, ok := signatureAlgorithms[m.family()]; ok {
		return nil
	}
	if m.keyType != "EC" && m.keyType != "OKP" {
		return object(ReasonKeyType, "key type %q is not known here", text.Line(m.keyType, 32))
	}
	if m.curve == "" {
		return object(ReasonMalformed, `no "crv"`)
	}
	return object(ReasonKeyType, "curve %q of key type %q is not known here", text.Line(m.curve, 32), m.keyType)
}

func forSignatures(m *member) *objection {
	switch m.use {
	case "", "sig", "jwt-svid":
		return nil
	}
	return object(ReasonUse, "use %q is not for signatures on tokens", text.Line(m.use, 32))
}

// registeredOperations are those of RFC 7517 section 4.3, in lower case.
var registeredOperations = []string{"sign", "verify", "encrypt", "decrypt", "wrapkey", "unwrapkey", "derivekey", "derivebits"}

// allowsVerify refuses a key whose operations are others. RFC 7517 section 4.3 allows words of an
// issuer's own, which say nothing about verifying: if there are no others, "use" and "alg", which
// are tested by themselves, must both be there. A registered word in other letters is none of
// one's own.
func allowsVerify(m *member) *objection {
	if m.operations == nil || slices.Contains(m.operations, "verify") {
		return nil
	}
	known := func(word string) bool {
		return word == "" || slices.Contains(registeredOperations, strings.ToLower(word))
	}
	if m.use == "" || m.alg == "" || len(m.operations) == 0 || slices.ContainsFunc(m.operations, known) {
		return object(ReasonOperations, `key_ops without "verify"`)
	}
	m.remark(fmt.Sprintf(`"key_ops" holds no operation of RFC 7517 section 4.3, but %q: "use" and "alg" say that it signs`, text.Line(m.operations[0], 32)))
	return nil
}

// keyIDPrintable guards terminals, logs and annotations: a "kid" is printed and stored.
func keyIDPrintable(m *member) *objection {
	if len(m.kid) > MaxKeyID {
		return object(ReasonKeyID, "kid of %d bytes, over %d", len(m.kid), MaxKeyID)
	}
	if !text.IsPrintable(m.kid) {
		return object(ReasonKeyID, "kid with characters that can't be printed")
	}
	return nil
}

func algorithmFits(m *member) *objection {
	if m.alg == "" || slices.Contains(signatureAlgorithms[m.family()], m.alg) {
		return nil
	}
	kind := m.family()[0]
	if curve := m.family()[1]; curve != "" {
		kind += " " + curve
	}
	return object(ReasonAlgorithm, "alg %q is no signature algorithm of a key of type %s", text.Line(m.alg, 32), kind)
}

// publicKey decodes the key of a member whose type is known, and tests its numbers.
func (m *member) publicKey() (crypto.PublicKey, *objection) {
	switch m.keyType {
	case "RSA":
		return m.rsaKey()
	case "EC":
		return m.ecKey()
	}
	return m.ed25519Key()
}

// curves are those of EC keys, by "crv".
var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// ecKey pads a coordinate that is too short with zeros (RFC 7518 section 6.2.1.2 has them): some
// issuers write it as a number, and one key in 128 then lacks a byte. The curve's equation tells
// these from what was cut off.
func (m *member) ecKey() (crypto.PublicKey, *objection) {
	curve, short := curves[m.curve], ""
	size := (curve.Params().BitSize + 7) / 8
	point := []byte{4} // uncompressed: SEC 1, section 2.3.3
	for _, c := range []struct{ name, value string }{{"x", m.x}, {"y", m.y}} {
		b, why := octets(c.name, c.value)
		if why != nil {
			return nil, why
		}
		if len(b) > size {
			return nil, object(ReasonPoint, "%q has %d bytes; a coordinate of %s has %d, with no byte before them", c.name, len(b), m.curve, size)
		}
		if len(b) < size {
			short = fmt.Sprintf("%q has %d bytes; a coordinate of %s has %d", c.name, len(b), m.curve, size)
		}
		point = append(append(point, make([]byte, size-len(b))...), b...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	switch {
	case err != nil && short != "":
		return nil, object(ReasonPoint, "%s, and with zeros before it, it is no point of the curve", short)
	case err != nil:
		return nil, offCurve
	case short != "":
		m.remark("a coordinate lacks its leading zeros (RFC 7518 section 6.2.1.2), as Keycloak before 20 writes it: " +
			"taken, since with them it is a point of the curve; other readers refuse it until the issuer is upgraded")
	}
	return key, nil
}

var offCurve = object(ReasonPoint, "EC key that is no point of its curve")

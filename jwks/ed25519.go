package jwks

import (
	"bytes"
	"crypto"
	"crypto/ed25519"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

func (m *member) ed25519Key() (crypto.PublicKey, *objection) {
	point, why := octets("x", m.x)
	if why != nil {
		return nil, why
	}
	if why := judgeEd25519Point(point); why != nil {
		return nil, why
	}
	return ed25519.PublicKey(point), nil
}

func judgeEd25519Point(point []byte) *objection {
	for _, test := range ed25519Tests {
		if why := test(point); why != nil {
			return why
		}
	}
	return nil
}

func ed25519Length(point []byte) *objection {
	if len(point) != ed25519.PublicKeySize {
		return object(ReasonPoint, "Ed25519 key of %d bytes, not %d", len(point), ed25519.PublicKeySize)
	}
	return nil
}

// ed25519OnCurve refuses what no key generation gives. With a point of small order as the
// key, one signature verifies a share of all messages, and nobody needs a private key for
// it. Nor is a point taken that is encoded in another way than RFC 8032 section 5.1.2 says:
// verifiers don't agree on it.
func ed25519OnCurve(encoded []byte) *objection {
	point, err := new(edwards25519.Point).SetBytes(encoded)
	switch {
	case err != nil:
		return object(ReasonPoint, "Ed25519 key that is no point of the curve")
	case !isCanonical(point, encoded):
		return object(ReasonPoint, "Ed25519 key that isn't in its canonical encoding")
	case new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1:
		return object(ReasonOrder, "Ed25519 key of small order: signatures can be forged without a private key")
	}
	return nil
}

// isCanonical reports whether a point is encoded as point.Bytes() would do it, in half the time:
// with a y that is reduced, and no sign for an x of 0.
func isCanonical(point *edwards25519.Point, encoded []byte) bool {
	y := bytes.Clone(encoded)
	y[len(y)-1] &= 0x7f // without the sign of x
	reduced, err := new(field.Element).SetBytes(y)
	if err != nil || !bytes.Equal(reduced.Bytes(), y) {
		return false
	}
	return bytes.Equal(y, encoded) || new(edwards25519.Point).Negate(point).Equal(point) == 0
}

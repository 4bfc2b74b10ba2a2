package relay

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// jwk is a public key in JSON (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).
type jwk struct {
	Type      string `json:"kty"`
	Use       string `json:"use"`
	KeyID     string `json:"kid,omitempty"`
	Algorithm string `json:"alg,omitempty"` // left out where a key signs with several: one would rule out the others
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
	N         string `json:"n,omitempty"`
	E         string `json:"e,omitempty"`
}

// Document returns a key set with a line feed at the end: each key once, in the order of their
// fingerprints, so that the same keys make the same bytes. A key without an id has none there. One
// that isn't an RSA, ECDSA or Ed25519 key is an error.
func Document(keys []jwks.Key) ([]byte, error) {
	members := map[pem.Fingerprint]jwk{}
	for _, k := range keys {
		j := jwk{Use: "sig", KeyID: k.KeyID}
		if len(k.Algorithms) == 1 {
			j.Algorithm = k.Algorithms[0]
		}
		f, err := pem.FingerprintOf(k.Public)
		if err == nil {
			err = j.setPublic(k.Public)
		}
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", k.KeyID, err)
		}
		if _, known := members[f]; !known {
			members[f] = j
		}
	}
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, f := range slices.SortedFunc(maps.Keys(members), func(a, b pem.Fingerprint) int { return bytes.Compare(a[:], b[:]) }) {
		set.Keys = append(set.Keys, members[f])
	}
	return line(set)
}

func (j *jwk) setPublic(public crypto.PublicKey) error {
	text := base64.RawURLEncoding.EncodeToString
	switch public := public.(type) {
	case *rsa.PublicKey:
		j.Type, j.N, j.E = "RSA", text(public.N.Bytes()), text(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, X, Y; the coordinates at their full length
		if err != nil {
			return err
		}
		half := (len(point) - 1) / 2
		j.Type, j.Curve, j.X, j.Y = "EC", public.Params().Name, text(point[1:1+half]), text(point[1+half:])
	case ed25519.PublicKey:
		j.Type, j.Curve, j.X = "OKP", "Ed25519", text(public)
	default:
		return fmt.Errorf("%T is no RSA, ECDSA or Ed25519 public key", public)
	}
	return nil
}

// discoveryOf returns the discovery document of an issuer (OpenID Connect Discovery 1.0, section
// 3): as much of it as those need who verify tokens.
func discoveryOf(issuer string) []byte {
	out, err := line(struct {
		Issuer    string   `json:"issuer"`
		KeySet    string   `json:"jwks_uri"`
		Responses []string `json:"response_types_supported"`
		Subjects  []string `json:"subject_types_supported"`
		Signing   []string `json:"id_token_signing_alg_values_supported"`
	}{
		issuer, issuer + "/jwks.json", []string{"id_token"}, []string{"public"},
		[]string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"},
	})
	if err != nil {
		panic(err) // of strings alone
	}
	return out
}

func line(v any) ([]byte, error) {
	out, err := json.Marshal(v)
	return append(out, '\n'), err
}

// document is a body with its headers, as they go into a reply.
type document struct {
	body         []byte
	etag, length []string
}

func newDocument(body []byte) document {
	sum := sha256.Sum256(body)
	return document{
		body: body, etag: []string{`"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"`}, length: []string{strconv.Itoa(len(body))},
	}
}

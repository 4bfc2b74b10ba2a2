package jwks

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/jwksharvest/harvest/internal/text"
)

// Parse returns the public keys of a JSON Web Key Set that may verify signatures, in the
// order of the document. The same document gives the same Set.
//
// A document is refused whole, with an error that wraps
//   - ErrTooLarge: over MaxDocument bytes or MaxMembers members;
//   - ErrMalformed: not one JSON object with one "keys" array, names compared by case and
//     nothing but white space around it; a name twice in an object, text that isn't UTF-8 or
//     nesting deeper than 10,000, anywhere in the document;
//   - ErrPrivateKey: a member "d", "p", "q", "dp", "dq", "qi", "oth", "k" or "priv" that holds
//     something, at any depth of the document. Null and an empty array of "oth" are as good as
//     absent; another empty value is ErrMalformed, if nothing else is private;
//   - ErrNoKeys (a *NoKeysError): no usable key left.
//
// The document is read once, until the first fault other than an empty private member.
//
// A member of "keys" that isn't usable is left out and listed in Set.Skipped with its
// [Reason]; the others stay. Usable are RSA keys of 2048 to 4096 bits with an odd modulus and
// an odd exponent of 65537 to 2^31-1; keys on P-256, P-384 and P-521; and Ed25519 keys in
// their canonical encoding and of large order; with "use" absent, "sig" or "jwt-svid",
// "key_ops" absent or holding "verify", and "alg" absent or one that the key can serve. A
// value of null counts as absent. Certificates ("x5c") and what points to them are ignored.
//
// These are taken with a warning: a "kid" that is a whole number, as its digits; "key_ops" that
// holds only words that RFC 7517 doesn't know, if "use" and "alg" are there; and EC coordinates
// that lack leading zeros, if the zeros make them a point of the curve. A byte-order mark before
// the document is ignored (RFC 8259 section 8.1).
//
// Parse doesn't look for what makes an RSA key weak, because that takes longer. Call [Judge] before
// you trust a key.
//
// A key that occurs several times is kept once, as it first occurs, with the algorithms of all
// occurrences, and with a warning if one has another "kid". Different keys under one "kid" are all
// kept, with a warning.
//
// The format is RFC 7517 section 5, the key types RFC 7518 section 6 and RFC 8037 section 2,
// "jwt-svid" the SPIFFE trust domain and bundle specification section 4.2.
func Parse(data []byte) (*Set, error) {
	members, err := readMembers(data)
	if err != nil {
		return nil, err
	}

	c, odd := newCollector(len(members)), oddities{}
	for i := range members {
		key, why := judge(&members[i])
		if c.add(i, members[i].kid, key, why) {
			odd.add(i, members[i].remarks)
		}
	}
	set, err := c.result()
	if err != nil {
		return nil, err
	}
	set.Warnings = append(set.Warnings, odd.warnings()...)
	return set, nil
}

// collector makes a set of keys and of what speaks against others.
type collector struct {
	set  Set
	seen *seenKeys
}

func newCollector(size int) *collector {
	return &collector{set: Set{Keys: make([]Key, 0, size)}, seen: newSeenKeys(size)}
}

// add takes in a key, once, or why it isn't used, and reports whether it is used.
func (c *collector) add(position int, kid string, key *Key, why *objection) bool {
	var identity string
	if why == nil {
		identity, why = identify(key)
	}
	if why != nil {
		c.set.Skipped = append(c.set.Skipped, &KeyError{
			Position: position,
			KeyID:    text.KeyID(kid),
			Reason:   why.reason,
			Detail:   why.detail,
		})
		return false
	}
	if warning := c.seen.remark(position, key, identity, c.set.Keys); warning != "" {
		c.set.Warnings = append(c.set.Warnings, warning)
	}
	if first, ok := c.seen.byIdentity[identity]; ok {
		c.set.Keys[first].addAlgorithms(key.Algorithms)
		return true
	}
	c.seen.add(key, identity, len(c.set.Keys))
	c.set.Keys = append(c.set.Keys, *key)
	return true
}

func (c *collector) result() (*Set, error) {
	if len(c.set.Keys) == 0 {
		return nil, &NoKeysError{Skipped: c.set.Skipped}
	}
	return &c.set, nil
}

// oddities are the remarks on members that are used, each with the positions of those members: an
// issuer writes all of its keys in one way, and one warning says so.
type oddities struct {
	remarks   []string // in order
	positions map[string][]string
}

func (o *oddities) add(position int, remarks []string) {
	for _, remark := range remarks {
		if o.positions == nil {
			o.positions = map[string][]string{}
		}
		if o.positions[remark] == nil {
			o.remarks = append(o.remarks, remark)
		}
		o.positions[remark] = append(o.positions[remark], strconv.Itoa(position))
	}
}

func (o *oddities) warnings() []string {
	var warnings []string
	for _, remark := range o.remarks {
		at := o.positions[remark]
		which := "key " + at[0]
		if len(at) > 1 {
			which = "keys " + strings.Join(at[:min(len(at), maxListed)], ", ")
		}
		if more := len(at) - maxListed; more > 0 {
			which += fmt.Sprintf(" and %d more", more)
		}
		warnings = append(warnings, which+": "+remark)
	}
	return warnings
}

// identify returns what two keys have in common if, and only if, they are the same, and
// fills in the thumbprint where the key has no "kid".
func identify(key *Key) (string, *objection) {
	if key.KeyID == "" {
		thumbprint, err := (&jose.JSONWebKey{Key: key.Public}).Thumbprint(crypto.SHA256)
		if err != nil {
			return "", object(ReasonMalformed, "%v", err)
		}
		key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	}
	switch public := key.Public.(type) {
	case *rsa.PublicKey:
		octets := binary.BigEndian.AppendUint64([]byte("RSA"), uint64(public.E)) //nolint:gosec // judged: 65537 to 2^31-1
		return string(append(octets, public.N.Bytes()...)), nil
	case ed25519.PublicKey:
		return "Ed25519" + string(public), nil
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public)
	if err != nil {
		return "", object(ReasonMalformed, "%v", err)
	}
	return string(der), nil
}

// seenKeys are the keys of a document up to the one that is looked at.
type seenKeys struct {
	byIdentity map[string]int    // to the key's place in Set.Keys
	byKeyID    map[string]string // to the identity of the first key of that name
}

func newSeenKeys(size int) *seenKeys {
	return &seenKeys{byIdentity: make(map[string]int, size), byKeyID: make(map[string]string, size)}
}

// remark returns what is odd about another key in the light of those before it, or "".
func (s *seenKeys) remark(position int, key *Key, identity string, kept []Key) string {
	if first, ok := s.byIdentity[identity]; ok {
		if kept[first].KeyID == key.KeyID {
			return ""
		}
		return fmt.Sprintf("key %d (kid %q) is the key of kid %q again; kept once", position, key.KeyID, kept[first].KeyID)
	}
	if _, ok := s.byKeyID[key.KeyID]; ok {
		return fmt.Sprintf("key %d: kid %q is also the kid of a different key; both are kept", position, key.KeyID)
	}
	return ""
}

// add remembers a new key and its place in Set.Keys.
func (s *seenKeys) add(key *Key, identity string, place int) {
	s.byIdentity[identity] = place
	if _, ok := s.byKeyID[key.KeyID]; !ok {
		s.byKeyID[key.KeyID] = identity
	}
}

// addAlgorithms takes in those of another member with the same key. A key that isn't
// limited stays so.
func (k *Key) addAlgorithms(algs []string) {
	for _, alg := range algs {
		if len(k.Algorithms) > 0 && !slices.Contains(k.Algorithms, alg) {
			k.Algorithms = append(k.Algorithms, alg)
		}
	}
}

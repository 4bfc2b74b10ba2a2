package jwks

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/jwksharvest/harvest/internal/text"
)

// maxSeed is the size of a seed in bytes: larger ones would make each mutation a slow one.
const maxSeed = 64 << 10

// FuzzParse checks what must hold for any document: see requireSound.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(names) == 0 {
		f.Fatal("no documents", err)
	}
	hostile, err := filepath.Glob(filepath.Join(corpusDirectory, "*.json"))
	if err != nil || len(hostile) == 0 {
		f.Fatal("no hostile documents", err)
	}
	for _, name := range slices.Concat(names, hostile) {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) <= maxSeed {
			f.Add(data)
		}
	}
	for _, seed := range []string{
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"oct","k":null}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","x5c":["AA=="],"x5u":"%zz"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","jwk":[{"\u0064":"AQ"}]}]}`,
		`{"keys":[{"kty":"oct","k":null,"k":"AQ"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { requireSound(t, data) })
}

// requireSound parses a document and checks what must hold of any: the same answer each
// time; a set of usable public keys or one of the documented errors, never both; no private
// material accepted; the very keys that go-jose reads; each member accounted for; the same
// set from what is written of it; nothing unprintable for a terminal.
func requireSound(t *testing.T, data []byte) (*Set, error) {
	t.Helper()
	set, err := Parse(data)
	again, errAgain := Parse(data)
	if !reflect.DeepEqual(set, again) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
		t.Fatalf("the same document, first %+v, %v, then %+v, %v", set, err, again, errAgain)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // one is as good as none
	requireRefusalOfPrivate(t, data, err)
	if err != nil {
		requireDocumentedError(t, data, set, err)
		return nil, err
	}
	requireAccounted(t, members(t, data), set)
	requireAllPrintable(t, set.Skipped)
	for _, warning := range set.Warnings {
		if !text.IsPrintable(warning) {
			t.Fatalf("unprintable warning %q", warning)
		}
	}
	requireSameWhenWritten(t, set)
	return set, nil
}

// requireRefusalOfPrivate compares the verdict with what a scanner finds that shares
// nothing with the reader.
func requireRefusalOfPrivate(t *testing.T, data []byte, err error) {
	t.Helper()
	lost, empty := privateMembersOf(data)
	wellFormed := err == nil || errors.Is(err, ErrNoKeys)
	if len(lost)+len(empty) > 0 && wellFormed {
		t.Fatalf("members %q, and empty ones %q, went unseen: %v", lost, empty, err)
	}
	if len(lost) > 0 && isSet(data) && !errors.Is(err, ErrPrivateKey) && !errors.Is(err, ErrTooLarge) {
		t.Fatalf("%q are lost, but %v", lost, err)
	}
	if len(lost) == 0 && errors.Is(err, ErrPrivateKey) {
		t.Fatalf("there is no private member: %v", err)
	}
}

// isSet reports whether a document is JSON with an array of keys, whatever is in it.
func isSet(data []byte) bool {
	var document map[string]json.RawMessage
	if !jsontext.Value(data).IsValid() || json.Unmarshal(data, &document) != nil {
		return false
	}
	return bytes.HasPrefix(bytes.TrimSpace(document["keys"]), []byte("["))
}

func requireDocumentedError(t *testing.T, data []byte, set *Set, err error) {
	t.Helper()
	if set != nil {
		t.Fatal("a set and an error")
	}
	if !text.IsPrintable(err.Error()) || len(err.Error()) > 4096 {
		t.Fatalf("unprintable error %q", err)
	}
	if none, ok := errors.AsType[*NoKeysError](err); ok {
		requireAllPrintable(t, none.Skipped)
		if n := len(members(t, data)); n != len(none.Skipped) {
			t.Fatalf("%d members, %d of them skipped, and no keys", n, len(none.Skipped))
		}
	}
	if _, empty := privateMembersOf(data); errors.Is(err, ErrMalformed) && isSet(data) && len(empty) == 0 {
		t.Fatalf("well-formed, but %v", err)
	}
	known := 0
	for _, refusal := range []error{ErrTooLarge, ErrMalformed, ErrPrivateKey, ErrNoKeys} {
		if errors.Is(err, refusal) {
			known++
		}
	}
	if known != 1 {
		t.Fatalf("%d of the documented errors in %v", known, err)
	}
}

func requireAllPrintable(t *testing.T, skipped []*KeyError) {
	t.Helper()
	for _, s := range skipped {
		if !text.IsPrintable(s.Error()) || len(s.KeyID) > 64 || s.Reason == "" || s.Detail == "" {
			t.Fatalf("unprintable reason %q", s.Error())
		}
	}
}

// members returns the members of the "keys" of a document that was accepted.
func members(t testing.TB, data []byte) []json.RawMessage {
	t.Helper()
	var document map[string]json.RawMessage
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(document["keys"], &raw); err != nil {
		t.Fatal(err)
	}
	return raw
}

// requireAccounted takes each member that isn't skipped for a key, reads it with go-jose,
// and compares: the keys of the set are these, each once, in the order of the document.
func requireAccounted(t *testing.T, raw []json.RawMessage, set *Set) {
	t.Helper()
	if len(set.Keys) == 0 || len(raw) > MaxMembers {
		t.Fatalf("%d keys of %d members", len(set.Keys), len(raw))
	}
	skipped := make(map[int]bool)
	last := -1
	for _, s := range set.Skipped {
		if s.Position <= last || s.Position >= len(raw) {
			t.Fatalf("position %d after %d, of %d members", s.Position, last, len(raw))
		}
		last = s.Position
		skipped[s.Position] = true
	}
	seen := make(map[string]bool)
	keys := set.Keys
	for i, member := range raw {
		if skipped[i] {
			continue
		}
		want := joseMember(t, member)
		der := spki(t, want.Key)
		if seen[der] {
			continue
		}
		seen[der] = true
		if len(keys) == 0 {
			t.Fatalf("member %d is neither a key nor skipped", i)
		}
		requireSameKey(t, keys[0], want, der)
		keys = keys[1:]
	}
	if len(keys) != 0 {
		t.Fatalf("%d keys that no member has", len(keys))
	}
}

// joseMember is what go-jose makes of a member as it stands, but for certificates and numbers of
// other types, of which a bad one would cost the key, and for what is written otherwise than
// go-jose has it: a "kid" that is a number, and coordinates without their leading zeros.
func joseMember(t *testing.T, raw json.RawMessage) *jose.JSONWebKey {
	t.Helper()
	var fields map[string]*json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	var kind string
	if fields["kty"] == nil || stdjson.Unmarshal(*fields["kty"], &kind) != nil {
		t.Fatalf("an accepted member without kty: %s", raw)
	}
	others := map[string][]string{"RSA": {"x", "y"}, "EC": {"n", "e"}, "OKP": {"y", "n", "e"}}[kind]
	for _, name := range append(others, "x5c", "x5u", "x5t", "x5t#S256") {
		delete(fields, name)
	}
	if kid := fields["kid"]; kid != nil && wholeNumber.Match(*kid) {
		*kid = json.RawMessage(`"` + string(*kid) + `"`)
	}
	if kind == "EC" {
		fillCoordinates(t, fields)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	key := new(jose.JSONWebKey)
	if err := key.UnmarshalJSON(raw); err != nil {
		t.Fatalf("go-jose refuses an accepted member: %v", err)
	}
	if !key.IsPublic() || !key.Valid() {
		t.Fatalf("to go-jose, an accepted member is no public key but %T", key.Key)
	}
	return key
}

var wholeNumber = regexp.MustCompile(`^-?[0-9]+$`)

// fillCoordinates puts zeros before the coordinates of an EC key that are too short.
func fillCoordinates(t *testing.T, fields map[string]*json.RawMessage) {
	t.Helper()
	value := func(name string) (s string) {
		if raw := fields[name]; raw != nil && stdjson.Unmarshal(*raw, &s) != nil {
			t.Fatalf("an accepted member has %s for %q", *raw, name)
		}
		return s
	}
	size := map[string]int{"P-256": 32, "P-384": 48, "P-521": 66}[value("crv")]
	for _, name := range []string{"x", "y"} {
		full := json.RawMessage(quoted(encode(new(big.Int).SetBytes(decode(value(name))).FillBytes(make([]byte, size)))))
		fields[name] = &full
	}
}

// spki returns the SubjectPublicKeyInfo of a key, which crypto/x509 must take back.
func spki(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	back, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatalf("crypto/x509 refuses an accepted key: %v", err)
	}
	if equal, ok := public.(interface{ Equal(x crypto.PublicKey) bool }); !ok || !equal.Equal(back) {
		t.Fatalf("crypto/x509 reads another key: %v", back)
	}
	return string(der)
}

func requireSameKey(t *testing.T, got Key, want *jose.JSONWebKey, der string) {
	t.Helper()
	switch public := got.Public.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < 2048 || bits > 4096 || public.N.Bit(0) == 0 || public.E < 65537 || public.E%2 == 0 {
			t.Fatalf("RSA key of %d bits with exponent %d", bits, public.E)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		t.Fatalf("a %T among the keys", got.Public)
	}
	if spki(t, got.Public) != der {
		t.Fatal("not the key that go-jose reads")
	}
	if first, _ := firstOf(got.Algorithms); first != want.Algorithm || got.Use != want.Use || want.KeyID != "" && got.KeyID != want.KeyID {
		t.Fatalf("key %+v, to go-jose kid %q, alg %q, use %q", got, want.KeyID, want.Algorithm, want.Use)
	}
	if got.KeyID == "" || len(got.KeyID) > MaxKeyID || !text.IsPrintable(got.KeyID) {
		t.Fatalf("kid %q", got.KeyID)
	}
	if got.Use != "" && got.Use != "sig" && got.Use != "jwt-svid" {
		t.Fatalf("use %q", got.Use)
	}
}

// requireSameWhenWritten has go-jose write the keys and parses that: the same keys again.
func requireSameWhenWritten(t *testing.T, set *Set) {
	t.Helper()
	var document jose.JSONWebKeySet
	for _, key := range set.Keys {
		// Zeros before a modulus can hide that the shortest way to write it is all digits.
		if public, ok := key.Public.(*rsa.PublicKey); ok && digits.MatchString(encode(public.N.Bytes())) {
			return
		}
		first, others := firstOf(key.Algorithms)
		for _, alg := range append([]string{first}, others...) {
			document.Keys = append(document.Keys, jose.JSONWebKey{Key: key.Public, KeyID: key.KeyID, Algorithm: alg, Use: key.Use})
		}
	}
	data, err := stdjson.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > MaxDocument { // the kids escaped
		return
	}
	again, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(set.Keys, again.Keys) || len(again.Skipped) != 0 {
		t.Fatalf("written and read again: %+v, skipped %v, not %+v", again.Keys, again.Skipped, set.Keys)
	}
}

var digits = regexp.MustCompile(`^[0-9a-fA-Fx]+$`)

func quoted(s string) string {
	b, err := stdjson.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func decode(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func firstOf(list []string) (first string, others []string) {
	if len(list) == 0 {
		return "", nil
	}
	return list[0], list[1:]
}

package jwks

import (
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func decode(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func decodeHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// writeEC writes a point of the curve, or one that is none.
func writeEC(c *choices, w *written, text func(string) string) {
	curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[text("crv")].Params()
	size := (curve.BitSize + 7) / 8
	x, y := decode(text("x")), decode(text("y"))
	switch c.pick(8) {
	case 4: // the other point
		y = new(big.Int).Sub(curve.P, new(big.Int).SetBytes(y)).FillBytes(make([]byte, size))
	case 5:
		x = c.octets(size)
	case 6:
		x, y = slices.Clone(x), slices.Clone(y)
		[][]byte{x, y}[c.pick(2)][c.pick(size)] ^= byte(1 << c.pick(8))
	case 7:
		switch c.pick(5) {
		case 0:
			x = append([]byte{0}, x...)
		case 1:
			i := c.pick(2)
			p := []*[]byte{&x, &y}[i]
			if (*p)[0] = byte(c.pick(2)) * (*p)[0]; (*p)[0] == 0 { // seldom a point then
				*p = (*p)[1:]
			}
		case 2:
			x, y = make([]byte, size), make([]byte, size) // at infinity, to some
		case 3: // the same residue, past the modulus
			if larger := new(big.Int).Add(new(big.Int).SetBytes(x), curve.P); larger.BitLen() <= 8*size {
				x = larger.FillBytes(make([]byte, size))
			}
		case 4:
			x, y = y, x
		}
	}
	w.put("x", quoted(encode(x)))
	w.put("y", quoted(encode(y)))
	if len(x) > size || len(y) > size || len(x) == 0 || len(y) == 0 || !onWeierstrass(curve, new(big.Int).SetBytes(x), new(big.Int).SetBytes(y)) {
		w.blame(ReasonPoint)
	}
}

// blank is white space now and then.
func (c *choices) blank() string { return []string{"", "", "", " ", "\n", "\t \r"}[c.pick(6)] }

// text writes the member with its names in a chosen order.
func (w *written) text(c *choices) string {
	if len(w.names) == 0 {
		return "{}"
	}
	first := c.pick(len(w.names))
	var fields []string
	for i := range w.names {
		j := (i + first) % len(w.names)
		fields = append(fields, c.blank()+`"`+w.names[j]+`"`+c.blank()+":"+w.values[j]+c.blank())
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// FuzzMembers builds documents out of good and bad parts, and knows what is to become of
// each member. Mutations of JSON, by themselves, seldom get as far as a second key.
func FuzzMembers(f *testing.F) {
	pool := fixed(f, "nomad-docs.json")
	for _, k := range slices.Concat(fixed(f, "mixed.json")[:5], fixed(f, "nomad-upgraded.json")) {
		pool = append(pool, fields{"kty": k["kty"], "crv": k["crv"], "n": k["n"], "e": k["e"], "x": k["x"], "y": k["y"]})
	}
	for _, k := range pool {
		if k["kty"] == "RSA" {
			n := new(big.Int).SetBytes(decode(k["n"].(string)))
			require.Empty(f, slices.Concat(modulusFaults(n), weaknessesOf(n)))
		}
	}
	f.Add([]byte{})
	random := rand.NewChaCha8([32]byte{}) // so that go test, by itself, sees some of everything
	for range 256 {
		seed := make([]byte, 200)
		_, _ = random.Read(seed)
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := choices(data)
		var list []string
		var want []*written
		private, empty, twice := false, false, false
		for range 1 + c.pick(5) {
			w := writeMember(&c, pool)
			if c.rarely(20) {
				*w = written{faults: []Reason{ReasonMalformed}}
				list = append(list, []string{"null", "7", `"d"`, "[]", "{}", `[{"d":null}]`}[c.pick(6)])
			} else {
				list = append(list, w.text(&c))
			}
			private, empty, twice = private || w.private, empty || w.empty, twice || w.twice()
			want = append(want, w)
		}
		before := []string{"", "", "", `"x":{"keys":[]},`, `"kty":"RSA",`, `"k":null,`, `"KEYS":[],`}[c.pick(7)]
		after := []string{"", "", "", `,"refresh":60`, `,"other":[{"n":"AQ"}]`}[c.pick(5)]
		if c.rarely(12) {
			after, private = after+`,"old":{"`+[]string{"d", "k", "oth"}[c.pick(3)]+`":"`+writtenCanary+`"}`, true
		}
		if c.rarely(20) {
			twice = true
			after += []string{`,"keys":[]`, `,"\u006beys":[]`, `,"keys":null`}[c.pick(3)]
		}
		document := c.blank() + "{" + before + `"keys":[` + strings.Join(list, ",") + "]" + after + "}" + c.blank()
		set, err := requireSound(t, []byte(document))
		requireWrittenVerdict(t, document, want, private, empty, twice, set, err)
		if err == nil {
			requireJudged(t, set)
		}
	})
}

// requireJudged compares the verdicts on what was read with what is wrong with it.
func requireJudged(t *testing.T, set *Set) {
	t.Helper()
	for _, k := range set.Keys {
		var faults []Reason
		if public, ok := k.Public.(*rsa.PublicKey); ok {
			faults = weaknessesOf(public.N)
		}
		switch refusal, refused := errors.AsType[*KeyError](Judge(k)); {
		case !refused && len(faults) > 0:
			t.Fatalf("%v is accepted, against %v", k, faults)
		case refused && !slices.Contains(faults, refusal.Reason):
			t.Fatalf("%v, but what is wrong with it is %v: %v", refusal, faults, k)
		}
	}
}

// requireWrittenVerdict compares what became of a document with what was to become of it.
func requireWrittenVerdict(t *testing.T, document string, want []*written, private, empty, twice bool, set *Set, err error) {
	t.Helper()
	if err != nil && strings.Contains(err.Error(), writtenCanary) {
		t.Fatalf("private material comes out: %v", err)
	}
	var skipped []*KeyError
	switch none, isNone := errors.AsType[*NoKeysError](err); {
	case twice || private: // of two faults, the first is named
		if (!twice || !errors.Is(err, ErrMalformed)) && (!private || !errors.Is(err, ErrPrivateKey)) {
			t.Fatalf("a name twice: %t, private material: %t, but %v\n%s", twice, private, err, document)
		}
		return
	case empty:
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("an empty private member, but %v\n%s", err, document)
		}
		return
	case isNone:
		skipped = none.Skipped
	case err != nil:
		t.Fatalf("%v\n%s", err, document)
	default:
		skipped = set.Skipped
	}
	for i, w := range want {
		at := slices.IndexFunc(skipped, func(s *KeyError) bool { return s.Position == i })
		switch {
		case at < 0 && len(w.faults) > 0:
			t.Fatalf("member %d is accepted, against %v\n%s", i, w.faults, document)
		case at >= 0 && !slices.Contains(w.faults, skipped[at].Reason):
			t.Fatalf("%v, but what is wrong with it is %v\n%s", skipped[at], w.faults, document)
		}
	}
}

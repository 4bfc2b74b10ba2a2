package jwks

import (
	"encoding/hex"
	stdjson "encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// choices turns fuzzed bytes into decisions; when they run out, every choice is the first.
type choices []byte

func (c *choices) pick(n int) int {
	if len(*c) == 0 {
		return 0
	}
	b := (*c)[0]
	*c = (*c)[1:]
	return int(b) % n
}

// rarely is true in one of n cases.
func (c *choices) rarely(n int) bool { return c.pick(n) == n-1 }

// octets returns n bytes, the last of the fuzzed ones over and over.
func (c *choices) octets(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		if len(*c) > 0 {
			out[i] = (*c)[0]
			if len(*c) > 1 {
				*c = (*c)[1:]
			}
		}
	}
	return out
}

// choice is a value of a member and what speaks against it; no reason: nothing.
type choice struct {
	value string // JSON; "" leaves the member out
	fault Reason
}

// written is a member of a key as it is written, and all that speaks against it.
type written struct {
	names, values []string
	faults        []Reason
	private       bool
	empty         bool // a private member that holds nothing, and may not be there
}

func (w *written) put(name, value string) {
	if value != "" {
		w.names, w.values = append(w.names, name), append(w.values, value)
	}
}

func (w *written) choose(c *choices, name string, of ...choice) {
	chosen := of[0]
	if c.rarely(6) {
		chosen = of[c.pick(len(of))]
	}
	w.put(name, chosen.value)
	w.blame(chosen.fault)
}

// has reports whether a name is there, if only once, with one of these values; "" is a name that
// isn't there.
func (w *written) has(name string, values ...string) bool {
	value := ""
	if i := slices.Index(w.names, name); i >= 0 {
		value = w.values[i]
	}
	return slices.Contains(values, value)
}

// twice reports whether a name is there twice, as a reader of JSON sees it.
func (w *written) twice() bool {
	return len(slices.Compact(slices.Sorted(slices.Values(w.names)))) < len(w.names)
}

func (w *written) blame(faults ...Reason) {
	for _, f := range faults {
		if f != "" {
			w.faults = append(w.faults, f)
		}
	}
}

func quoted(s string) string {
	b, err := stdjson.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// fixed are the members of a document in testdata: the same in each run, unlike testKeys, so
// that an input means the same in each.
func fixed(t testing.TB, name string) []fields {
	var document struct {
		Keys []fields `json:"keys"`
	}
	require.NoError(t, stdjson.Unmarshal(readTestdata(t, name), &document))
	return document.Keys
}

// writeMember makes a member out of choices. What speaks against its numbers is worked
// out by the judges of this test.
func writeMember(c *choices, pool []fields) *written {
	w := new(written)
	good := pool[c.pick(len(pool))]
	text := func(name string) string { s, _ := good[name].(string); return s }
	kind := text("kty") + text("crv")
	algorithms := map[string][]string{
		"RSA":     {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
		"ECP-256": {"ES256"}, "ECP-384": {"ES384"}, "ECP-521": {"ES512"},
		"OKPEd25519": {"EdDSA", "Ed25519"},
	}[kind]
	fits := algorithms[c.pick(len(algorithms))]
	others := slices.DeleteFunc([]string{"ES256", "ES384", "RS256", "EdDSA"}, func(a string) bool { return slices.Contains(algorithms, a) })
	other := others[c.pick(len(others))]

	w.choose(c, "kty", choice{quoted(text("kty")), ""}, choice{"", ReasonMalformed}, choice{"null", ReasonMalformed}, choice{`""`, ReasonMalformed},
		choice{"7", ReasonMalformed}, choice{`"oct"`, ReasonKeyType}, choice{`"rsa"`, ReasonKeyType}, choice{`"AKP"`, ReasonKeyType})
	if text("crv") == "" {
		w.choose(c, "crv", choice{}, choice{`"P-256"`, ""}, choice{`""`, ""}, choice{"7", ReasonMalformed})
	} else {
		w.choose(c, "crv", choice{quoted(text("crv")), ""}, choice{"", ReasonMalformed}, choice{"null", ReasonMalformed}, choice{"[]", ReasonMalformed},
			choice{`"secp256k1"`, ReasonKeyType}, choice{`"X25519"`, ReasonKeyType}, choice{`"p-256"`, ReasonKeyType})
	}
	w.choose(c, "kid", choice{}, choice{`"a"`, ""}, choice{`""`, ""}, choice{"null", ""}, choice{`"\u0041"`, ""}, choice{`"a \"b\" \\"`, ""},
		choice{quoted(strings.Repeat("é", MaxKeyID/2)), ""}, choice{quoted(strings.Repeat("é", MaxKeyID/2) + "k"), ReasonKeyID},
		choice{`"a\nb"`, ReasonKeyID}, choice{`"\u001b[2J"`, ReasonKeyID}, choice{`"\u202e"`, ReasonKeyID}, choice{"\"\ufffd\"", ReasonKeyID},
		choice{"7", ""}, choice{"-70", ""}, choice{"7.0", ReasonMalformed}, choice{"7e3", ReasonMalformed}, choice{strings.Repeat("7", MaxKeyID+1), ReasonKeyID},
		choice{`["a"]`, ReasonMalformed}, choice{"{}", ReasonMalformed})
	w.choose(c, "use", choice{}, choice{`"sig"`, ""}, choice{`"jwt-svid"`, ""}, choice{`""`, ""}, choice{"null", ""},
		choice{`"enc"`, ReasonUse}, choice{`"SIG"`, ReasonUse}, choice{"1", ReasonMalformed})
	w.choose(c, "alg", choice{quoted(fits), ""}, choice{}, choice{`""`, ""}, choice{"null", ""}, choice{quoted(other), ReasonAlgorithm}, choice{quoted(other), ReasonAlgorithm},
		choice{`"none"`, ReasonAlgorithm}, choice{`"HS256"`, ReasonAlgorithm}, choice{quoted(strings.ToLower(fits)), ReasonAlgorithm}, choice{"true", ReasonMalformed})
	own := ReasonOperations // words of one's own, unless use and alg say what the key is for
	if w.has("use", `"sig"`, `"jwt-svid"`, `"enc"`, `"SIG"`) && !w.has("alg", "", `""`, "null") {
		own = ""
	}
	w.choose(c, "key_ops", choice{}, choice{`["verify"]`, ""}, choice{`["sign","verify"]`, ""}, choice{"null", ""}, choice{"[]", ReasonOperations},
		choice{`["sign"]`, ReasonOperations}, choice{`["connect"]`, own}, choice{`["connect","sign"]`, ReasonOperations}, choice{`["DeriveKey"]`, ReasonOperations}, choice{`"verify"`, ReasonMalformed}, choice{`[1]`, ReasonMalformed}, choice{"{}", ReasonMalformed})
	writeNumbers(c, w, kind, text)
	writeExtras(c, w)
	return w
}

// writeExtras adds what has no bearing on a key, or a name twice, or private material.
func writeExtras(c *choices, w *written) {
	w.choose(c, "ext", choice{}, choice{"true", ""}, choice{`{"d":null,"n":[[]]}`, ""}, choice{`["d","k"]`, ""})
	w.choose(c, "x5c", choice{}, choice{`["AA=="]`, ""}, choice{"7", ""}, choice{`[]`, ""})
	w.choose(c, "x5u", choice{}, choice{`"%zz"`, ""}, choice{"null", ""})
	if c.rarely(16) {
		w.put(`\u001b[2J\u202e`, "0")
		i := len(w.names) - 1 - c.pick(len(w.names))
		w.put(w.names[i], []string{w.values[i], "null"}[c.pick(2)])
	}
	if !c.rarely(6) {
		return
	}
	name := []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}[c.pick(9)]
	if c.rarely(3) { // the same name, written otherwise
		name = `\u00` + strconv.FormatInt(int64(name[0]), 16) + name[1:]
	}
	value := []string{quoted(writtenCanary), `""`, "0", "[]", "false", "null"}[c.pick(6)]
	w.empty = value == `""` || value == "[]" && !strings.HasSuffix(name, "th")
	w.private = !w.empty && value != "null" && value != "[]"
	switch c.pick(5) {
	case 0:
		w.put(name, value)
	case 1:
		w.put("jwk", `{"`+name+`":`+value+`}`)
	case 2:
		w.put("jwk", `[0,[{"a":"`+name+`","`+name+`":`+value+`}]]`)
	case 3: // nothing, and then something
		w.put(name, "null")
		w.put(name, value)
	case 4:
		w.put("kty", `{"`+name+`":`+value+`}`)
		w.blame(ReasonMalformed)
	}
}

// writtenCanary stands for private material. It must not come out anywhere.
const writtenCanary = "writtenCanary-c2VjcmV0-writtenCanary"

// writeNumbers writes the numbers of a key, most often good ones.
func writeNumbers(c *choices, w *written, kind string, text func(string) string) {
	if c.rarely(8) { // not even numbers
		name := map[bool]string{true: "n", false: "x"}[kind == "RSA"]
		w.choose(c, name, []choice{
			{"", ReasonMalformed}, {`""`, ReasonMalformed}, {"null", ReasonMalformed}, {"7", ReasonMalformed}, {`"!"`, ReasonMalformed},
			{quoted(text(name) + "="), ReasonMalformed}, {`"AQAB\nAQAB"`, ReasonMalformed},
		}[c.pick(7)])
		for _, rest := range []string{"e", "y"} {
			if text(rest) != "" {
				w.put(rest, quoted(text(rest)))
			}
		}
		return
	}
	switch kind {
	case "RSA":
		writeRSA(c, w, text)
	case "OKPEd25519":
		point := decode(text("x"))
		if c.rarely(2) {
			point = edwardsChoice(c, point)
		}
		w.put("x", quoted(encode(point)))
		if len(point) == 0 {
			w.blame(ReasonMalformed)
		} else {
			w.blame(edwardsFaults(point)...)
		}
	default:
		writeEC(c, w, text)
	}
}

// writeRSA writes a good modulus, one that is weak in a known way, or any.
func writeRSA(c *choices, w *written, text func(string) string) {
	n, e := new(big.Int).SetBytes(decode(text("n"))), big.NewInt(65537)
	small := big.NewInt(int64(2*c.pick(64) + 1))
	kind := c.pick(11)
	switch kind {
	case 5: // any
		n.SetBytes(c.octets(c.pick(256) * 3))
	case 6: // a multiple, of which some are too large
		n.Mul(n, small)
	case 7: // even
		n.SetBit(n, 0, 0)
	case 8: // as the flawed library makes them
		n.SetInt64(1)
		for _, p := range primesTo701() {
			n.Mul(n, p)
		}
		residue := new(big.Int).Exp(big.NewInt(65537), new(big.Int).SetBytes(c.octets(8)), n)
		k := new(big.Int).Lsh(big.NewInt(1), uint(2047-n.BitLen()+c.pick(2)))
		n.Mul(n, k.Or(k, new(big.Int).SetBytes(c.octets(64)))).Add(n, residue)
	case 9: // (a-b)(a+b)
		a := new(big.Int).SetBytes(append([]byte{0xff}, c.octets(127)...))
		b := new(big.Int).SetBytes(c.octets(64 + c.pick(4)))
		n.Sub(n.Mul(a, a), b.Mul(b, b))
	case 10: // hexadecimal digits, which are base64url too
		n.SetBytes(decode(hex.EncodeToString(c.octets(192 + c.pick(4)*3))))
	}
	if c.rarely(4) {
		e = []*big.Int{big.NewInt(65539), big.NewInt(1<<31 - 1), big.NewInt(3), big.NewInt(1), big.NewInt(0), big.NewInt(65535), big.NewInt(65536), big.NewInt(65538),
			big.NewInt(1<<31 + 1), big.NewInt(1<<32 + 65537), new(big.Int).Lsh(big.NewInt(65537), 64), new(big.Int).SetBytes(c.octets(c.pick(5)))}[c.pick(12)]
	}
	zeros := make([]byte, []int{0, 0, 0, 1, 7}[c.pick(5)]) // as some write them
	modulus, exponent := slices.Concat(zeros, n.Bytes()), slices.Concat(zeros, e.Bytes())
	w.put("n", quoted(encode(modulus)))
	w.put("e", quoted(encode(exponent)))
	if len(modulus) == 0 || len(exponent) == 0 || len(modulus) > 192 && digits.MatchString(encode(modulus)) {
		w.blame(ReasonMalformed)
	}
	w.blame(exponentFaults(e)...)
	if kind > 4 { // else it is as good as it was
		w.blame(modulusFaults(n)...)
	}
}

var digits = regexp.MustCompile(`^[0-9a-fA-Fx]+$`)

func edwardsChoice(c *choices, good []byte) []byte {
	switch c.pick(6) {
	case 0:
		return decodeHex(smallOrderPoints[c.pick(len(smallOrderPoints))])
	case 1:
		return c.octets(32)
	case 2:
		return c.octets(c.pick(70))
	case 3: // near the modulus: many are encodings of no point, or not the canonical ones
		point := append([]byte{0xe6 + byte(c.pick(26))}, slices.Repeat([]byte{0xff}, 31)...)
		point[31] = byte(0x7f + 0x80*c.pick(2))
		return point
	case 4:
		point := slices.Clone(good)
		point[c.pick(len(point))] ^= byte(1 << c.pick(8))
		return point
	default:
		return append(slices.Clone(good), c.octets(1)...)
	}
}

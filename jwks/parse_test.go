package jwks

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/text"
)

func TestParseDocuments(t *testing.T) {
	tests := map[string]struct {
		keys    []string
		skipped []string // position, reason
	}{
		"nomad-docs.json": {keys: []string{"110a70ac-76a5-16a7-4ae7-bb0865ecd1a5"}},
		"nomad-upgraded.json": {keys: []string{
			"fd33f64f-4b8e-0f2c-4b6e-6a4d2e4a6c1d", "3f0fccd0-2a8e-4bd1-b1ea-8a1c1a7e4f10", "80ef5b3f-77f1-1c8a-60a7-52b7a3f6f1d2",
		}},
		"rfc7517-a1.json": {keys: []string{"2011-04-29"}, skipped: []string{"0 use"}},
		"spiffe.json":     {keys: []string{"C6vs25welZOx6WksNYfbMfiw9l96pMnD"}, skipped: []string{"1 use"}},
		"mixed.json": {
			keys: []string{"rsa", "p256", "p384", "p521", "ed25519"},
			skipped: []string{
				"5 kty", "6 kty", "7 kty", "8 kty", "9 kty", "10 use", "11 key_ops", "12 alg", "13 kid",
				"14 size", "15 size", "16 modulus", "17 exponent", "18 point", "19 point", "20 malformed",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set, err := Parse(readTestdata(t, name))
			require.NoError(t, err)
			assert.Equal(t, test.keys, keyIDs(set))
			var skipped []string
			for _, s := range set.Skipped {
				skipped = append(skipped, fmt.Sprintf("%d %s", s.Position, s.Reason))
				assert.NotEmpty(t, s.Detail)
			}
			assert.Equal(t, test.skipped, skipped)
			assert.Empty(t, set.Warnings)
			assert.Zero(t, set.Index)

			again, err := Parse(readTestdata(t, name))
			require.NoError(t, err)
			assert.Equal(t, set, again, "the same document gives the same set")
		})
	}
}

func TestParseKeyTypes(t *testing.T) {
	set, err := Parse(readTestdata(t, "mixed.json"))
	require.NoError(t, err)
	require.Len(t, set.Keys, 5)
	assert.IsType(t, &rsa.PublicKey{}, set.Keys[0].Public)
	assert.IsType(t, &ecdsa.PublicKey{}, set.Keys[1].Public)
	assert.IsType(t, ed25519.PublicKey{}, set.Keys[4].Public)
	assert.Equal(t, []string{"PS256"}, set.Keys[0].Algorithms)
	assert.Equal(t, "sig", set.Keys[0].Use)
	assert.Empty(t, set.Keys[1].Use)
}

func TestParseRefusesDocument(t *testing.T) {
	good := keySet(rsaMember(0, nil))
	members := strings.Repeat(`{},`, MaxMembers)
	tests := map[string]struct {
		document string
		want     error
		message  string
	}{
		"empty":              {"", ErrMalformed, "empty"},
		"white space":        {" \n", ErrMalformed, "empty"},
		"byte-order marks":   {"\xef\xbb\xbf\xef\xbb\xbf" + good, ErrMalformed, "byte-order mark"},
		"html":               {"<!DOCTYPE html><html>", ErrMalformed, "HTML"},
		"pem":                {"-----BEGIN PUBLIC KEY-----\n", ErrMalformed, "PEM"},
		"array":              {"[" + good + "]", ErrMalformed, "not a JSON object"},
		"null":               {"null", ErrMalformed, "not a JSON object"},
		"not json":           {`{"keys": nope}`, ErrMalformed, "invalid character"},
		"cut off":            {good[:len(good)-1], ErrMalformed, "unexpected EOF"},
		"trailing document":  {good + good, ErrMalformed, "text after the object"},
		"trailing bracket":   {good + "]", ErrMalformed, "text after the object"},
		"trailing NUL":       {good + "\x00", ErrMalformed, "text after the object"},
		"no keys":            {`{"other": []}`, ErrMalformed, `no "keys"`},
		"KEYS":               {strings.Replace(good, `"keys"`, `"KEYS"`, 1), ErrMalformed, `no "keys"`},
		"single key":         {`{"kty": "RSA", "n": "AQ", "e": "AQAB"}`, ErrMalformed, "single key"},
		"keys twice":         {`{"keys": [], ` + good[1:], ErrMalformed, `duplicate object member name "keys"`},
		"keys twice, hidden": {`{"\u006beys": [], ` + good[1:], ErrMalformed, `duplicate object member name "keys"`},
		"keys null":          {`{"keys": null}`, ErrMalformed, "not an array"},
		"keys object":        {`{"keys": {}}`, ErrMalformed, "not an array"},
		"keys string":        {`{"keys": "[]"}`, ErrMalformed, "not an array"},
		"deep":               {`{"keys": ` + strings.Repeat("[", 400_000) + strings.Repeat("]", 400_000) + "}", ErrMalformed, "max depth"},
		"deep member":        {`{"keys": [{"x": ` + strings.Repeat(`{"a":`, 9_000) + "1" + strings.Repeat("}", 9_000) + "}]}", ErrNoKeys, "not a string"},
		"too large":          {good + strings.Repeat(" ", MaxDocument-len(good)+1), ErrTooLarge, "1048576"},
		"too many members":   {`{"keys": [` + members + `{}]}`, ErrTooLarge, "over 1000 members"},
		"no members":         {`{"keys": []}`, ErrNoKeys, "the set is empty"},
		"no usable member":   {`{"keys": [{"kty": "oct", "kid": "a"}, {"kty": "RSA"}]}`, ErrNoKeys, `key 0 (kid "a"): kty`},
		"none of many":       {`{"keys": [` + members[:len(members)-1] + `]}`, ErrNoKeys, "and 997 more"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set, err := Parse([]byte(test.document))
			require.ErrorIs(t, err, test.want)
			assert.Nil(t, set)
			assert.ErrorContains(t, err, test.message)
			assert.Less(t, len(err.Error()), 1000)
			assert.True(t, text.IsPrintable(err.Error()))
		})
	}
}

func TestParseBoundsAreInclusive(t *testing.T) {
	good := keySet(rsaMember(0, nil))
	_, err := Parse([]byte(good + strings.Repeat(" ", MaxDocument-len(good))))
	require.NoError(t, err)

	members := make([]any, MaxMembers)
	for i := range members {
		members[i] = fields{"kty": "unknown"}
	}
	members[MaxMembers-1] = rsaMember(0, fields{"kid": strings.Repeat("k", MaxKeyID)})
	set, err := Parse([]byte(keySet(members...)))
	require.NoError(t, err)
	assert.Len(t, set.Keys, 1)
	assert.Len(t, set.Skipped, MaxMembers-1)
}

func TestParseNoKeysListsReasons(t *testing.T) {
	_, err := Parse([]byte(keySet(rsaMember(0, fields{"kid": "a", "use": "enc"}), rsaMember(1, fields{"kid": "b", "e": "Aw"}))))
	var none *NoKeysError
	require.ErrorAs(t, err, &none)
	require.Len(t, none.Skipped, 2)
	assert.Equal(t, ReasonUse, none.Skipped[0].Reason)
	assert.Equal(t, ReasonExponent, none.Skipped[1].Reason)
	assert.Equal(t, "b", none.Skipped[1].KeyID)
}

func TestParseRefusesPrivateKeys(t *testing.T) {
	for _, name := range []string{"private-ec.json", "private-rsa.json", "symmetric.json"} {
		t.Run(name, func(t *testing.T) {
			set, err := Parse(readTestdata(t, name))
			require.ErrorIs(t, err, ErrPrivateKey)
			assert.Nil(t, set)
		})
	}

	hosts := map[string]fields{
		"usable":             rsaMember(0, nil),
		"without kty":        {},
		"oct":                {"kty": "oct"},
		"unknown kty":        {"kty": "AKP"},
		"for encryption":     rsaMember(0, fields{"use": "enc"}),
		"malformed":          {"kty": 7},
		"rejected algorithm": rsaMember(0, fields{"alg": "none"}),
	}
	for host, members := range hosts {
		for _, private := range privateMembers {
			for _, value := range []any{"AQAB", " ", 1, []any{nil}, []any{fields{}}, fields{"": nil}, false} {
				member := maps.Clone(members)
				member[private] = value
				_, err := Parse([]byte(keySet(rsaMember(1, nil), member)))
				require.ErrorIs(t, err, ErrPrivateKey, "%s: %s = %v", host, private, value)
				require.ErrorContains(t, err, "/keys/1/"+private+";")
			}
			for _, value := range []any{"", []any{}, fields{}} {
				member := maps.Clone(members)
				member[private] = value
				_, err := Parse([]byte(keySet(rsaMember(1, nil), member)))
				if _, isList := value.([]any); isList && private == "oth" {
					require.NoError(t, err, host)
					continue
				}
				require.ErrorIs(t, err, ErrMalformed, "%s: %s = %v", host, private, value)
				require.ErrorContains(t, err, "/keys/1/"+private+" is empty")
			}
		}
	}

	good := keySet(rsaMember(0, nil))
	elsewhere := map[string]string{
		"repeated in a member":      `{"keys": [{"kty": "oct", "k": "c2VjcmV0", "k": null}, ` + good[len(`{"keys":[`):],
		"before the fault":          `{"keys": [{"kty": "oct", "k": "c2VjcmV0"}, nope`,
		"escaped":                   `{"keys": [{"kty": "oct", "\u006b": "c2VjcmV0"}, ` + good[len(`{"keys":[`):],
		"in a member of a member":   `{"keys": [{"kty": "RSA", "jwk": {"d": "AQ"}}, ` + good[len(`{"keys":[`):],
		"in an array":               `{"keys": [{"kty": "RSA", "jwk": [1, [{"d": "AQ"}]]}, ` + good[len(`{"keys":[`):],
		"in an array of members":    `{"keys": [[{"d": "AQ"}], ` + good[len(`{"keys":[`):],
		"beside the keys":           `{"d": "AQ", ` + good[1:],
		"in another list":           `{"old": [{"kty": "oct", "k": "AQ"}], ` + good[1:],
		"in a set that isn't a set": `{"kty": "EC", "d": "AQ"}`,
	}
	for name, document := range elsewhere {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(document))
			require.ErrorIs(t, err, ErrPrivateKey)
		})
	}

	public := map[string]string{
		"null":           `{"keys": [{"kty": "oct", "k": null}, ` + good[len(`{"keys":[`):],
		"value":          `{"keys": [{"kty": "d", "x": "k"}, ` + good[len(`{"keys":[`):],
		"other case":     `{"keys": [{"kty": "x", "D": "AQ"}, ` + good[len(`{"keys":[`):],
		"array of names": `{"keys": [{"kty": "x", "names": ["d", "k"]}, ` + good[len(`{"keys":[`):],
	}
	for name, document := range public {
		t.Run("not "+name, func(t *testing.T) {
			set, err := Parse([]byte(document))
			require.NoError(t, err)
			assert.Len(t, set.Keys, 1)
		})
	}
}

func TestParseSameKeyTwice(t *testing.T) {
	a := rsaMember(0, fields{"kid": "a"})
	set, err := Parse([]byte(keySet(a, a, rsaMember(1, fields{"kid": "b"}))))
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, keyIDs(set))
	assert.Empty(t, set.Warnings)

	// Leading zeros, as Java writes them, make no other key of it.
	padded := rsaMember(0, fields{"kid": "c", "e": "AAEAAQ", "alg": "RS512"})
	set, err = Parse([]byte(keySet(a, padded)))
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, keyIDs(set))
	assert.Empty(t, set.Keys[0].Algorithms, "the first isn't limited to some")
	assert.Equal(t, []string{`key 1 (kid "c") is the key of kid "a" again; kept once`}, set.Warnings)
}

// Access managers publish one key as a member for each algorithm that it signs with.
func TestParseOneKeyManyAlgorithms(t *testing.T) {
	as := func(alg string) fields { return rsaMember(0, fields{"kid": "a", "alg": alg}) }
	set, err := Parse([]byte(keySet(as("PS256"), as("RS256"), rsaMember(1, fields{"kid": "b"}), as("PS256"), rsaMember(0, fields{"kid": "a"}), as("RS384"))))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, keyIDs(set))
	assert.Equal(t, []string{"PS256", "RS256", "RS384"}, set.Keys[0].Algorithms)
	assert.Empty(t, set.Keys[1].Algorithms)
	assert.Empty(t, set.Warnings, "nothing is wrong with it")
}

func TestParseOneKeyIDForTwoKeys(t *testing.T) {
	set, err := Parse([]byte(keySet(rsaMember(0, fields{"kid": "a"}), rsaMember(1, fields{"kid": "a"}))))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "a"}, keyIDs(set))
	assert.NotEqual(t, set.Keys[0].Public, set.Keys[1].Public)
	assert.Equal(t, []string{`key 1: kid "a" is also the kid of a different key; both are kept`}, set.Warnings)
}

func TestParseThumbprint(t *testing.T) {
	// RFC 7638 section 3.1 and RFC 8037 appendix A.3.
	withoutKeyID := strings.Replace(string(readTestdata(t, "rfc7517-a1.json")), `"kid":"2011-04-29"`, `"kid":""`, 1)
	set, err := Parse([]byte(withoutKeyID))
	require.NoError(t, err)
	assert.Equal(t, []string{"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}, keyIDs(set))

	set, err = Parse([]byte(`{"keys": [{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	require.NoError(t, err)
	assert.Equal(t, []string{"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}, keyIDs(set))
}

func TestParseIgnoresCertificates(t *testing.T) {
	for name, value := range map[string]any{"x5c": []any{"AA=="}, "x5t": "!", "x5t#S256": 7, "x5u": "%zz"} {
		set, err := Parse([]byte(keySet(rsaMember(0, fields{"kid": "a", name: value}))))
		require.NoError(t, err, name)
		assert.Equal(t, []string{"a"}, keyIDs(set), name)
	}
}

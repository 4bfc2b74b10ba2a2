package jwks

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/text"
)

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

// Every private member, in every kind of member, whatever it holds.
func TestParseRefusesPrivateKeys(t *testing.T) {
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
}

func TestParseSameKeyTwice(t *testing.T) {
	a := rsaMember(0, fields{"kid": "a"})
	set := parsed(t, []byte(keySet(a, a, rsaMember(1, fields{"kid": "b"}))))
	assert.Equal(t, []string{"a", "b"}, keyIDs(set))
	assert.Empty(t, set.Warnings)

	// Leading zeros, as Java writes them, make no other key of it.
	padded := rsaMember(0, fields{"kid": "c", "e": "AAEAAQ", "alg": "RS512"})
	set = parsed(t, []byte(keySet(a, padded)))
	assert.Equal(t, []string{"a"}, keyIDs(set))
	assert.Empty(t, set.Keys[0].Algorithms, "the first isn't limited to some")
	assert.Equal(t, []string{`key 1 (kid "c") is the key of kid "a" again; kept once`}, set.Warnings)
}

// Access managers publish one key as a member for each algorithm that it signs with.
func TestParseOneKeyManyAlgorithms(t *testing.T) {
	as := func(alg string) fields { return rsaMember(0, fields{"kid": "a", "alg": alg}) }
	set := parsed(t, []byte(keySet(as("PS256"), as("RS256"), rsaMember(1, fields{"kid": "b"}), as("PS256"), rsaMember(0, fields{"kid": "a"}), as("RS384"))))
	require.Equal(t, []string{"a", "b"}, keyIDs(set))
	assert.Equal(t, []string{"PS256", "RS256", "RS384"}, set.Keys[0].Algorithms)
	assert.Empty(t, set.Keys[1].Algorithms)
	assert.Empty(t, set.Warnings, "nothing is wrong with it")
}

func TestParseOneKeyIDForTwoKeys(t *testing.T) {
	set := parsed(t, []byte(keySet(rsaMember(0, fields{"kid": "a"}), rsaMember(1, fields{"kid": "a"}))))
	require.Equal(t, []string{"a", "a"}, keyIDs(set))
	assert.NotEqual(t, set.Keys[0].Public, set.Keys[1].Public)
	assert.Equal(t, []string{`key 1: kid "a" is also the kid of a different key; both are kept`}, set.Warnings)
}

func TestParseThumbprint(t *testing.T) {
	// RFC 7638 section 3.1 and RFC 8037 appendix A.3.
	withoutKeyID := strings.Replace(string(readTestdata(t, "rfc7517-a1.json")), `"kid":"2011-04-29"`, `"kid":""`, 1)
	set := parsed(t, []byte(withoutKeyID))
	assert.Equal(t, []string{"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}, keyIDs(set))

	set = parsed(t, []byte(`{"keys": [{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	assert.Equal(t, []string{"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}, keyIDs(set))
}

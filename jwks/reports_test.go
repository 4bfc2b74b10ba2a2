package jwks

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The documents of testdata/reports have the shapes that people reported of their issuers; the
// number of each is its test's.

// A .NET issuer writes "oth": [] beside public members: no further primes, and nothing lost.
func TestReport01EmptyPrimes(t *testing.T) {
	document := string(readTestdata(t, "reports/01-oth-empty.json"))
	set, err := Parse([]byte(document))
	require.NoError(t, err)
	assert.Equal(t, []string{"rsa-1"}, keyIDs(set))
	assert.Empty(t, set.Warnings)

	replaced := func(private string) error {
		_, err := Parse([]byte(strings.Replace(document, `"oth": []`, private, 1)))
		return err
	}
	for _, private := range []string{`"d": ""`, `"p": []`, `"qi": {}`, `"oth": ""`} {
		err := replaced(private)
		require.ErrorIs(t, err, ErrMalformed, private)
		assert.NotContains(t, err.Error(), "lost")
	}
	for _, private := range []string{`"oth": [{}]`, `"oth": [null]`, `"oth": {"r": ""}`, `"d": "AQ"`} {
		require.ErrorIs(t, replaced(private), ErrPrivateKey, private)
	}
	require.NoError(t, replaced(`"d": null`), "null is as good as absent")

	// What is lost matters more than what is empty, wherever it stands.
	require.ErrorIs(t, replaced(`"d": "", "p": "AQ"`), ErrPrivateKey)
}

// Janssen and Gluu have a word of their own in "key_ops", beside a signature's "use" and "alg".
func TestReport02OwnOperations(t *testing.T) {
	document := string(readTestdata(t, "reports/02-key-ops-connect.json"))
	set, err := Parse([]byte(document))
	require.NoError(t, err)
	assert.Contains(t, keyIDs(set), "connect_0f1d_sig_rs256")
	assert.Contains(t, keyIDs(set), "connect_77aa_sig_es256")
	require.Len(t, set.Skipped, strings.Count(document, `"use": "enc"`), "%v", set.Skipped)
	require.NotEmpty(t, set.Warnings)
	assert.Contains(t, set.Warnings[0], `keys 0, 1`)
	assert.Contains(t, set.Warnings[0], `"connect"`)

	for name, words := range map[string]string{
		"registered":       `"sign"`,
		"beside its own":   `"connect", "decrypt"`,
		"in other letters": `"VERIFY"`,
		"no word":          `""`,
		"none":             ``,
	} {
		t.Run(name, func(t *testing.T) {
			set, err := Parse([]byte(strings.Replace(document, `"connect"`, words, 1)))
			require.NoError(t, err)
			require.NotEmpty(t, set.Skipped)
			assert.Equal(t, ReasonOperations, set.Skipped[0].Reason)
		})
	}
}

// OpenAM, ForgeRock and Keycloak publish one key in a member for each algorithm.
func TestReport04OneKeyManyAlgorithms(t *testing.T) {
	set, err := Parse(readTestdata(t, "reports/04-one-key-many-algs.json"))
	require.NoError(t, err)
	require.Len(t, set.Keys, 1)
	assert.ElementsMatch(t, []string{"PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}, set.Keys[0].Algorithms)
	assert.Empty(t, set.Warnings, "nothing is wrong")
}

// A "kid" that is a whole number is its digits.
func TestReport08NumericKeyID(t *testing.T) {
	document := string(readTestdata(t, "reports/08-kid-number.json"))
	set, err := Parse([]byte(document))
	require.NoError(t, err)
	assert.Equal(t, []string{"1", "2"}, keyIDs(set))
	require.Len(t, set.Warnings, 1, "one for both")
	assert.Contains(t, set.Warnings[0], `keys 0, 1: "kid" is a number`)

	for written, kid := range map[string]string{"-17": "-17", "0": "0", "12345678901234567890123": "12345678901234567890123"} {
		set, err := Parse([]byte(strings.Replace(document, `"kid": 1`, `"kid": `+written, 1)))
		require.NoError(t, err)
		assert.Equal(t, []string{kid, "2"}, keyIDs(set))
	}
	for _, written := range []string{"1.0", "1e3", "1E3", "true", "[1]"} {
		set, err := Parse([]byte(strings.Replace(document, `"kid": 1`, `"kid": `+written, 1)))
		require.NoError(t, err)
		require.Len(t, set.Skipped, 1, written)
		assert.Equal(t, ReasonMalformed, set.Skipped[0].Reason)
	}
}

// Keycloak before 20 leaves out the zeros that a coordinate begins with.
func TestReport09ShortCoordinates(t *testing.T) {
	document := string(readTestdata(t, "reports/09-p521-short-x.json"))
	set, err := Parse([]byte(document))
	require.NoError(t, err)
	require.Len(t, set.Keys, 1)
	require.NoError(t, Judge(set.Keys[0]))
	require.Len(t, set.Warnings, 1)
	assert.Contains(t, set.Warnings[0], "leading zeros")
	assert.Contains(t, set.Warnings[0], "upgraded")

	// With its zero it is the same key, and nothing to remark.
	const short = `"x": "oLQ2Xms3-jBso48lOF8ovaXemnW7nmS_tblf8_yVI4KSuqQk7AAhVLsOrEwPKi4O2HK6VuLPiPOtuNpQ6alhDtE"`
	require.Contains(t, document, short)
	x := append([]byte{0}, decode(strings.Split(short, `"`)[3])...)
	whole, err := Parse([]byte(strings.Replace(document, short, `"x": "`+encode(x)+`"`, 1)))
	require.NoError(t, err)
	assert.Equal(t, set.Keys, whole.Keys)
	assert.Empty(t, whole.Warnings)

	for name, x := range map[string][]byte{
		"cut off at its end": x[1:65], "cut off twice": x[2:], "another": append([]byte{7}, x[2:]...), "a zero too many": append([]byte{0}, x...),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(strings.Replace(document, short, `"x": "`+encode(x)+`"`, 1)))
			none := new(NoKeysError)
			require.ErrorAs(t, err, &none)
			assert.Equal(t, ReasonPoint, none.Skipped[0].Reason)
			assert.Contains(t, none.Skipped[0].Detail, "a coordinate of P-521 has 66")
		})
	}
}

// A vendor's export starts with a byte-order mark.
func TestReport12ByteOrderMark(t *testing.T) {
	document := readTestdata(t, "reports/12-bom-jwks.json")
	require.True(t, strings.HasPrefix(string(document), "\xef\xbb\xbf{"))
	set, err := Parse(document)
	require.NoError(t, err)
	assert.Len(t, set.Keys, 1)
	_, err = Parse(append([]byte("\xef\xbb\xbf"), document...))
	require.ErrorIs(t, err, ErrMalformed)
	regions, err := parseRegions([]byte("\xef\xbb\xbf[\"eu\"]"))
	require.NoError(t, err)
	assert.Equal(t, []string{"eu"}, regions)
	discovery, err := parseDiscovery([]byte("\xef\xbb\xbf{\"issuer\": \"https://id.example.com\"}"))
	require.NoError(t, err)
	assert.Equal(t, "https://id.example.com", discovery.issuer)
}

package jwks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ownKey is a key that a caller has by itself.
func ownKey(t *testing.T, kid string, algorithms ...string) Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return Key{KeyID: kid, Algorithms: algorithms, Public: &private.PublicKey}
}

// TestNewSet: a caller's own keys are judged as those of a document are.
func TestNewSet(t *testing.T) {
	good, nameless := ownKey(t, "a", "ES256"), ownKey(t, "")
	again := good
	again.KeyID = "b"
	weak := Key{KeyID: "weak", Public: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}}
	hostile := ownKey(t, "a\nb")
	set, err := NewSet(good, weak, again, Key{KeyID: "none"}, hostile, nameless)
	require.NoError(t, err)
	require.Equal(t, []string{"a", set.Keys[1].KeyID}, keyIDs(set))
	assert.Len(t, set.Keys[1].KeyID, 43, "the thumbprint")
	require.Len(t, set.Warnings, 1)
	assert.Contains(t, set.Warnings[0], `key 2 (kid "b") is the key of kid "a" again`)
	var reasons []Reason
	for _, s := range set.Skipped {
		reasons = append(reasons, s.Reason)
	}
	assert.Equal(t, []Reason{ReasonModulus, ReasonKeyType, ReasonKeyID}, reasons)
	assert.Equal(t, 1, set.Skipped[0].Position)

	_, err = NewSet(weak)
	none := new(NoKeysError)
	require.ErrorAs(t, err, &none)
	assert.Len(t, none.Skipped, 1)
	_, err = NewSet(make([]Key, MaxMembers+1)...)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = NewSet(slices.Repeat([]Key{good}, MaxMembers)...)
	require.NoError(t, err)

	// The caller's list of algorithms isn't written to.
	list := make([]string, 1, 4)
	list[0] = "RS256"
	public := &testKeys()[0].PublicKey
	first, second := Key{KeyID: "r", Algorithms: list, Public: public}, Key{KeyID: "r", Algorithms: []string{"RS512"}, Public: public}
	set, err = NewSet(first, second)
	require.NoError(t, err)
	assert.Equal(t, []string{"RS256", "RS512"}, set.Keys[0].Algorithms)
	assert.Empty(t, list[:2][1])
}

func TestOwnSources(t *testing.T) {
	good := ownKey(t, "a")
	weak := Key{KeyID: "weak", Public: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	failure := errors.New("the place is closed")
	of := func(set *Set, err error) Source {
		return SourceFunc(func(context.Context) (*Set, error) { return set, err })
	}
	for name, test := range map[string]struct {
		source Source
		is     error
	}{
		"static":                  {Static("", good, weak), nil},
		"static, none usable":     {Static("", weak), ErrNoKeys},
		"function":                {of(&Set{Keys: []Key{good, weak}}, nil), nil},
		"function, none usable":   {of(&Set{Keys: []Key{weak}}, nil), ErrNoKeys},
		"function without a set":  {of(nil, nil), ErrNoKeys},
		"function, an empty one":  {of(new(Set), nil), ErrNoKeys},
		"function with an error":  {of(nil, failure), failure},
		"function, set and error": {of(&Set{Keys: []Key{good}}, failure), failure},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := test.source.Fetch(t.Context())
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
				assert.Nil(t, set)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []string{"a"}, keyIDs(set))
			require.Len(t, set.Skipped, 1)
			assert.Equal(t, ReasonModulus, set.Skipped[0].Reason)
			_, err = test.source.Fetch(ended)
			require.ErrorIs(t, err, context.Canceled)
		})
	}
	assert.Equal(t, "eu", Static("eu").RegionName())
}

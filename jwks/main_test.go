package jwks

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fields is a JSON object.
type fields = map[string]any

// testKeys are RSA keys made once a run.
var testKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

// rsaMember is a JWK of the test key of that number; changes of nil remove a member.
func rsaMember(number int, changes fields) fields {
	member := fields{
		"kty": "RSA",
		"n":   encodeInt(testKeys()[number].N),
		"e":   "AQAB",
	}
	maps.Copy(member, changes)
	maps.DeleteFunc(member, func(_ string, value any) bool { return value == nil })
	return member
}

// keySet is a document with these members.
func keySet(members ...any) string {
	data, err := json.Marshal(fields{"keys": append([]any{}, members...)})
	if err != nil {
		panic(err)
	}
	return string(data)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func encodeInt(i *big.Int) string { return encode(i.Bytes()) }

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return data
}

// parsed parses without an error.
func parsed(t *testing.T, document []byte) *Set {
	t.Helper()
	set, err := Parse(document)
	require.NoError(t, err)
	return set
}

func keyIDs(set *Set) []string {
	var ids []string
	for _, key := range set.Keys {
		ids = append(ids, key.KeyID)
	}
	return ids
}

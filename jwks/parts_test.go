package jwks

import (
	"crypto/rand"
	"crypto/rsa"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/pem"
)

// What converting a document takes without judging its keys, and what judging them takes
// alone. HARVEST_JWKS names the document; without it, it is of one key of crypto/rsa.
// The comparison in bench runs this beside other libraries.
func BenchmarkParts(b *testing.B) {
	document := benchmarkDocument(b)
	b.Run("convert", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out []byte
			members, err := readMembers(document)
			require.NoError(b, err)
			for i := range members {
				key, err := members[i].joseKey()
				require.NoError(b, err)
				block, err := pem.Encode(key)
				require.NoError(b, err)
				out = append(out, block...)
			}
			require.NotEmpty(b, out)
		}
	})
	b.Run("judge", func(b *testing.B) {
		b.ReportAllocs()
		members, err := readMembers(document)
		require.NoError(b, err)
		for b.Loop() {
			for i := range members {
				if why := judgeMember(&members[i].member); why != nil {
					b.Fatal(why)
				}
			}
		}
	})
}

func benchmarkDocument(b *testing.B) []byte {
	if name := os.Getenv("HARVEST_JWKS"); name != "" {
		document, err := os.ReadFile(name)
		require.NoError(b, err)
		return document
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(b, err)
	return []byte(keySet(rsaMember(0, fields{"n": encodeInt(key.N)})))
}

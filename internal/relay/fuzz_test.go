package relay

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// FuzzState: whatever somebody makes of keys.pem, what is taken of it is a list of keys of this
// relay's clusters, which is written and read back the same, and is published as just these keys.
func FuzzState(f *testing.F) {
	good := fakekeys.Trust("a", "k1") + "\n" + fakekeys.Trust("b/eu", "k2", fakekeys.Also("a")) + "\n"
	for _, text := range []string{
		"", good, good + fakekeys.Paste("x"), strings.ReplaceAll(good, "\n", "\r\n"), good + good, "a comment\n" + good,
		strings.ReplaceAll(good, "-----END", "-----END \n-----END"), good[:len(good)/2], "\x00" + good,
	} {
		f.Add(text)
	}
	r := &Relay{Name: "nomad", Clusters: []string{"a", "b"}}
	f.Fuzz(func(t *testing.T, text string) {
		list, elements, err := r.parse(text)
		if err != nil {
			return
		}
		require.Len(t, elements, len(list))
		distinct := map[pem.Fingerprint]bool{}
		for _, e := range elements {
			for _, o := range e.Block.Annotation.Owners() {
				require.Contains(t, r.Clusters, o.Cluster)
			}
			distinct[e.Fingerprint] = true
		}
		again, _, err := r.parse(strings.Join(append(slices.Clone(list), ""), "\n"))
		require.NoError(t, err)
		require.Equal(t, list, again)

		require.NoError(t, r.serve(elements))
		set, err := jwks.Parse(r.served.Load().keys.body)
		if len(distinct) == 0 {
			require.ErrorIs(t, err, jwks.ErrNoKeys)
			return
		}
		if err == nil { // a set may hold no more than weak keys, which a plan takes away
			require.LessOrEqual(t, len(set.Keys), len(distinct))
		}
	})
}

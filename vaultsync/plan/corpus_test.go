package plan

import (
	encoding "encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/corpus"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// Nothing that a cluster publishes makes more of a mount than one annotated element for each
// of its sound keys.
func TestCorpus(t *testing.T) {
	cases, err := corpus.Read("../../jwks/testdata/hostile")
	require.NoError(t, err)
	planned := 0
	for _, c := range cases {
		if c.Transport != corpus.Plain {
			continue
		}
		planned++
		for name, list := range map[string][]string{"new list": nil, "list in use": {trust("us-east/us-east-1", "x")}} {
			t.Run(c.Document+"/"+name, func(t *testing.T) { testCorpusCase(t, c, list) })
		}
	}
	assert.GreaterOrEqual(t, planned, 60)
}

// testCorpusCase plans for a cluster that publishes the document, beside one that is well.
func testCorpusCase(t *testing.T, c corpus.Case, list []string) {
	set, err := jwks.Parse(c.Data())
	p, planErr := New(Read(list), Desired{
		Clusters: []string{"us-east", "eu-west"},
		Results:  []jwks.Result{{Cluster: "us-east", Region: "us-east-1", Set: set, Err: err}, publish("eu-west", "k1")},
	}, Rules{Now: now, AllowTurnover: []string{"*"}})
	require.NoError(t, planErr)
	require.NotEmpty(t, p.Add)
	added := p.Add[:len(p.Add)-1]
	assert.Equal(t, "eu-west", p.Add[len(p.Add)-1].Cluster, "the other cluster's key comes after")

	if c.Verdict == corpus.Refuse {
		require.Error(t, err)
		assert.Empty(t, added)
		assert.Empty(t, p.Skipped)
		assert.Empty(t, p.Remove, "a document that is refused costs no key")
		assert.Subset(t, p.Next, list)
		require.Len(t, p.Failed, 1)
		require.ErrorIs(t, p.Failed[0].Err, err)
		return
	}
	require.NoError(t, err)
	set, err = set.Judge()
	require.NoError(t, err)
	assert.Empty(t, p.Failed)
	require.Len(t, added, c.Kept)
	for i, key := range added {
		assert.Equal(t, set.Keys[i].KeyID, key.KeyID)
		assert.Equal(t, set.Keys[i].Public, key.Public)
		assert.Contains(t, algorithms(key.Public), key.Algorithm)
	}
	require.Len(t, p.Skipped, c.Lost)
	for _, key := range p.Skipped {
		assert.Truef(t, strings.HasPrefix(key.Reason, c.Reason+": "), "%q", key.Reason)
		requireOneLine(t, key.Reason)
		requireOneLine(t, key.KeyID)
	}
	requireElements(t, p, set)
}

// requireElements checks each element of the list that p would write: one block, one
// annotation, the right cluster, and all the keys of set.
func requireElements(t *testing.T, p *Plan, set *jwks.Set) {
	t.Helper()
	require.Len(t, p.Next, len(set.Keys)+1)
	found := map[pem.Fingerprint]pem.Annotation{}
	for _, element := range p.Next {
		var b pem.Block
		require.NoError(t, b.UnmarshalText([]byte(element)))
		again, err := b.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, element, string(again), "round trip")
		assert.Empty(t, b.Comment)
		found[b.Fingerprint()] = b.Annotation

		lines := strings.Split(element, "\n")
		for i, line := range lines {
			requireOneLine(t, line)
			assert.Equal(t, i == 0, strings.HasPrefix(line, "harvest/"), "one annotation: %q", element)
			assert.Equal(t, i == 1 || i == len(lines)-1, strings.HasPrefix(line, "-----"), "one block: %q", element)
		}
		block, rest := encoding.Decode([]byte(element))
		require.NotNil(t, block)
		assert.Equal(t, "PUBLIC KEY", block.Type)
		assert.Empty(t, block.Headers)
		assert.Empty(t, rest)
	}
	require.Len(t, found, len(p.Next), "each key once")
	for _, key := range set.Keys {
		f, err := pem.FingerprintOf(key.Public)
		require.NoError(t, err)
		assert.Equal(t, pem.Annotation{
			Version: pem.Version, Cluster: "us-east", Region: "us-east-1", KeyID: key.KeyID, Algorithms: key.Algorithms, Added: now,
		}, found[f])
	}
	assert.Equal(t, "eu-west", found[fingerprint("k1")].Cluster)
}

// requireOneLine checks that a text can't leave the line that it is printed on.
func requireOneLine(t *testing.T, text string) {
	t.Helper()
	assert.NotContains(t, text, "\n")
	assert.NotContains(t, text, "\r")
	assert.NotContains(t, text, "\x1b")
	assert.NotContains(t, text, "\x00")
	assert.Less(t, len(text), 2000)
}

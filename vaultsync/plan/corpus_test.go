package plan

import (
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
	require.Len(t, p.Skipped, c.Lost)
	for _, key := range p.Skipped {
		assert.Truef(t, strings.HasPrefix(key.Reason, c.Reason+": "), "%q", key.Reason)
		requireOneLine(t, key.Reason)
		requireOneLine(t, key.KeyID)
	}
	var trusted []jwks.Key
	for _, e := range Read(p.Next) {
		assert.Empty(t, e.Block.Comment)
		if a := e.Block.Annotation; a.Cluster == "us-east" {
			assert.Equal(t, pem.Annotation{Version: pem.Version, Cluster: "us-east", Region: "us-east-1", KeyID: a.KeyID, Algorithms: a.Algorithms, Added: now}, a)
			trusted = append(trusted, jwks.Key{KeyID: a.KeyID, Algorithms: a.Algorithms, Public: e.Block.Public})
		}
	}
	require.Len(t, p.Next, len(trusted)+1)
	for i, key := range set.Keys {
		assert.Equal(t, key.KeyID, added[i].KeyID)
		assert.Contains(t, trusted, jwks.Key{KeyID: key.KeyID, Algorithms: key.Algorithms, Public: key.Public})
	}
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

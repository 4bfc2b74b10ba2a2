package keydir

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/jwks"
)

// A set with very many keys, each of which takes long to judge, counts as one that was not read.
func TestJudgeEndsInTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	down := errors.New("down")
	results := []jwks.Result{fakekeys.Publish("b", "new"), fakekeys.Dear("hostile", 2000), {Cluster: "c", Err: down}}
	Judge(ctx, results)
	assert.Len(t, results[0].Set.Keys, 1)
	require.ErrorIs(t, results[1].Err, context.DeadlineExceeded)
	require.ErrorContains(t, results[1].Err, "judging 2000 keys")
	assert.Equal(t, down, results[2].Err)
}

// A key that two regions publish is one key, of the first.
func TestCollect(t *testing.T) {
	results := []jwks.Result{fakekeys.Publish("a/one", "x", "y"), {Cluster: "a", Region: "two", Err: errors.New("down")}, fakekeys.Publish("a/three", "y", "z")}
	now := time.Unix(1e9, 0)
	keys, err := Collect(results, true, now)
	require.NoError(t, err)
	var owners []string
	for _, k := range keys {
		owners = append(owners, k.Block.Annotation.Region+" "+k.KeyID)
		assert.True(t, now.Equal(k.Block.Annotation.Added))
		assert.Equal(t, byte('\n'), k.Text[len(k.Text)-1])
	}
	assert.Equal(t, []string{"one x", "one y", "three z"}, owners)
}

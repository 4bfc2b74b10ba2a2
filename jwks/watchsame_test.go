package jwks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unchanged returns what a watch does with an answer that has the document of the last one.
func unchanged(tb testing.TB) (again func(), document []byte, told *news) {
	tb.Helper()
	document = []byte(keySet(rsaMember(0, fields{"kid": "k1"})))
	told = new(news)
	w := &watch{tell: func(n news) bool { *told = n; return true }}
	var q Query
	first := q.answerWith(document, func() (*Set, error) { return Parse(document) })
	require.NoError(tb, first.Err)
	require.True(tb, w.learn(tb.Context(), &answer{set: first.Set, index: 7, asked: time.Now(), known: true}, 0))
	q.Digest = first.Digest
	next := &answer{index: 7, asked: time.Now(), known: true, held: true}
	return func() {
		a := q.answerWith(document, func() (*Set, error) {
			tb.Error("parsed again")
			return nil, ErrMalformed
		})
		next.set, next.err, next.same = a.Set, a.Err, a.Set == nil && a.Err == nil
		w.learn(tb.Context(), next, 0)
	}, document, told
}

// A watch wakes up for each sign of life: what didn't change must cost nothing that lasts.
func TestWatchUnchangedBodyAllocatesNothing(t *testing.T) {
	again, _, told := unchanged(t)
	assert.Zero(t, testing.AllocsPerRun(100, again))
	assert.True(t, told.unchanged)
}

func BenchmarkWatchUnchangedBody(b *testing.B) {
	again, document, _ := unchanged(b)
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		again()
	}
}

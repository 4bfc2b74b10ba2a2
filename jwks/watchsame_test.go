package jwks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unchangedAnswer returns a watch that has told of a document, and the same document again.
func unchangedAnswer(tb testing.TB) (*watch, *answer) {
	tb.Helper()
	document := []byte(keySet(rsaMember(0, fields{"kid": "k1"})))
	w := &watch{tell: func(news) bool { return true }}
	a := &answer{body: document, index: 7, asked: time.Now(), held: true, parse: func() (*Set, error) {
		set, err := Parse(document)
		if err == nil {
			set.Index = 7
		}
		return set, err
	}}
	require.True(tb, w.learn(tb.Context(), a, 0))
	require.NoError(tb, w.err)
	a.parse = func() (*Set, error) {
		tb.Error("parsed again")
		return nil, ErrMalformed
	}
	return w, a
}

// A watch wakes up for each sign of life: what didn't change must cost nothing that lasts.
func TestWatchUnchangedBodyAllocatesNothing(t *testing.T) {
	w, a := unchangedAnswer(t)
	var told news
	w.tell = func(n news) bool {
		told = n
		return true
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() { w.learn(t.Context(), a, 0) }))
	assert.True(t, told.unchanged)
}

func BenchmarkWatchUnchangedBody(b *testing.B) {
	w, a := unchangedAnswer(b)
	b.SetBytes(int64(len(a.body)))
	b.ReportAllocs()
	for b.Loop() {
		w.learn(b.Context(), a, 0)
	}
}

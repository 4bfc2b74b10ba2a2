package statuspage

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/monitor"
)

// stalledReader takes nothing of a body until it is let go.
type stalledReader struct {
	*httptest.ResponseRecorder
	reached, release chan struct{}
}

func (r stalledReader) Write(body []byte) (int, error) {
	r.reached <- struct{}{}
	<-r.release
	return r.ResponseRecorder.Write(body)
}

func pageRequest(t *testing.T) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
}

// Readers who don't take the page keep it from nobody else, and share it among them.
func TestPageStalledReaders(t *testing.T) {
	at, made := now, 0
	s := NewServer(monitor.New(slog.New(slog.DiscardHandler), func(error) string { return "" }), "0.1.0", func() time.Time { made++; return at })
	reached, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	const stalled = 10
	for range stalled {
		go func() {
			s.ServeHTTP(stalledReader{httptest.NewRecorder(), reached, release}, pageRequest(t))
			done <- struct{}{}
		}()
		<-reached
	}
	first := s.body
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, pageRequest(t))
	assert.Equal(t, http.StatusOK, answer.Code)
	assert.Equal(t, string(first), answer.Body.String())
	require.Equal(t, stalled+1, made)
	assert.Same(t, &first[0], &s.body[0], "one page for all of them")

	at = at.Add(freshPage)
	answer = httptest.NewRecorder()
	s.ServeHTTP(answer, pageRequest(t))
	assert.Contains(t, answer.Body.String(), "12:00:02 UTC", "news after a while")
	at = at.Add(-time.Minute) // the clock was set
	answer = httptest.NewRecorder()
	s.ServeHTTP(answer, pageRequest(t))
	assert.Contains(t, answer.Body.String(), "11:59:02 UTC")

	close(release)
	for range stalled {
		<-done
	}
}

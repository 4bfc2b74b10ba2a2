package statuspage

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/jwksharvest/harvest/internal/monitor"
)

const (
	// freshPage is how long a page is given to those who ask next. Readers who take their time
	// share pages so: there are never more of them in memory than the server's write timeout
	// is long in these.
	freshPage = 2 * time.Second
	// longestWait is how long a reader waits while a page is made.
	longestWait = 5 * time.Second
	// askAgain is after how many seconds a browser should, where there was no page.
	askAgain = 5
)

// Server serves the page of what a board holds. It makes one at a time, and keeps nobody
// waiting for a reader who is slow to take it.
type Server struct {
	board   *monitor.Board
	version string
	now     func() time.Time
	wait    time.Duration // while another is made

	making chan struct{} // held while one is made; guards the two below
	body   []byte        // of the last one; never changed
	made   time.Time
}

// NewServer returns a server of what b holds. version is that of harvest.
func NewServer(b *monitor.Board, version string, now func() time.Time) *Server {
	return &Server{board: b, version: version, now: now, wait: longestWait, making: make(chan struct{}, 1)}
}

// ServeHTTP answers with a page, or with 503 and why there is none.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.wait)
	defer cancel()
	body, problem := s.page(ctx)
	if problem != "" {
		// A browser that shows this instead of the page would never ask again by itself.
		w.Header().Set("Retry-After", strconv.Itoa(askAgain))
		w.Header().Set("Refresh", strconv.Itoa(askAgain))
		WriteText(w, http.StatusServiceUnavailable, problem)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy()+servedPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // bounded by the server's write timeout
}

// page returns a page that is fresh, or why there is none.
func (s *Server) page(ctx context.Context) (body []byte, problem string) {
	select {
	case s.making <- struct{}{}:
	default:
		select {
		case s.making <- struct{}{}:
		case <-ctx.Done():
			return nil, "busy: the page is being made for another reader; ask again in a few seconds"
		}
	}
	defer func() { <-s.making }()
	at := s.now()
	if age := at.Sub(s.made); s.body != nil && age >= 0 && age < freshPage {
		return s.body, ""
	}
	p := New(s.board.Facts(at), s.version, at)
	p.Refresh = refresh
	made, err := p.HTML()
	if err != nil {
		return nil, "the page can't be made"
	}
	s.body, s.made = made, at
	return s.body, ""
}

// WriteText answers with a line of text.
func WriteText(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, line+"\n")
}

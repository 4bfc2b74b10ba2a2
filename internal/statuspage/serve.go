package statuspage

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/internal/monitor"
)

// freshPage is how long a page is given to those who ask next. Readers who take their time share
// pages so: there are never more of them in memory than the server's write timeout is long in
// these.
const freshPage = 2 * time.Second

// Server serves the page of what a board holds. It makes one at a time, and keeps nobody
// waiting for a reader who is slow to take it.
type Server struct {
	board   *monitor.Board
	version string
	now     func() time.Time

	mu   sync.Mutex // held while one is made
	body []byte     // of the last one; never changed
	made time.Time
}

// NewServer returns a server of what b holds. version is that of harvest.
func NewServer(b *monitor.Board, version string, now func() time.Time) *Server {
	return &Server{board: b, version: version, now: now}
}

// ServeHTTP answers with a page.
func (s *Server) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	body, err := s.page()
	if err != nil {
		WriteText(w, http.StatusInternalServerError, "the page can't be made")
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

// page returns a page that is fresh.
func (s *Server) page() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.now()
	if age := at.Sub(s.made); s.body != nil && age >= 0 && age < freshPage {
		return s.body, nil
	}
	p := New(s.board.Facts(at), s.version, at)
	p.Refresh = refresh
	made, err := p.HTML()
	if err != nil {
		return nil, err
	}
	s.body, s.made = made, at
	return made, nil
}

// WriteText answers with a line of text.
func WriteText(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, line+"\n")
}

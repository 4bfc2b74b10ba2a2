package main

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

const (
	// freshPage is how long a page is given to whoever asks next. Readers who take their time
	// share pages so: there are never more of them in memory than the server's write timeout
	// is long in these.
	freshPage = 2 * time.Second
	// longestWait is how long a reader waits while a page is made.
	longestWait = 5 * time.Second
	// askAgain is after how many seconds a browser should, where there was no page.
	askAgain = 5
)

// pageServer serves the page of what a board holds. It makes one at a time, and keeps nobody
// waiting for a reader who is slow to take it.
type pageServer struct {
	board *board
	now   func() time.Time
	wait  time.Duration // while another is made

	making chan struct{} // held while one is made; guards the two below
	body   []byte        // of the last one; never changed
	made   time.Time
}

func newPageServer(b *board, now func() time.Time) *pageServer {
	return &pageServer{board: b, now: now, wait: longestWait, making: make(chan struct{}, 1)}
}

func (s *pageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.wait)
	defer cancel()
	body, problem := s.page(ctx)
	if problem != "" {
		// A browser that shows this instead of the page would never ask again by itself.
		w.Header().Set("Retry-After", strconv.Itoa(askAgain))
		w.Header().Set("Refresh", strconv.Itoa(askAgain))
		plainText(w, http.StatusServiceUnavailable, problem)
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
func (s *pageServer) page(ctx context.Context) (body []byte, problem string) {
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
	p := newPage(s.board.facts(at), at)
	p.Refresh = refresh
	made, err := p.html()
	if err != nil {
		return nil, "the page can't be made"
	}
	s.body, s.made = made, at
	return s.body, ""
}

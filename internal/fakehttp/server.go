// Package fakehttp is what the stand-ins for Vault and Nomad share: a server on a
// loopback port or inside the process, a log of the requests it saw, and faults that a
// test injects.
package fakehttp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// maxBody is Vault's own limit on a request's body.
const maxBody = 32 << 20

// Server puts a handler behind a log and faults. The zero value isn't usable; New makes
// one.
type Server struct {
	// URL is the server's address, without a trailing slash. A server that doesn't listen
	// has one as well: requests to it go through Transport.
	URL string

	handler  http.Handler
	listener *httptest.Server
	ctx      context.Context
	cancel   context.CancelFunc

	mu       sync.Mutex
	requests []*Request
	faults   []Fault
	arrived  chan struct{} // closed and replaced whenever the log changes
}

// New returns a server for h that doesn't listen yet.
func New(h http.Handler) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{URL: "http://localhost", handler: h, ctx: ctx, cancel: cancel, arrived: make(chan struct{})}
}

// Listen serves on a free loopback port and sets URL.
func (s *Server) Listen() {
	s.prepare()
	s.listener.Start()
	s.URL = s.listener.URL
}

// ListenTLS is Listen with a certificate that Client trusts.
func (s *Server) ListenTLS() {
	s.prepare()
	s.listener.StartTLS()
	s.URL = s.listener.URL
}

func (s *Server) prepare() {
	s.listener = httptest.NewUnstartedServer(s)
	s.listener.Config.BaseContext = func(net.Listener) context.Context { return s.ctx }
}

// Client reaches the server, trusting its certificate where it has one. Without a
// listener its requests stay inside the process.
func (s *Server) Client() *http.Client {
	if s.listener != nil {
		return s.listener.Client()
	}
	return &http.Client{Transport: s.Transport()}
}

// Certificate is the PEM-free DER of the certificate that ListenTLS serves, or nil.
func (s *Server) Certificate() []byte {
	if s.listener == nil || s.listener.Certificate() == nil {
		return nil
	}
	return s.listener.Certificate().Raw
}

// Close ends blocked requests, then the listener. It may be called twice.
func (s *Server) Close() {
	s.cancel()
	if s.listener != nil {
		s.listener.CloseClientConnections()
		s.listener.Close()
	}
}

// Done is closed when the server closes.
func (s *Server) Done() <-chan struct{} { return s.ctx.Done() }

// Request is one request as it arrived, and how it was answered.
type Request struct {
	Method    string
	Path      string
	RawQuery  string
	Namespace string // X-Vault-Namespace
	Header    http.Header
	Body      []byte
	Status    int // 0: not answered, not yet or not at all
}

// String is the method and the path, with the query where there is one.
func (r Request) String() string {
	s := r.Method + " " + r.Path
	if r.RawQuery != "" {
		s += "?" + r.RawQuery
	}
	return s
}

// Requests returns the log so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Request, len(s.requests))
	for i, r := range s.requests {
		out[i] = *r
	}
	return out
}

// Count says how many requests of that method ended in that path; "" stands for any.
func (s *Server) Count(method, path string) int {
	n := 0
	for _, r := range s.Requests() {
		if matches(r.Method, r.Path, method, path) {
			n++
		}
	}
	return n
}

// ClearRequests empties the log, so that a test can count from here.
func (s *Server) ClearRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// Await returns once the log holds n requests that match, or with the context's error.
func (s *Server) Await(ctx context.Context, n int, match func(Request) bool) error {
	for {
		s.mu.Lock()
		got := 0
		for _, r := range s.requests {
			if match(*r) {
				got++
			}
		}
		changed := s.arrived
		s.mu.Unlock()
		if got >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d requests arrived: %w", got, n, ctx.Err())
		}
	}
}

// ServeHTTP logs the request, sends it through the faults and then to the handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if len(body) > maxBody {
		http.Error(w, `{"errors":["http: request body too large"]}`, http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))

	entry := &Request{
		Method:    r.Method,
		Path:      r.URL.Path,
		RawQuery:  r.URL.RawQuery,
		Namespace: strings.Trim(r.Header.Get("X-Vault-Namespace"), "/"),
		Header:    r.Header.Clone(),
		Body:      body,
	}
	s.mu.Lock()
	s.requests = append(s.requests, entry)
	s.changed()
	next := s.handler.ServeHTTP
	for _, f := range slices.Clone(s.faults) {
		inner := next
		next = func(w http.ResponseWriter, r *http.Request) { f(w, r, inner) }
	}
	s.mu.Unlock()

	sw := &statusWriter{ResponseWriter: w}
	next(sw, r)

	s.mu.Lock()
	entry.Status = sw.status
	if entry.Status == 0 {
		entry.Status = http.StatusOK
	}
	s.changed()
	s.mu.Unlock()
}

// changed wakes those who wait; s.mu must be held.
func (s *Server) changed() {
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// matches compares a request with a pattern: "" is any method or path, and a path need
// only be the end of the request's.
func matches(method, path, wantMethod, wantPath string) bool {
	if wantMethod == "PUT" && method == "POST" || wantMethod == "POST" && method == "PUT" {
		method = wantMethod // Vault doesn't tell them apart
	}
	return (wantMethod == "" || method == wantMethod) &&
		(path == wantPath || strings.HasSuffix(path, wantPath))
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(code int) {
	if w.status == 0 {
		w.status = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

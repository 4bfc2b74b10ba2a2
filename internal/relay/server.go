package relay

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// Server serves the documents of relays under /relay/NAME/. Bodies and headers are made where a
// set changes, and a request copies them: nothing is parsed, marshalled or read from disk for one.
// What is served doesn't depend on a request's Host, nor on any other header but If-None-Match.
type Server struct {
	at atomic.Pointer[map[string]resource] // by path
}

// resource is a document of a relay.
type resource struct {
	relay *Relay
	of    func(*served) *document
}

// Use makes these relays the ones that are served, in the place of others.
func (s *Server) Use(relays []*Relay) {
	at := map[string]resource{}
	for _, r := range relays {
		at["/"+Path(r.Name)+"/"+keySetFile] = resource{r, func(now *served) *document { return &now.keys }}
		if r.Issuer != "" {
			at["/"+Path(r.Name)+"/"+discoveryFile] = resource{r, func(now *served) *document { return now.discovery }}
		}
	}
	s.at.Store(&at)
}

// Headers of each reply, made once.
var (
	isJSON  = []string{"application/json"}
	isText  = []string{"text/plain; charset=utf-8"}
	nosniff = []string{"nosniff"}
	// A consumer may keep a set for this long without asking: a new key is asked for by its kid.
	briefly = []string{"public, max-age=10"}
	noStore = []string{"no-store"}
	allowed = []string{"GET, HEAD"}
	soon    = []string{"5"} // seconds
)

// ServeHTTP answers GET and HEAD: 200, or 304 where If-None-Match has the set; 503 while a relay
// has nothing to serve yet, with the reason; 404 for every other path, to the letter.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header["X-Content-Type-Options"] = nosniff
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header["Allow"] = allowed
		refuse(w, http.StatusMethodNotAllowed, "only GET and HEAD")
		return
	}
	at := s.at.Load()
	if at == nil {
		refuse(w, http.StatusNotFound, "no such document")
		return
	}
	found, ok := (*at)[r.URL.Path]
	if !ok {
		refuse(w, http.StatusNotFound, "no such document")
		return
	}
	now := found.relay.served.Load()
	if now == nil {
		header["Retry-After"] = soon
		refuse(w, http.StatusServiceUnavailable, found.relay.whyNot())
		return
	}
	doc := found.of(now)
	header["Etag"], header["Cache-Control"] = doc.etag, briefly
	if matches(r.Header["If-None-Match"], doc.etag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header["Content-Type"], header["Content-Length"] = isJSON, doc.length
	if r.Method == http.MethodGet {
		_, _ = w.Write(doc.body)
	}
}

func refuse(w http.ResponseWriter, code int, reason string) {
	w.Header()["Content-Type"] = isText
	w.Header()["Cache-Control"] = noStore
	w.WriteHeader(code)
	_, _ = w.Write([]byte(reason + "\n"))
}

// matches reports whether If-None-Match has a tag (RFC 9110 section 13.1.2).
func matches(headers []string, etag string) bool {
	return slices.ContainsFunc(headers, func(h string) bool {
		for tag := range strings.SplitSeq(h, ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
		return false
	})
}

// whyNot says why a relay has nothing to serve. It names no file: anyone may ask.
func (r *Relay) whyNot() string {
	if r.unreadable.Load() {
		return "this relay has no key set: its files are refused; the log of harvest says why"
	}
	return "this relay has no key set yet: none of its clusters has been read"
}

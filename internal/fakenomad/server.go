// Package fakenomad is a stand-in for a Nomad agent's public face: the key sets of one or
// more federated regions, the list of regions, and OIDC discovery. It answers as Nomad
// 1.11 does, which the conformance package keeps checking, and knows nothing of tokens,
// for none of these takes one.
package fakenomad

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/jwksharvest/harvest/internal/fakehttp"
)

const (
	defaultWait = 5 * time.Minute
	maxWait     = 10 * time.Minute
	rotation    = 30 * 24 * time.Hour // Nomad's default root_key_rotation_threshold

	defaultRegion = "global" // Nomad's
)

// Server is one agent: the first region is its own, the others are federated with it.
type Server struct {
	*fakehttp.Server

	mu      sync.Mutex
	own     string
	regions map[string]*Region
	issuer  string
}

// New starts an agent that closes with the test. Without names its region is global,
// Nomad's default. Each region starts with one RS256 key.
func New(t testing.TB, regions ...string) *Server {
	t.Helper()
	s := Start(regions...)
	t.Cleanup(s.Close)
	return s
}

// Start is New outside a test; Close ends the server.
func Start(regions ...string) *Server {
	s := NewInProcess(regions...)
	s.Listen()
	return s
}

// NewInProcess returns an agent without a socket, to be reached through Transport.
func NewInProcess(regions ...string) *Server {
	if len(regions) == 0 {
		regions = []string{defaultRegion}
	}
	s := NewEmpty()
	s.own = regions[0]
	s.regions = map[string]*Region{}
	for _, name := range regions {
		s.regions[name] = newRegion(name)
	}
	return s
}

// NewEmpty returns an agent without a socket and one region, global, that has no key yet, as
// right after its start. Where there are many, no RSA key need be made for each.
func NewEmpty() *Server {
	s := &Server{own: defaultRegion, regions: map[string]*Region{defaultRegion: newEmptyRegion(defaultRegion)}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/jwks.json", s.jwks)
	mux.HandleFunc("/.well-known/openid-configuration", s.discovery)
	mux.HandleFunc("/v1/regions", s.list)
	s.Server = fakehttp.New(mux)
	return s
}

// Close ends the server; its RSA keys may serve another one.
func (s *Server) Close() {
	s.Server.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.regions {
		r.release()
	}
}

// Region returns the region of that name, "" being the agent's own. It panics where there
// is none.
func (s *Server) Region(name string) *Region {
	r := s.region(name)
	if r == nil {
		panic("fakenomad: no region " + name)
	}
	return r
}

// Join federates another region, which starts with one key.
func (s *Server) Join(name string) *Region {
	r := newRegion(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.regions[name] = r
	return r
}

// SetIssuer is server { oidc_issuer = … }: with one there is a discovery document.
func (s *Server) SetIssuer(issuer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuer = issuer
}

func (s *Server) region(name string) *Region {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" {
		name = s.own
	}
	return s.regions[name]
}

// jwks is GET /.well-known/jwks.json, blocking where an index is given.
func (s *Server) jwks(w http.ResponseWriter, req *http.Request) {
	if !isGet(w, req) {
		return
	}
	index, wait, err := blocking(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r := s.region(req.URL.Query().Get("region"))
	if r == nil {
		noPath(w)
		return
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		r.mu.Lock()
		changed := r.changed
		if r.down {
			r.mu.Unlock()
			noPath(w)
			return
		}
		if index == 0 || r.index > index || r.noIndex {
			break
		}
		r.mu.Unlock()
		select {
		case <-changed:
			continue
		case <-req.Context().Done():
			panic(http.ErrAbortHandler)
		case <-s.Done():
			panic(http.ErrAbortHandler)
		case <-timeout.C:
		}
		r.mu.Lock()
		break
	}
	document, at, noIndex := r.document(), r.index, r.noIndex
	maxAge := int(time.Until(r.made.Add(rotation)).Seconds())
	r.mu.Unlock()

	if !noIndex {
		setMeta(w, at)
	}
	w.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", max(maxAge, 0)))
	send(w, req, document)
}

// document is what the region publishes; r.mu must be held.
func (r *Region) document() []byte {
	if r.raw != nil {
		return r.raw
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range r.sorted() {
		set.Keys = append(set.Keys, k.JWK())
	}
	out, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return out
}

// list is GET /v1/regions: those whose servers are alive.
func (s *Server) list(w http.ResponseWriter, req *http.Request) {
	if !isGet(w, req) {
		return
	}
	s.mu.Lock()
	names := []string{}
	for name, r := range s.regions {
		r.mu.Lock()
		if !r.down {
			names = append(names, name)
		}
		r.mu.Unlock()
	}
	s.mu.Unlock()
	slices.Sort(names)
	out, _ := json.Marshal(names)
	send(w, req, out)
}

// discovery is GET /.well-known/openid-configuration.
func (s *Server) discovery(w http.ResponseWriter, req *http.Request) {
	if !isGet(w, req) {
		return
	}
	s.mu.Lock()
	issuer := s.issuer
	s.mu.Unlock()
	if issuer == "" {
		http.Error(w, "OIDC Discovery endpoint disabled", http.StatusNotFound)
		return
	}
	out, _ := json.Marshal(map[string]any{
		"issuer":                                issuer,
		"jwks_uri":                              strings.TrimSuffix(issuer, "/") + "/.well-known/jwks.json",
		"id_token_signing_alg_values_supported": []string{"RS256", "EdDSA"},
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
	})
	send(w, req, out)
}

// blocking reads index and wait.
func blocking(req *http.Request) (index uint64, wait time.Duration, err error) {
	q := req.URL.Query()
	if v := q.Get("index"); v != "" {
		if index, err = strconv.ParseUint(v, 10, 64); err != nil {
			return 0, 0, errors.New("Invalid index")
		}
	}
	wait = defaultWait
	if v := q.Get("wait"); v != "" {
		if wait, err = time.ParseDuration(v); err != nil {
			return 0, 0, errors.New("Invalid wait time")
		}
	}
	return index, min(wait, maxWait), nil
}

func isGet(w http.ResponseWriter, req *http.Request) bool {
	if req.Method == http.MethodGet {
		return true
	}
	http.Error(w, "Invalid method", http.StatusMethodNotAllowed)
	return false
}

func noPath(w http.ResponseWriter) {
	http.Error(w, "No path to region", http.StatusInternalServerError)
}

func setMeta(w http.ResponseWriter, index uint64) {
	w.Header().Set("X-Nomad-Index", strconv.FormatUint(index, 10))
	w.Header().Set("X-Nomad-KnownLeader", "true")
	w.Header().Set("X-Nomad-LastContact", "0")
}

// send writes JSON, compressed where the client asks for it.
func send(w http.ResponseWriter, req *http.Request, document []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Add("Vary", "Accept-Encoding")
	if !strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
		_, _ = w.Write(document)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	_, _ = z.Write(document)
	_ = z.Close()
}

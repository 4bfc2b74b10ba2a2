// Package fakekubernetes is a stand-in for a Kubernetes API server's issuer discovery: strict about
// TLS, tokens and rights, as the real one is with its defaults. No API server runs in the lab, so
// nothing but Kubernetes's documentation and source holds it to the real one.
package fakekubernetes

import (
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
)

// Audience is that of the API server.
const Audience = "https://kubernetes.default.svc.cluster.local"

// Server is an API server.
type Server struct {
	*fakehttp.Server

	mu       sync.Mutex
	keys     []*fakenomad.Key
	tokens   map[string]token
	bound    bool // the ClusterRole, to all service accounts
	issuer   string
	jwksURI  string
	tokenNo  int
	answered map[string]int // by the token that a request had; "" none
}

type token struct {
	audience string
	expires  time.Time
}

// New starts an API server that closes with the test, and that every service account may ask for
// its keys.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		tokens: map[string]token{}, bound: true, answered: map[string]int{},
		issuer: Audience, jwksURI: "https://10.0.0.1:6443/openid/v1/jwks",
		keys: []*fakenomad.Key{fakenomad.NewKey("RS256")},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/openid/v1/jwks", s.authorized(s.serveKeys))
	mux.HandleFunc("/.well-known/openid-configuration", s.authorized(s.serveDiscovery))
	mux.HandleFunc("/", s.authorized(func(w http.ResponseWriter, r *http.Request) { refuse(w, http.StatusNotFound, "NotFound", "not found") }))
	s.Server = fakehttp.New(mux)
	s.ListenTLS()
	t.Cleanup(s.Close)
	return s
}

// CAFile writes the CA of the cluster into a file, as ca.crt of a pod is.
func (s *Server) CAFile(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.crt")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate()})
	if err := os.WriteFile(name, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Issue returns a token of a service account, for the API server where audience is "".
func (s *Server) Issue(audience string, ttl time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if audience == "" {
		audience = Audience
	}
	s.tokenNo++
	t := fmt.Sprintf("eyJhbGciOiJSUzI1NiJ9.c2VydmljZWFjY291bnQ%d.c2lnbmF0dXJl%d", s.tokenNo, s.tokenNo)
	s.tokens[t] = token{audience, time.Now().Add(ttl)}
	return t
}

// Revoke ends a token, as the end of its pod does.
func (s *Server) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

// Project writes a token as the kubelet does: into a directory of its own, to which a symbolic link
// is then turned.
func Project(t testing.TB, volume, token string) (file string) {
	t.Helper()
	dir := filepath.Join(volume, "..data-"+rand.Text())
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	link, next := filepath.Join(volume, "..data"), filepath.Join(volume, "..data_tmp")
	file = filepath.Join(volume, "token")
	for _, do := range []func() error{
		func() error { return os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600) },
		func() error { return os.Symlink(filepath.Base(dir), next) },
		func() error { return os.Rename(next, link) },
		func() error {
			if _, err := os.Lstat(file); err == nil {
				return nil
			}
			return os.Symlink(filepath.Join("..data", "token"), file)
		},
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// Rotate signs with another key from now on; the old ones stay published.
func (s *Server) Rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, fakenomad.NewKey("RS256"))
}

// Bind binds the ClusterRole system:service-account-issuer-discovery to all service accounts, or
// undoes that.
func (s *Server) Bind(bound bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound = bound
}

// Announce sets what discovery says.
func (s *Server) Announce(issuer, jwksURI string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuer, s.jwksURI = issuer, jwksURI
}

// Answered returns how many requests with that token were answered with what they asked for.
func (s *Server) Answered(token string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered[token]
}

// authorized asks who sends a request, and whether they may.
func (s *Server) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		sent, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		t, known := s.tokens[sent]
		bound := s.bound
		s.mu.Unlock()
		switch {
		case r.Header.Get("Authorization") == "":
			refuse(w, http.StatusForbidden, "Forbidden", fmt.Sprintf("forbidden: User %q cannot get path %q", "system:anonymous", r.URL.Path))
		case !isBearer, !known, t.audience != Audience, !time.Now().Before(t.expires):
			refuse(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		case !bound:
			refuse(w, http.StatusForbidden, "Forbidden", fmt.Sprintf("forbidden: User %q cannot get path %q", "system:serviceaccount:harvest:harvest", r.URL.Path))
		case r.Method != http.MethodGet:
			refuse(w, http.StatusForbidden, "Forbidden", fmt.Sprintf("forbidden: cannot %s path %q", strings.ToLower(r.Method), r.URL.Path))
		default:
			s.mu.Lock()
			s.answered[sent]++
			s.mu.Unlock()
			next(w, r)
		}
	}
}

// refuse answers with a Status of Kubernetes.
func refuse(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(struct {
		Kind       string   `json:"kind"`
		APIVersion string   `json:"apiVersion"`
		Metadata   struct{} `json:"metadata"`
		Status     string   `json:"status"`
		Message    string   `json:"message"`
		Reason     string   `json:"reason"`
		Code       int      `json:"code"`
	}{"Status", "v1", struct{}{}, "Failure", message, reason, code})
}

func (s *Server) serveKeys(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := jose.JSONWebKeySet{}
	for _, k := range s.keys {
		set.Keys = append(set.Keys, k.JWK())
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_ = json.NewEncoder(w).Encode(set)
}

func (s *Server) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"issuer": s.issuer, "jwks_uri": s.jwksURI,
		"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

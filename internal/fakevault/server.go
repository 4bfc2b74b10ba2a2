// Package fakevault is a stand-in for a Vault server: JWT auth mounts with static keys,
// their roles and logins, tokens and policies, AppRole and Kubernetes logins, namespaces,
// sealing. It answers as Vault 1.21 does, refusals and their words included, which the
// conformance package keeps checking.
//
// Beyond Vault's API it has Go methods to set the scene, a log of requests and faults
// (package fakehttp). Namespaces come into being when they are first used.
package fakevault

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/fakehttp"
)

// RootToken is the token that may do everything, everywhere.
const RootToken = "root"

// unsealKey is the one share that Unseal takes.
const unsealKey = "ZmFrZS12YXVsdC11bnNlYWwta2V5LTAwMDAwMDAwMDA="

// Server is one Vault.
type Server struct {
	*fakehttp.Server

	mu         sync.Mutex
	sealed     bool
	community  bool
	maxEntry   int
	namespaces map[string]*namespace
	tokens     map[string]*token
	entities   map[string]string // namespace, accessor and alias name to entity id
}

// namespace is a tree of its own: mounts and policies.
type namespace struct {
	mounts   map[string]*mount // by path, without slashes around it
	policies map[string]string
	engines  map[string]engine // secrets engines by path, without slashes around it
}

// engine is a secrets engine, of which no more is here than what a list of them says.
type engine struct{ kind, version string }

// New starts a Vault that closes with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := Start()
	t.Cleanup(s.Close)
	return s
}

// Start is New outside a test; Close ends the server.
func Start() *Server {
	s := NewInProcess()
	s.Listen()
	return s
}

// NewInProcess returns a Vault without a socket, to be reached through Transport.
func NewInProcess() *Server {
	s := &Server{
		namespaces: map[string]*namespace{},
		tokens:     map[string]*token{},
		entities:   map[string]string{},
	}
	s.tokens[RootToken] = &token{id: RootToken, accessor: newID(), policies: []string{"root"}, path: "auth/token/root", display: "root"}
	s.Server = fakehttp.New(http.HandlerFunc(s.handle))
	return s
}

// Client talks to this Vault with the root token, unmoved by VAULT_ variables.
func (s *Server) Client() *api.Client { return s.ClientWith(RootToken) }

// ClientWith talks to this Vault with that token; "" is none.
func (s *Server) ClientWith(token string) *api.Client {
	cfg := api.DefaultConfig()
	cfg.Address = s.URL
	cfg.HttpClient = s.Server.Client()
	cfg.MaxRetries = 0
	c, err := api.NewClient(cfg)
	if err != nil {
		panic(err)
	}
	c.ClearNamespace()
	c.SetToken(token)
	return c
}

// Seal makes the Vault refuse everything until Unseal.
func (s *Server) Seal() { s.setSealed(true) }

// Unseal ends Seal.
func (s *Server) Unseal() { s.setSealed(false) }

// SetCommunity makes this a Vault Community server, which takes X-Vault-Namespace for
// nothing: what is meant for a namespace happens in the root one. At first it is an
// Enterprise server.
func (s *Server) SetCommunity(community bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.community = community
}

// SetMaxEntry refuses configs of more than that many bytes, as integrated storage does
// with its 1 MiB; 0, the value at first, is no limit, as in memory.
func (s *Server) SetMaxEntry(bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxEntry = bytes
}

// UnsealKey is the key share that sys/unseal takes.
func (s *Server) UnsealKey() string { return unsealKey }

func (s *Server) setSealed(sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = sealed
}

// Enable mounts an auth method (jwt, approle, kubernetes) at auth/<path> of a namespace,
// "" being the root one. What was there is replaced.
func (s *Server) Enable(namespace, path, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ns(namespace).mounts[clean(path)] = newMount(kind)
}

// EnableSecrets mounts a secrets engine, of which sys/mounts tells type and version ("" is none).
func (s *Server) EnableSecrets(namespace, path, kind, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ns(namespace).engines[clean(path)] = engine{kind, version}
}

// Disable unmounts auth/<path>.
func (s *Server) Disable(namespace, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ns(namespace).mounts, clean(path))
}

// WriteConfig writes auth/<path>/config as another client would, with every check, and
// without a trace in the log of requests.
func (s *Server) WriteConfig(namespace, path string, fields map[string]any) error {
	cfg, err := parseConfig(context.Background(), fields, s.config(namespace, path))
	if err != nil {
		return err
	}
	s.SetConfig(namespace, path, cfg)
	return nil
}

// SetConfig sets auth/<path>/config to exactly these fields, unchecked, mounting it where
// there is no mount. It makes states that Vault would have to be talked into.
func (s *Server) SetConfig(namespace, path string, fields map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mounts := s.ns(namespace).mounts
	if mounts[clean(path)] == nil {
		mounts[clean(path)] = newMount("jwt")
	}
	fields = copyMap(fields)
	for _, f := range configLists {
		if list, err := stringList(fields[f]); err == nil && fields != nil {
			fields[f] = list
		}
	}
	mounts[clean(path)].config = fields
}

// Config returns what a read of auth/<path>/config would, or nil where there is none.
func (s *Server) Config(namespace, path string) map[string]any {
	return readable(s.config(namespace, path))
}

// Keys returns jwt_validation_pubkeys of auth/<path>/config.
func (s *Server) Keys(namespace, path string) []string {
	keys, _ := s.config(namespace, path)["jwt_validation_pubkeys"].([]string)
	return keys
}

func (s *Server) config(namespace, path string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.ns(namespace).mounts[clean(path)]
	if m == nil {
		return nil
	}
	return copyMap(m.config)
}

// ns returns the namespace of that path, made where it isn't there; s.mu must be held.
func (s *Server) ns(path string) *namespace {
	path = clean(path)
	n := s.namespaces[path]
	if n == nil {
		n = &namespace{mounts: map[string]*mount{}, policies: map[string]string{}, engines: map[string]engine{}}
		if path == "" { // as a dev server has it
			n.engines["secret"] = engine{"kv", "2"}
		}
		s.namespaces[path] = n
	}
	return n
}

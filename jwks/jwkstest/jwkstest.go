// Package jwkstest has stand-ins for publishers of keys, for tests of programs that use jwks and
// vaultsync: a Nomad that holds queries and rotates on demand, and a server of one key set. They
// live in memory, without a socket, and also work in a bubble of testing/synctest.
//
// They do what harvest relies on in a real Nomad: the same tests run against both.
package jwkstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/jwks"
)

// Nomad is an agent of a Nomad, and the regions that are federated with its own. Each region has a
// keyring, with one RSA key at first. Its methods may be called while it is asked.
type Nomad struct{ server *fakenomad.Server }

// NewNomad returns an agent, which ends with the test. The first region is its own; without any it
// is "global", as Nomad's is.
func NewNomad(tb testing.TB, regions ...string) *Nomad {
	tb.Helper()
	server := fakenomad.NewInProcess(regions...)
	tb.Cleanup(server.Close)
	return &Nomad{server}
}

// Source returns a region as a source; "" is the agent's own. It is a jwks.Federation too.
func (n *Nomad) Source(region string) jwks.Nomad {
	return jwks.Nomad{Address: n.server.URL, Region: region, Client: &jwks.Client{HTTPClient: n.server.Client()}}
}

// Listen opens a port on this machine, and returns the address for code that needs one. Call it
// before Source, and not in a bubble.
func (n *Nomad) Listen() string {
	n.server.Listen()
	return n.server.URL
}

// Rotate makes a new key of a region and returns its kid. Older keys stay published. Like Remove
// and Fail it panics for an unknown region.
func (n *Nomad) Rotate(region string) string { return n.server.Region(region).Rotate("RS256").ID }

// Remove removes a key of a region.
func (n *Nomad) Remove(region, kid string) { n.server.Region(region).Remove(kid) }

// Fail stops the last server of a region, so that the region leaves the list of regions, or starts
// it again.
func (n *Nomad) Fail(region string, failed bool) { n.server.Region(region).Down(failed) }

// Server publishes one key set, and has no index to wait on.
type Server struct {
	server   *fakehttp.Server
	document atomic.Pointer[[]byte]
}

// NewServer returns a server of these keys, which ends with the test.
func NewServer(tb testing.TB, keys ...jwks.Key) *Server {
	tb.Helper()
	s := new(Server)
	s.Publish(keys...)
	s.server = fakehttp.New(http.HandlerFunc(s.serve))
	tb.Cleanup(s.server.Close)
	return s
}

// Source returns the key set as a source.
func (s *Server) Source() jwks.Source {
	return jwks.URL(s.address(), &jwks.Client{HTTPClient: s.server.Client()})
}

// Listen opens a port on this machine, and returns the address of the key set for code that needs
// one. Call it before Source, and not in a bubble.
func (s *Server) Listen() string {
	s.server.Listen()
	return s.address()
}

func (s *Server) address() string { return s.server.URL + "/jwks.json" }

// Publish replaces the keys. It panics for a key that no key set can hold.
func (s *Server) Publish(keys ...jwks.Key) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		member := jose.JSONWebKey{Key: k.Public, KeyID: k.KeyID, Use: k.Use}
		if len(k.Algorithms) > 0 {
			member.Algorithm = k.Algorithms[0]
		}
		set.Keys = append(set.Keys, member)
	}
	document, err := json.Marshal(set)
	if err != nil {
		panic(fmt.Sprintf("jwkstest: %v", err))
	}
	s.document.Store(&document)
}

// Fail makes the server answer each request with that status, or with the keys again if it is 0.
func (s *Server) Fail(status int) {
	s.server.ClearFaults()
	if status != 0 {
		s.server.Inject(fakehttp.Status(status))
	}
}

func (s *Server) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(*s.document.Load())
}

package vaultsync

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// TestEchoedToken: a server that repeats the token it was sent doesn't get it into an
// error, not even a part of it where the text is cut.
func TestEchoedToken(t *testing.T) {
	s := fakevault.New(t)
	s.Enable("", "jwt-nomad", "jwt")
	key := jwks.Key{KeyID: "1", Algorithms: []string{"EdDSA"}, Public: fakenomad.NewKey("EdDSA").Public()}
	want := plan.Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{{Cluster: "us-east", Set: &jwks.Set{Keys: []jwks.Key{key}}}}}
	for _, before := range []string{"", strings.Repeat("x", 245), strings.Repeat("x", 255)} {
		for _, code := range []int{400, 403, 404, 412, 418, 429, 500, 503} {
			const token = "a-token-of-no-known-form"
			s.ClearFaults()
			s.Inject(fakehttp.Status(code, before+token))
			_, err := NewMount(s.ClientWith(token), "jwt-nomad").Read(t.Context())
			require.Error(t, err)
			assert.NotContains(t, err.Error(), token[:8])
			s.ClearFaults()
			s.Inject(fakehttp.On("GET", "/config", fakehttp.Status(404))) // never configured
			s.Inject(fakehttp.On("PUT", "/config", fakehttp.Status(code, before+token)))
			_, err = NewMount(s.ClientWith(token), "jwt-nomad").Sync(t.Context(), want, Options{Settle: time.Millisecond, Writes: 1})
			require.Error(t, err)
			assert.NotContains(t, err.Error(), token[:8])
		}
	}
}

// TestPrintedMount: what prints a mount, or what it makes, prints no token.
func TestPrintedMount(t *testing.T) {
	const token = "a-token-of-no-known-form"
	m := NewMount(fakevault.New(t).ClientWith(token), "jwt-nomad")
	s, err := m.open()
	require.NoError(t, err)
	for _, v := range []any{m, s, Target{Mount: m}, &Harvester{Targets: []Target{{Mount: m}}}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), token, "%s of %T", verb, v)
		}
	}
}

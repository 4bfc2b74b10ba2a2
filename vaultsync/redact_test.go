package vaultsync

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakehttp"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
)

// TestRedact: nothing is left of a credential, in any form that an error may repeat it in.
func TestRedact(t *testing.T) {
	for name, test := range map[string]struct{ text, secret, want string }{
		"plain":               {"token 1234-5678 was refused", "1234-5678", "token [redacted] was refused"},
		"twice":               {"1234-5678 1234-5678", "1234-5678", "[redacted] [redacted]"},
		"in JSON":             {`{"secret_id":"a\"b\u003cc"}`, `a"b<c`, `{"secret_id":"[redacted]"}`},
		"in a URL":            {"Get http://x/a%2Fb%20c", "a/b c", "Get http://x/[redacted]"},
		"in a query":          {"Get http://x/?q=a%2Fb+c", "a/b c", "Get http://x/?q=[redacted]"},
		"short":               {"abc abc", "abc", "abc abc"},
		"none":                {"permission denied", "", "permission denied"},
		"another token":       {"parent hvs.CAESIJlWh2vX-pdkj_0123456789 expired", "", "parent [redacted] expired"},
		"a batch token":       {"hvb.AAAAAQKr0123456789abcdef.ns1", "", "[redacted]"},
		"an old token":        {"s.q7HVjJzJd8LyYkEpmd7pYq4Z", "", "[redacted]"},
		"another JWT":         {"jwt eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ2YXVsdCJ9.c2ln is expired", "", "jwt [redacted] is expired"},
		"half a JWT":          {"jwt eyJhbGciOiJSUzI1NiJ9.eyJh", "", "jwt [redacted]"},
		"a proxy's password":  {`invalid proxy address "http://ann:hun%zzter@proxy:3128"`, "", `invalid proxy address "http://[redacted]@proxy:3128"`},
		"an address":          {"Get https://vault.example.com:8200/v1/auth/jwt/config: EOF", "", "Get https://vault.example.com:8200/v1/auth/jwt/config: EOF"},
		"words with a period": {"error validating claims.", "", "error validating claims."},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, redact(test.text, test.secret))
			err := hide(fmt.Errorf("%s: %w", test.text, http.ErrHandlerTimeout), test.secret)
			assert.Contains(t, err.Error(), test.want)
			assert.ErrorIs(t, err, http.ErrHandlerTimeout)
		})
	}
}

// TestEchoedToken: a server that repeats the token it was sent doesn't get it into an
// error, not even a part of it where the text is cut.
func TestEchoedToken(t *testing.T) {
	s := fakevault.New(t)
	s.Enable("", "jwt-nomad", "jwt")
	key := jwks.Key{KeyID: "1", Algorithm: "EdDSA", Public: fakenomad.NewKey("EdDSA").Public()}
	want := Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{{Cluster: "us-east", Set: &jwks.Set{Keys: []jwks.Key{key}}}}}
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
			assert.NotContains(t, LoginError(errors.New(before+token), token).Error(), token[:8])
			assert.NotContains(t, LoginError(&api.ResponseError{StatusCode: code, Errors: []string{before, token}}, token).Error(), token[:8])
		}
	}
}

// TestPrintedMount: what prints a mount, or what it makes, prints no token.
func TestPrintedMount(t *testing.T) {
	const token = "a-token-of-no-known-form"
	m := NewMount(fakevault.New(t).ClientWith(token), "jwt-nomad")
	s, err := m.open()
	require.NoError(t, err)
	for _, v := range []any{m, s, Target{Mount: m}, &Harvester{Targets: []Target{{Mount: m}}}, JWTLogin{TokenFile: "f"}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), token, "%s of %T", verb, v)
		}
	}
}

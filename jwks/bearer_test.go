package jwks

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const secretToken = "s3cr3t-Bearer.Token_of-nobody-in-particular"

// authorizing is a TLS server that remembers the Authorization headers it got.
type authorizing struct {
	*httptest.Server
	got []string
}

func newAuthorizing(t *testing.T, handler http.HandlerFunc) *authorizing {
	t.Helper()
	s := new(authorizing)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.got = append(s.got, r.Header.Get("Authorization"))
		handler(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *authorizing) client(token string) *Client {
	return &Client{HTTPClient: s.Client(), Token: func(context.Context) (string, error) { return token, nil }}
}

func TestTokenFileIsReadEachTime(t *testing.T) {
	s := newAuthorizing(t, serve(keySet(rsaMember(0, nil))))
	name := filepath.Join(t.TempDir(), "token")
	c := &Client{HTTPClient: s.Client(), Token: TokenFile(name)}
	for _, token := range []string{"first.token", "second.token"} {
		require.NoError(t, os.WriteFile(name, []byte(" "+token+"\n"), 0o600))
		_, err := c.fetch(t.Context(), s.URL)
		require.NoError(t, err)
	}
	assert.Equal(t, []string{"Bearer first.token", "Bearer second.token"}, s.got)
}

func TestTokenThatIsNone(t *testing.T) {
	s := newAuthorizing(t, serve(keySet(rsaMember(0, nil))))
	name := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{
		" \n":                            "empty",
		"two " + secretToken:             "holds more than a token",
		secretToken + "\nX-Header: 1":    "holds more than a token",
		secretToken + "\x00":             "holds more than a token",
		strings.Repeat("x", maxBearer+1): "larger than",
	} {
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		c := &Client{HTTPClient: s.Client(), Token: TokenFile(name)}
		_, err := c.fetch(t.Context(), s.URL)
		require.ErrorIs(t, err, ErrTokenNotSent)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, name)
		assert.NotContains(t, err.Error(), secretToken)
	}
	_, err := (&Client{HTTPClient: s.Client(), Token: TokenFile(name + "x")}).fetch(t.Context(), s.URL)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = s.client("a b").fetch(t.Context(), s.URL)
	require.ErrorIs(t, err, ErrTokenNotSent)
	errLocked := errors.New("locked")
	_, err = (&Client{HTTPClient: s.Client(), Token: func(context.Context) (string, error) { return "", errLocked }}).fetch(t.Context(), s.URL)
	require.ErrorIs(t, err, errLocked)
	assert.Empty(t, s.got, "no request was made")
}

// opaque is a transport that doesn't show what is behind it.
type opaque struct{ http.RoundTripper }

func TestTokenIsSentOverVerifiedTLSAlone(t *testing.T) {
	s := newAuthorizing(t, serve(keySet(rsaMember(0, nil))))
	unverified := s.Client().Transport.(*http.Transport).Clone()
	unverified.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	dialing := s.Client().Transport.(*http.Transport).Clone()
	dialing.DialTLSContext = func(context.Context, string, string) (net.Conn, error) { panic("dialled") }
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.got = append(s.got, r.Header.Get("Authorization"))
	}))
	t.Cleanup(plain.Close)
	for name, test := range map[string]struct {
		url       string
		transport http.RoundTripper
		want      string
	}{
		"plain HTTP to this machine":   {plain.URL, nil, "without TLS"},
		"no verification":              {s.URL, unverified, "switched off"},
		"a transport that hides it":    {s.URL, opaque{s.Client().Transport}, "doesn't show"},
		"a transport that dials TLS":   {s.URL, dialing, "doesn't show"},
		"one that hides plain HTTP":    {plain.URL, opaque{http.DefaultTransport}, "without TLS"},
		"one that hides InsecureSkips": {s.URL, opaque{unverified}, "doesn't show"},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.client(secretToken)
			c.HTTPClient = &http.Client{Transport: test.transport}
			for _, allow := range []bool{false, true} {
				c.AllowPlaintext = allow
				_, err := c.fetch(t.Context(), test.url)
				require.ErrorIs(t, err, ErrTokenNotSent)
				require.ErrorContains(t, err, test.want)
				require.NotErrorIs(t, err, ErrPlaintext, "allowing that would not help")
			}
			assert.Empty(t, s.got)
		})
	}
}

// Which server chose the keys has to be known, with any transport.
func TestUnverifiedTLSIsRefusedThroughAnyTransport(t *testing.T) {
	s := newAuthorizing(t, serve(keySet(rsaMember(0, nil))))
	unverified := s.Client().Transport.(*http.Transport).Clone()
	unverified.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	fetch := func(transport http.RoundTripper, allow bool) error {
		_, err := (&Client{HTTPClient: &http.Client{Transport: transport}, AllowPlaintext: allow}).fetch(t.Context(), s.URL)
		return err
	}
	require.ErrorIs(t, fetch(opaque{unverified}, false), ErrPlaintext)
	require.NoError(t, fetch(opaque{unverified}, true))
	require.NoError(t, fetch(opaque{s.Client().Transport}, false))
	require.ErrorIs(t, fetch(forgetful{s.Client().Transport}, false), ErrPlaintext)
}

// forgetful is a transport whose responses don't show the TLS connection that they came over.
type forgetful struct{ next http.RoundTripper }

func (f forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := f.next.RoundTrip(r)
	if err == nil {
		response.TLS = nil
	}
	return response, err
}

func TestTokenNeverCrossesARedirect(t *testing.T) {
	other := newAuthorizing(t, serve(keySet(rsaMember(0, nil))))
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("asked") }))
	t.Cleanup(plain.Close)
	var to string
	s := newAuthorizing(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			serve(keySet(rsaMember(0, nil)))(w, r)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	for name, target := range map[string]string{
		"another port of this host": other.URL,
		"plain HTTP":                plain.URL,
		"a name below":              strings.Replace(s.URL, "127.0.0.1", "a.127.0.0.1", 1),
	} {
		t.Run(name, func(t *testing.T) {
			to = target
			for _, allow := range []bool{false, true} {
				c := s.client(secretToken)
				c.AllowPlaintext = allow
				_, err := c.fetch(t.Context(), s.URL)
				require.ErrorContains(t, err, "not followed")
			}
			assert.Empty(t, other.got)
		})
	}
	s.got, to = nil, "/keys"
	_, err := s.client(secretToken).fetch(t.Context(), s.URL)
	require.NoError(t, err)
	assert.Equal(t, []string{"Bearer " + secretToken, "Bearer " + secretToken}, s.got, "within one origin it goes along")
}

// The jwks_uri of another origin isn't asked, with the token neither.
func TestTokenStaysAtTheIssuer(t *testing.T) {
	other := newAuthorizing(t, serve(keySet(rsaMember(0, nil))))
	var s *authorizing
	s = newAuthorizing(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": %q}`, s.URL, other.URL)
	})
	_, err := Issuer(s.URL, s.client(secretToken)).Fetch(t.Context())
	require.ErrorContains(t, err, "another origin")
	assert.Equal(t, []string{"Bearer " + secretToken}, s.got)
	assert.Empty(t, other.got)
}

// Whatever a server makes of the token, no error shows a part of it that is of use.
func TestTokenIsInNoError(t *testing.T) {
	quoted, err := json.Marshal(secretToken)
	require.NoError(t, err)
	for name, answer := range map[string]http.HandlerFunc{
		"in a body": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no: "+secretToken, http.StatusForbidden) },
		"again and again": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, strings.Repeat(secretToken, 100), http.StatusUnauthorized)
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, strings.Repeat(" ", 1010)+secretToken, http.StatusForbidden)
		},
		"in the type": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "image/"+secretToken) },
		"in a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://x.example.com/"+secretToken, http.StatusFound)
		},
		"in a long redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://x.example.com/"+strings.Repeat("x", 470)+secretToken, http.StatusFound)
		},
		"in a document":               serve(`{"keys": [{"` + secretToken + `": 1, "` + secretToken + `": 2}]}`),
		"as a document":               serve(string(quoted)),
		"as a kid":                    serve(`{"keys": [{"kty": "x", "kid": ` + string(quoted) + `}]}`),
		"as the kid of a good key":    serve(withKeyID(secretToken)),
		"as an escaped kid":           serve(withKeyID(`\u0073` + secretToken[1:])),
		"as the kid of a skipped key": serve(strings.Replace(withKeyID("k"), `"keys":[`, `"keys":[{"kty":"x","kid":"\u0073`+secretToken[1:]+`"},`, 1)),
		"in broken TLS":               func(w http.ResponseWriter, _ *http.Request) { hijackWith(w, "HTTP/1.1 "+secretToken+"\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newAuthorizing(t, answer)
			c := s.client(secretToken)
			for _, source := range []Source{
				URL(s.URL, c), Nomad{Address: s.URL, Client: c}, Issuer(s.URL, c),
			} {
				_, err := source.Fetch(t.Context())
				require.Error(t, err)
				for _, shown := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
					assert.NotContains(t, strings.ToLower(shown), strings.ToLower(secretToken[:12]))
				}
			}
		})
	}
}

// withKeyID is a document of one good key under that kid.
func withKeyID(kid string) string {
	return `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"` + kid + `","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
}

func hijackWith(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(conn, text)
	_ = conn.Close()
}

func TestTokenThatIsntTaken(t *testing.T) {
	for status, want := range map[int]string{401: "it has expired, is for another audience", 403: "may not read this"} {
		s := newAuthorizing(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		_, err := s.client(secretToken).fetch(t.Context(), s.URL+"/keys")
		require.ErrorContains(t, err, want)
	}
}

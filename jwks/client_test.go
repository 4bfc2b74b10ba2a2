package jwks

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/text"
)

// quick are limits for tests: none waits long.
var quick = limits{total: 5 * time.Second, header: 5 * time.Second, retries: 2, backoff: time.Millisecond}

func newServer(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// serve answers with a document.
func serve(document string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, document)
	}
}

func TestFetch(t *testing.T) {
	t.Setenv("NOMAD_TOKEN", "secret")
	var got atomic.Pointer[http.Request]
	document := keySet(rsaMember(0, fields{"kid": "a"}))
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r)
		w.Header().Set("X-Nomad-Index", "42")
		serve(document)(w, r)
	})
	set, err := new(Client).fetch(t.Context(), server.URL+"/keys?a=b")
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, keyIDs(set))
	assert.EqualValues(t, 42, set.Index)

	request := got.Load()
	assert.Equal(t, http.MethodGet, request.Method)
	assert.Equal(t, "/keys?a=b", request.URL.String())
	assert.Equal(t, http.Header{
		"Accept":          {"application/jwk-set+json, application/json, */*;q=0.1"},
		"Accept-Encoding": {"gzip"},
		"Cache-Control":   {"no-cache"},
		"User-Agent":      {"harvest"},
	}, request.Header, "nothing else, above all no token")

	_, err = (&Client{UserAgent: "me/1"}).fetch(t.Context(), server.URL)
	require.NoError(t, err)
	assert.Equal(t, "me/1", got.Load().UserAgent())
}

// What the corpus says of replies isn't said again: here are the words for people, and the bound to
// the byte.
func TestFetchReply(t *testing.T) {
	good := keySet(rsaMember(0, nil))
	content := func(contentType string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			io.WriteString(w, good)
		}
	}
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	zipped := func(size int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(compress([]byte(good + strings.Repeat(" ", size-len(good)))))
		}
	}
	tests := map[string]struct {
		handler http.HandlerFunc
		message []string // parts of the error; none: no error
	}{
		"json":              {content("application/json; charset=utf-8"), nil},
		"jwk-set+json":      {content("application/jwk-set+json"), nil},
		"octets":            {content("application/octet-stream"), nil},
		"json, bad charset": {content("application/json; charset="), nil},
		"html, upper case": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "Text/HTML;;")
			io.WriteString(w, "\n<!DOCTYPE html><html>")
		}, []string{"HTML page"}},
		"gzip, largest":    {zipped(MaxDocument), nil},
		"gzip, one more":   {zipped(MaxDocument + 1), []string{ErrTooLarge.Error()}},
		"201":              {status(201, good), []string{"201 Created"}},
		"400":              {status(400, "Client sent an HTTP request to an HTTPS server.\n"), []string{"400", "(use https://)"}},
		"401":              {status(401, ""), []string{"401 Unauthorized", "proxy", "client certificate"}},
		"403":              {status(403, "Permission denied"), []string{"403 Forbidden: Permission denied", "needs no token"}},
		"404":              {status(404, ""), []string{"404 Not Found", "since 1.7"}},
		"500":              {status(500, "No path to region"), []string{"500", "no such region"}},
		"503":              {status(503, ""), []string{"503", "healthy server"}},
		"body of an error": {status(500, "\x1b[31m"+strings.Repeat("line\r\n", 10_000)), []string{"?[31mline line", "…"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, test.handler)
			set, err := (&Client{limits: quick}).fetch(t.Context(), server.URL+"/.well-known/jwks.json")
			if test.message == nil {
				require.NoError(t, err)
				assert.Len(t, set.Keys, 1)
				return
			}
			for _, part := range append(test.message, "GET "+server.URL+"/.well-known/jwks.json: ") {
				require.ErrorContains(t, err, part)
			}
			requirePrintable(t, err.Error())
			assert.Less(t, len(err.Error()), 500)
		})
	}
}

func TestFetchStatusError(t *testing.T) {
	server := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("é\n", 500), http.StatusTeapot)
	})
	_, err := new(Client).fetch(t.Context(), server.URL)
	var status *StatusError
	require.ErrorAs(t, err, &status)
	assert.Equal(t, http.StatusTeapot, status.StatusCode)
	assert.Equal(t, server.URL, status.URL)
	assert.LessOrEqual(t, len(status.Body), 256)
	assert.True(t, strings.HasPrefix(status.Body, "é é"))
}

func TestFetchNoKeysKeepsIndex(t *testing.T) {
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Nomad-Index", "7")
		io.WriteString(w, `{"keys":[]}`)
	})
	_, err := new(Client).fetch(t.Context(), server.URL)
	var none *NoKeysError
	require.ErrorAs(t, err, &none)
	assert.EqualValues(t, 7, none.Index)
}

func TestNomadIndex(t *testing.T) {
	for value, want := range map[string]uint64{"": 0, "1": 1, "-1": 0, "x": 0, "18446744073709551615": 1<<64 - 1, "18446744073709551616": 0} {
		assert.Equal(t, want, nomadIndex(http.Header{"X-Nomad-Index": {value}}), value)
	}
}

func TestFetchRefusesAddress(t *testing.T) {
	reached := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return nil, io.EOF
	})}
	tests := map[string]struct {
		address string
		want    error
		message string
	}{
		"empty":              {"", nil, "no address"},
		"unix":               {"unix:///var/run/nomad.sock", nil, "unix://"},
		"ftp":                {"ftp://example.com/", nil, "https://"},
		"no scheme":          {"nomad.example.com:4646", nil, "https://"},
		"no scheme, IP":      {"127.0.0.1:4646", nil, "https://"},
		"no host":            {"https:///keys", nil, "no host"},
		"no host, port":      {"https://:4646", nil, "no host"},
		"opaque":             {"https:example.com", nil, "no host"},
		"password":           {"https://me:hunter2@example.com/", nil, "user name or password"},
		"user":               {"https://hunter2@example.com/", nil, "user name or password"},
		"password, bad URL":  {"https://me:hunter2 @exam ple.com/", nil, "isn't a URL"},
		"password, bad port": {"me:hunter2@example.com:x", nil, "isn't a URL"},
		"control characters": {"https://example.com/\x1b", nil, "isn't a URL"},
		"plaintext":          {"http://nomad.example.com:4646/", ErrPlaintext, "use https"},
		"plaintext, IP":      {"http://192.0.2.1/", ErrPlaintext, "use https"},
		"plaintext, IPv6":    {"http://[2001:db8::1]/", ErrPlaintext, "use https"},
		"almost localhost":   {"http://localhost.example.com/", ErrPlaintext, "use https"},
		"almost loopback":    {"http://127.0.0.1.example.com/", ErrPlaintext, "use https"},
		"upper case":         {"HTTP://NOMAD.EXAMPLE.COM/", ErrPlaintext, "use https"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := (&Client{HTTPClient: reached}).fetch(t.Context(), test.address)
			require.ErrorContains(t, err, test.message)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
			assert.NotContains(t, err.Error(), "hunter2")
			assert.True(t, text.IsPrintable(err.Error()))
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFetchAllowPlaintext(t *testing.T) {
	document := keySet(rsaMember(0, nil))
	client := &Client{AllowPlaintext: true, HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(document)), Request: r}, nil
	})}}
	_, err := client.fetch(t.Context(), "http://nomad.example.com:4646/")
	require.NoError(t, err)
}

// A caller's client that follows every redirect follows none out of the origin, and isn't changed.
func TestFetchRedirects(t *testing.T) {
	other := newServer(t, func(http.ResponseWriter, *http.Request) { t.Error("the other origin was asked") })
	to := ""
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			serve(keySet(rsaMember(0, nil)))(w, r)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	permissive := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	defer permissive.CloseIdleConnections()
	for target, message := range map[string]string{
		"/keys": "", server.URL + "/keys": "", "/loop": "more than 5 redirects", other.URL + "/keys": "another origin",
		strings.Replace(server.URL, "http:", "https:", 1) + "/keys": "another origin", strings.Replace(server.URL, "//", "//me:hunter2@", 1) + "/keys": "user name",
	} {
		to = target
		_, err := (&Client{HTTPClient: permissive, limits: quick}).fetch(t.Context(), server.URL)
		if message == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, message)
		assert.NotContains(t, err.Error(), "hunter2")
	}
	assert.NoError(t, permissive.CheckRedirect(nil, nil))
}

func TestFetchLimits(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	wait := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	slowHeader := newServer(t, wait)
	slowBody := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"keys":[`)
		w.(http.Flusher).Flush()
		wait(w, r)
	})
	short := 50 * time.Millisecond

	t.Run("header", func(t *testing.T) {
		_, err := (&Client{limits: limits{total: time.Minute, header: short}}).fetch(t.Context(), slowHeader.URL)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "no reply within 50ms")
	})
	t.Run("body", func(t *testing.T) {
		_, err := (&Client{limits: limits{total: short, header: time.Minute}}).fetch(t.Context(), slowBody.URL)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "no complete reply within 50ms")
	})
	t.Run("the caller's client", func(t *testing.T) {
		_, err := (&Client{HTTPClient: &http.Client{Timeout: short}}).fetch(t.Context(), slowHeader.URL)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	for name, server := range map[string]*httptest.Server{"header": slowHeader, "body": slowBody} {
		t.Run("deadline in "+name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), short)
			defer cancel()
			_, err := new(Client).fetch(ctx, server.URL)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
		t.Run("cancel in "+name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(short, func() { cancel(fmt.Errorf("shutting down")) })
			_, err := new(Client).fetch(ctx, server.URL)
			require.ErrorIs(t, err, context.Canceled)
		})
	}
	t.Run("already cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := new(Client).fetch(ctx, slowHeader.URL)
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("cancel between tries", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		server := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			time.AfterFunc(short, cancel)
		})
		_, err := (&Client{limits: limits{total: time.Minute, header: time.Minute, retries: 1, backoff: time.Minute}}).fetch(ctx, server.URL)
		require.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "503")
	})
}

func TestFetchRetries(t *testing.T) {
	document := keySet(rsaMember(0, nil))
	abort := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	status := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code) }
	}
	tests := map[string]struct {
		failure  func(http.ResponseWriter)
		failures int32
		requests int32
		ok       bool
	}{
		"steady state":    {nil, 0, 1, true},
		"503 once":        {status(503), 1, 2, true},
		"502 twice":       {status(502), 2, 3, true},
		"504 for good":    {status(504), 99, 3, false},
		"429":             {status(429), 1, 2, true},
		"connection lost": {abort, 1, 2, true},
		"500":             {status(500), 99, 1, false},
		"404":             {status(404), 99, 1, false},
		"malformed":       {func(w http.ResponseWriter) { io.WriteString(w, "{") }, 99, 1, false},
		"truncated":       {func(w http.ResponseWriter) { w.Header().Set("Content-Length", "9"); io.WriteString(w, "{") }, 99, 1, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) <= test.failures {
					test.failure(w)
					return
				}
				serve(document)(w, r)
			})
			server.Config.ErrorLog = nil
			_, err := (&Client{limits: quick}).fetch(t.Context(), server.URL)
			assert.Equal(t, test.ok, err == nil, "%v", err)
			assert.Equal(t, test.requests, requests.Load())
		})
	}
}

func TestFetchConnectionRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener.Close()
	_, err = (&Client{limits: quick}).fetch(t.Context(), "http://"+listener.Addr().String())
	require.ErrorContains(t, err, "nothing listens there")
	require.ErrorIs(t, err, ErrUnreachable)
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err = (&Client{limits: quick}).fetch(ctx, "http://"+listener.Addr().String())
	require.NotErrorIs(t, err, ErrUnreachable)
}

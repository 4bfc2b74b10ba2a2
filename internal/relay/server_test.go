package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
)

// servedRelay returns a relay of key k1 and the address of a server of it.
func servedRelay(t *testing.T) (*Relay, string) {
	t.Helper()
	r := open(t, t.TempDir())
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1")))
	listener, err := Listening{Address: "127.0.0.1:0"}.Listen(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	s := new(Server)
	s.Use([]*Relay{r})
	t.Cleanup(s.Serve(listener, slog.New(slog.DiscardHandler)))
	return r, listener.Addr().String()
}

// say sends a request to the letter, and returns the reply and its body.
func say(t *testing.T, address, request string) (*http.Response, string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	method, _, _ := strings.Cut(request, " ")
	reply, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(t, err)
	body, err := io.ReadAll(reply.Body)
	require.NoError(t, err)
	return reply, string(body)
}

func request(method, path string, headers ...string) string {
	return method + " " + path + " HTTP/1.1\r\n" + strings.Join(append([]string{"Host: keys.example.com", "Connection: close"}, headers...), "\r\n") + "\r\n\r\n"
}

func TestServerAnswersGetAndHead(t *testing.T) {
	r, address := servedRelay(t)
	want := read(t, r.Dir, "jwks.json")
	reply, body := say(t, address, request("GET", keySetPath))
	assert.Equal(t, http.StatusOK, reply.StatusCode)
	assert.Equal(t, want, body)
	assert.Equal(t, "application/json", reply.Header.Get("Content-Type"))
	assert.Equal(t, "nosniff", reply.Header.Get("X-Content-Type-Options"))
	assert.Contains(t, reply.Header.Get("Cache-Control"), "max-age=10")
	etag := reply.Header.Get("Etag")
	require.NotEmpty(t, etag)

	reply, body = say(t, address, request("HEAD", keySetPath))
	assert.Equal(t, http.StatusOK, reply.StatusCode)
	assert.Empty(t, body)
	assert.Equal(t, int64(len(want)), reply.ContentLength)
	assert.Equal(t, etag, reply.Header.Get("Etag"))

	for _, known := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
		reply, body = say(t, address, request("GET", keySetPath, "If-None-Match: "+known))
		assert.Equal(t, http.StatusNotModified, reply.StatusCode, known)
		assert.Empty(t, body)
	}
	reply, body = say(t, address, request("GET", keySetPath, `If-None-Match: "other"`))
	assert.Equal(t, http.StatusOK, reply.StatusCode)
	assert.Equal(t, want, body)

	denies("k1")(r)
	require.NoError(t, publish(t, r, fakekeys.Publish("a", "k2")))
	reply, _ = say(t, address, request("GET", keySetPath, "If-None-Match: "+etag))
	assert.Equal(t, http.StatusOK, reply.StatusCode, "a changed set has another tag")
}

// A part of a key set is none, and what is asked for decides nothing but which document it is.
func TestServerGivesWholeDocumentsToOddRequests(t *testing.T) {
	r, address := servedRelay(t)
	want := read(t, r.Dir, "jwks.json")
	for name, odd := range map[string]string{
		"a range":           request("GET", keySetPath, "Range: bytes=0-3"),
		"many ranges":       request("GET", keySetPath, "Range: bytes=0-0,1-1,2-2,3-"),
		"an old Host":       "GET " + keySetPath + " HTTP/1.0\r\n\r\n",
		"a hostile Host":    "GET " + keySetPath + " HTTP/1.1\r\nHost: evil.example/..\r\nConnection: close\r\n\r\n",
		"forwarded headers": request("GET", keySetPath, "X-Forwarded-Host: evil.example", "X-Original-URL: /etc/passwd", "Origin: https://evil.example"),
		"an absolute path":  request("GET", "http://evil.example"+keySetPath),
		"a query":           request("GET", keySetPath+"?keys=../../etc/passwd"),
	} {
		reply, body := say(t, address, odd)
		assert.NotContains(t, body, "evil", name)
		if reply.StatusCode != http.StatusBadRequest { // net/http's own answer to what is no Host
			assert.Equal(t, http.StatusOK, reply.StatusCode, name)
			assert.Equal(t, want, body, name)
		}
		assert.NotContains(t, fmt.Sprint(reply.Header), "evil", name)
	}
}

func TestServerKnowsNoOtherPath(t *testing.T) {
	_, address := servedRelay(t)
	for _, path := range []string{
		"/", "/relay", "/relay/", "/relay/nomad", "/relay/nomad/", "/relay/nomad/keys.pem", "/relay/other/jwks.json", keySetPath + "/",
		"/relay/nomad/../nomad/jwks.json", "/relay/nomad//jwks.json", "//relay/nomad/jwks.json", "/relay/nomad/%2e%2e/%2e%2e/etc/passwd",
		"/RELAY/nomad/jwks.json", "/relay/nomad/jwks.json%00", "/metrics", "/healthz", "/relay/nomad/.well-known/openid-configuration",
	} {
		reply, body := say(t, address, request("GET", path))
		assert.Equal(t, http.StatusNotFound, reply.StatusCode, path)
		assert.Equal(t, "no such document\n", body)
		assert.Empty(t, reply.Header.Get("Location"), path)
	}
}

func TestServerTakesNoOtherMethod(t *testing.T) {
	_, address := servedRelay(t)
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"} {
		reply, _ := say(t, address, request(method, keySetPath, "Content-Length: 0"))
		assert.Equal(t, http.StatusMethodNotAllowed, reply.StatusCode, method)
		assert.Equal(t, "GET, HEAD", reply.Header.Get("Allow"))
	}
}

func TestServerOfNothingKnowsNothing(t *testing.T) {
	w := httptest.NewRecorder()
	new(Server).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, keySetPath, nil))
	assert.Equal(t, http.StatusNotFound, w.Code)
}

func TestPlaintextIsServedOnLoopbackAlone(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for _, address := range []string{"0.0.0.0:0", "[::]:0", ":0"} {
		_, err := Listening{Address: address}.Listen(t.Context(), log)
		require.ErrorIs(t, err, ErrPlaintext)
		assert.ErrorContains(t, err, address)
	}
	listener, err := Listening{Address: "0.0.0.0:0", AllowPlaintext: true}.Listen(t.Context(), log)
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	_, err = Listening{Address: "127.0.0.1:0", Cert: "cert.pem"}.Listen(t.Context(), log)
	require.ErrorContains(t, err, "go together")
	_, err = Listening{Address: "127.0.0.1:0", Cert: "no-cert.pem", Key: "no-key.pem"}.Listen(t.Context(), log)
	assert.ErrorContains(t, err, "no-cert.pem")
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	put := func(name string) {
		certPEM, keyPEM := certificateFor(t, name)
		require.NoError(t, os.WriteFile(cert, certPEM, 0o600))
		require.NoError(t, os.WriteFile(key, keyPEM, 0o600))
	}
	put("first.example.com")
	listener, err := Listening{Address: "127.0.0.1:0", Cert: cert, Key: key}.Listen(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(new(Server).Serve(listener, slog.New(slog.DiscardHandler)))
	name := func() string {
		var shown string
		dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			c, err := x509.ParseCertificate(raw[0])
			if err == nil {
				shown = c.DNSNames[0]
			}
			return err
		}}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		conn, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return shown
	}
	assert.Equal(t, "first.example.com", name())
	put("second.example.com")
	assert.Eventually(t, func() bool { return name() == "second.example.com" }, 10*time.Second, 50*time.Millisecond)
	require.NoError(t, os.WriteFile(key, []byte("no key"), 0o600))
	assert.Never(t, func() bool { return name() != "second.example.com" }, 1500*time.Millisecond, 100*time.Millisecond, "the last good one stays")
	put("third.example.com")
	assert.Eventually(t, func() bool { return name() == "third.example.com" }, 10*time.Second, 50*time.Millisecond)
}

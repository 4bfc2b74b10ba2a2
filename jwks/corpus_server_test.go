package jwks

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// transports are the ways in which the corpus is served. Where the server is to wait, it
// waits until it is hung up on or the test ends.
type transports struct {
	plain, secure, other string // addresses: of HTTP, of TLS, and of another origin
	forged               string // of TLS under a hostile name
	ended                chan struct{}
}

// limits bound a fetch: short where the server waits, so long that nothing else meets them.
func (transports) limits(transport string) limits {
	bounds := limits{total: time.Minute, header: time.Minute, retries: 2, backoff: time.Millisecond}
	switch transport {
	case "slow header", "silent":
		bounds.header = 50 * time.Millisecond
	case "slow body", "slow gzip":
		bounds.total = 50 * time.Millisecond
	}
	return bounds
}

// address is the server that a document is fetched from.
func (s transports) address(transport string) string {
	switch {
	case transport == "tls forged name":
		return s.forged
	case strings.HasPrefix(transport, "tls "):
		return s.secure
	}
	return s.plain
}

// answer serves a document in a way; path is its own address. It reports whether the way is known.
func (s transports) answer(transport string, document []byte, path string, w http.ResponseWriter, r *http.Request) bool {
	header, size := w.Header(), len(document)
	header.Set("Content-Type", "application/json")
	wait := func() {
		select {
		case <-s.ended:
		case <-r.Context().Done():
		}
	}
	zip := func(b []byte) []byte {
		header.Set("Content-Encoding", "gzip")
		if strings.HasPrefix(transport, "aws-chunked ") {
			header.Set("Content-Encoding", "aws-chunked, gzip")
		}
		return compress(b)
	}
	send := func(b []byte) { _, _ = w.Write(b) }
	half := func(b []byte) {
		send(b[:len(b)/2])
		w.(http.Flusher).Flush()
	}
	redirect := func(to string) { http.Redirect(w, r, to, http.StatusFound) }
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"

	switch transport {
	case "plain":
		send(document)
	case "text":
		header.Set("Content-Type", "text/plain; charset=utf-8")
		send(document)
	case "no type":
		header["Content-Type"] = nil
		send(document)
	case "html":
		header.Set("Content-Type", "text/html; charset=utf-8")
		send(document)
	case "html page":
		header.Set("Content-Type", "text/html; charset=utf-8")
		send([]byte("\n<!DOCTYPE html><html><script>"))
		send(document)
	case "json twice":
		header["Content-Type"] = []string{"application/json; charset=utf-8, application/jwk-set+json", "application/json"}
		send(document)
	case "json and image":
		header["Content-Type"] = []string{"application/json, image/png"}
		send(document)
	case "aws-chunked":
		header.Set("Content-Encoding", "aws-chunked")
		send(document)
	case "aws-chunked gzip":
		send(zip(document))
	case "aws-chunked bomb":
		send(zip(append(document, bytes.Repeat([]byte(" "), 8<<20)...)))
	case "aws-chunked brotli":
		header.Set("Content-Encoding", "aws-chunked, br")
		send(document)
	case "image":
		header.Set("Content-Type", "image/png")
		send(document)

	case "gzip":
		send(zip(document))
	case "gzip twice":
		send(zip(zip(document)))
	case "gzip lie":
		header.Set("Content-Encoding", "gzip")
		send(document)
	case "gzip half":
		half(zip(document))
	case "gzip and more":
		send(append(zip(document), "more than there should be"...))
	case "gzip bomb":
		send(zip(append(document, bytes.Repeat([]byte(" "), 8<<20)...)))
	case "gzip endless":
		header.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(document)
		forever(z, " ")
	case "brotli":
		header.Set("Content-Encoding", "br")
		send(document)

	case "endless":
		send(document)
		forever(w, " ")
	case "cut off":
		half(document)
		panic(http.ErrAbortHandler)
	case "length more":
		rawReply(w, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", ok, size+1, document))
	case "length less":
		rawReply(w, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", ok, size/2, document))
	case "length twice":
		rawReply(w, fmt.Sprintf("%sContent-Length: %d\r\nContent-Length: %d\r\n\r\n%s", ok, size, size/2, document))
	case "length negative":
		rawReply(w, fmt.Sprintf("%sContent-Length: -1\r\n\r\n%s", ok, document))
	case "length huge":
		header.Set("Content-Length", "1099511627776")
		send(document)
		forever(w, " ")
	case "bad chunk":
		rawReply(w, fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\nzz\r\n\r\n", ok, size, document))
	case "http 1.0":
		rawReply(w, fmt.Sprintf("HTTP/1.0 200 OK\r\n\r\n%s", document))
	case "http 1.0 half":
		rawReply(w, fmt.Sprintf("HTTP/1.0 200 OK\r\n\r\n%s", document[:size/2]))

	case "silent":
		wait()
	case "slow header":
		conn, buffered := hijack(w)
		defer conn.Close()
		fmt.Fprint(buffered, "HTTP/1.1 200 OK\r\nContent-Ty")
		_ = buffered.Flush()
		_, _ = conn.Read(make([]byte, 1)) // until it is hung up on
	case "slow body":
		half(document)
		wait()
	case "slow gzip":
		half(zip(document))
		wait()
	case "hang up":
		panic(http.ErrAbortHandler)
	case "no http":
		rawReply(w, "SSH-2.0-OpenSSH_9.9\r\n")
	case "long header":
		rawReply(w, fmt.Sprintf("%sX-Filler: %s\r\n\r\n%s", ok, strings.Repeat("x", 1<<20), document))
	case "forged header":
		rawReply(w, fmt.Sprintf("%s: \x1b[31m\x00evil\r\n\r\n%s", ok, document))

	case "redirect":
		redirect(s.plain + strings.Replace(path, "/redirect/", "/plain/", 1))
	case "redirect to another origin":
		redirect(s.other + path)
	case "redirect to another host":
		redirect(strings.Replace(s.plain, "127.0.0.1", "localhost", 1) + path)
	case "redirect loop":
		redirect(path)
	case "redirect to a file":
		redirect("file:///etc/passwd")
	case "redirect with a password":
		redirect(strings.Replace(s.plain, "http://", "http://me:hunter2@", 1) + path)
	case "redirect nowhere":
		w.WriteHeader(http.StatusFound)
	case "tls plain", "tls forged name":
		send(document)
	case "tls redirect to http":
		redirect(s.other + path)

	case "status 204":
		w.WriteHeader(http.StatusNoContent)
	case "status 206":
		w.WriteHeader(http.StatusPartialContent)
		send(document)
	case "status 401":
		w.WriteHeader(http.StatusUnauthorized)
		send(document)
	case "status 404":
		w.WriteHeader(http.StatusNotFound)
		send(document)
	case "status 500":
		w.WriteHeader(http.StatusInternalServerError)
		send(bytes.Repeat([]byte("\x1b[31mgoroutine 1 [running]:\r\n-----BEGIN PUBLIC KEY-----\n"), 10_000))
	default:
		return false
	}
	return true
}

// forgedCertificate is for names that would take a terminal over, and its own authority.
func forgedCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		DNSNames: []string{"\x1b[2J\x1b[32mok\r\n-----BEGIN PUBLIC KEY-----", strings.Repeat("long.", 1000)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// metered counts what is read of the bodies, after decompression.
type metered struct {
	http.RoundTripper
	read atomic.Int64
}

func (m *metered) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := m.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = &meter{response.Body, &m.read}
	}
	return response, err
}

type meter struct {
	io.ReadCloser
	read *atomic.Int64
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.ReadCloser.Read(b)
	m.read.Add(int64(n))
	return n, err
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	z.Close()
	return out.Bytes()
}

// forever writes until it is hung up on.
func forever(w io.Writer, text string) {
	chunk := bytes.Repeat([]byte(text), 1<<16)
	for {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// raw answers with these bytes and hangs up.
func rawReply(w http.ResponseWriter, reply string) {
	conn, buffered := hijack(w)
	defer conn.Close()
	_, _ = buffered.WriteString(reply)
	_ = buffered.Flush()
}

func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return conn, buffered
}

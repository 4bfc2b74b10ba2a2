package serving

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConnectionsAreCountedWhileTheyAreOpen(t *testing.T) {
	c := connections{most: 2}
	pipe := func() net.Conn { a, _ := net.Pipe(); return a }
	closed := func(conn net.Conn) bool { return conn.SetDeadline(time.Now()) != nil }
	first, second, third, fourth := pipe(), pipe(), pipe(), pipe()
	c.note(first, http.StateNew)
	c.note(second, http.StateNew)
	c.note(first, http.StateActive)
	c.note(third, http.StateNew)
	assert.True(t, closed(second), "something happened on the first since")
	assert.False(t, closed(first))
	c.note(second, http.StateClosed)
	c.note(first, http.StateClosed)
	c.note(fourth, http.StateNew)
	assert.False(t, closed(third))
	assert.Len(t, c.at, 2)
	assert.Equal(t, 2, c.order.Len())
}

// A peer that reads nothing holds up nobody: there is no goodbye for it.
func TestConnectionOfAPeerThatReadsNothingIsClosedAtOnce(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	certificates := s.TLS.Certificates
	s.Close()
	synctest.Test(t, func(t *testing.T) {
		c := connections{most: 1}
		conn, other := net.Pipe()
		served, peer := tls.Server(conn, &tls.Config{Certificates: certificates}), tls.Client(other, &tls.Config{InsecureSkipVerify: true})
		shaken := make(chan error)
		go func() { shaken <- peer.Handshake() }()
		require.NoError(t, served.Handshake())
		require.NoError(t, <-shaken)
		c.note(served, http.StateNew)
		began := time.Now()
		next, _ := net.Pipe()
		c.note(next, http.StateNew)
		assert.Zero(t, time.Since(began))
		_, err := served.Write([]byte("x"))
		require.Error(t, err)
	})
}

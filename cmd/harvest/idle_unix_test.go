//go:build unix

package main

import (
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestIdleConnections: who holds more connections to -listen than the process may open files keeps
// it neither from its own work nor from answering.
func TestIdleConnections(t *testing.T) {
	m := newCoalmine(t)
	m.files = 256
	w := m.watch(t)
	w.until(t, `level=WARN msg="this process may open few files, .* connections=14 instead_of=128 open_files=256`)
	var last net.Conn
	for range m.files + 50 {
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.listen, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		last = conn
		_, err = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
	}
	require.NoError(t, last.SetReadDeadline(time.Now().Add(patience)))
	_, err := last.Read(make([]byte, 1))
	require.NoError(t, err, "the newest is answered")
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGHUP))
	w.until(t, `msg="the configuration was reloaded"`)
}

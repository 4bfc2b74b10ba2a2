package serving

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who holds connections open keeps nobody out: the one that was still for longest makes room.
func TestManyIdleConnectionsKeepNobodyOut(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := Service{
		Name: "tests", Connections: Pages, Reply: time.Minute, Header: 4 << 10,
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	}
	t.Cleanup(s.Serve(listener, slog.New(slog.DiscardHandler)))
	dial := func() net.Conn {
		conn, err := (&net.Dialer{Timeout: 20 * time.Second}).DialContext(t.Context(), "tcp", listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		return conn
	}
	ask := func(conn net.Conn) {
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.NoError(t, reply.Body.Close())
		assert.Equal(t, http.StatusOK, reply.StatusCode)
	}
	oldest := dial()
	ask(oldest)
	for i := range 2 * Pages {
		conn := dial()
		if i%2 == 0 {
			_, err = io.WriteString(conn, "GET / HT")
			require.NoError(t, err)
		}
	}
	ask(dial())
	_, err = oldest.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF, "the oldest was closed")
}

// What others hold open leaves the process half of its files, whatever their limit is.
func TestConnectionsKeepToHalfOfTheOpenFiles(t *testing.T) {
	for files, want := range map[int][2]int{
		unlimited: {Relays, Pages},
		2304:      {Relays, Pages},
		1024:      {455, 56},
		256:       {113, 14},
		1:         {1, 1},
	} {
		assert.Equal(t, want, [2]int{bound(Relays, files), bound(Pages, files)}, files)
	}
}

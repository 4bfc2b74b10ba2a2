package serving

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
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

package serving

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connections bounds how many are open. It never refuses one: a client that holds many idle ones,
// or sends a header a byte at a time, keeps nobody else out.
type connections struct {
	most int

	mu    sync.Mutex
	order list.List // of net.Conn, the one on which nothing has happened for longest first
	at    map[net.Conn]*list.Element
}

// note is an http.Server's ConnState.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := c.at[conn]; {
	case state == http.StateClosed || state == http.StateHijacked:
		if e != nil {
			c.order.Remove(e)
			delete(c.at, conn)
		}
	case e != nil:
		c.order.MoveToBack(e)
	case state == http.StateNew:
		if c.at == nil {
			c.at = map[net.Conn]*list.Element{}
		}
		c.at[conn] = c.order.PushBack(conn)
		if oldest, ok := c.order.Front().Value.(net.Conn); ok && len(c.at) > c.most {
			c.order.Remove(c.at[oldest])
			delete(c.at, oldest)
			// A tls.Conn says goodbye first, and waits seconds for a peer that doesn't read.
			if t, ok := oldest.(*tls.Conn); ok {
				oldest = t.NetConn()
			}
			_ = oldest.Close()
		}
	}
}

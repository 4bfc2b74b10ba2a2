package faultproxy

import (
	"net"
	"strings"
	"sync"
	"time"
)

// link is a connection of a client and the one to the server for it.
type link struct {
	client, server *net.TCPConn
	done           chan struct{} // closed at the end of both
	once           sync.Once

	mu     sync.Mutex
	fault  Fault
	struck int    // number of the fault that befell it
	passed [2]int // bytes by way, since then
	holed  [2]bool
}

func newLink(client, server *net.TCPConn) *link {
	return &link{client: client, server: server, done: make(chan struct{})}
}

func (l *link) number() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.struck
}

func (l *link) strike(number int, f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault, l.struck, l.passed = f, number, [2]int{}
	l.holed[ToServer] = l.holed[ToServer] || f.ToServer.hole
	l.holed[ToClient] = l.holed[ToClient] || f.ToClient.hole
}

// next returns what is to happen to the next n bytes of a way, how many of them to pass
// on, and whether the connection ends with these.
func (l *link) next(way Way, n int) (e Effect, pass int, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e = l.fault.ToServer
	if way == ToClient {
		e = l.fault.ToClient
	}
	if l.holed[way] {
		return Effect{}, 0, false
	}
	if e.cut {
		left := max(e.after-l.passed[way], 0)
		n, last = min(n, left), n >= left
	}
	l.passed[way] += n
	return e, n, last
}

// end ends both connections, with a reset or as if they were complete.
func (l *link) end(broken bool) {
	l.once.Do(func() {
		close(l.done)
		for _, c := range []*net.TCPConn{l.client, l.server} {
			if broken {
				reset(c)
			} else {
				_ = c.Close()
			}
		}
	})
}

// reset closes a connection with an RST: what was not sent yet is lost.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// maxRead bounds what is read at a time, in bytes.
const maxRead = 32 << 10

// slice is how often a throttled connection passes bytes on.
const slice = 10 * time.Millisecond

// forward passes bytes on, one way, until the connection ends. A way that swallows goes on
// reading: it is by the other's end that a client learns nothing.
func (p *Proxy) forward(l *link, way Way) {
	from, to := l.client, l.server
	if way == ToClient {
		from, to = l.server, l.client
	}
	buffer := make([]byte, maxRead)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			chunk := buffer[:n]
			if way == ToServer {
				p.meet(l, chunk)
			}
			if !p.pass(l, way, to, chunk) {
				return
			}
		}
		if err != nil {
			p.leave(l, way, to)
			return
		}
	}
}

// meet lets the fault befall the connection if this is what it waits for.
func (p *Proxy) meet(l *link, chunk []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault.When != "" && strings.HasPrefix(string(chunk), p.fault.When) {
		p.strike(l)
	}
}

// pass passes bytes on under the fault, and reports whether the connection is still there.
func (p *Proxy) pass(l *link, way Way, to *net.TCPConn, chunk []byte) bool {
	e, n, last := l.next(way, len(chunk))
	if !l.wait(e.delay) {
		return false
	}
	for rest := chunk[:n]; len(rest) > 0; {
		some := rest
		if e.rate > 0 {
			some = rest[:min(len(rest), max(1, e.rate/int(time.Second/slice)))]
			if !l.wait(time.Duration(len(some)) * time.Second / time.Duration(e.rate)) {
				return false
			}
		}
		if p.OnPass != nil { // first: what the other end does about it must not be seen before it
			p.OnPass(way, some)
		}
		if _, err := to.Write(some); err != nil {
			l.end(true)
			return false
		}
		rest = rest[len(some):]
	}
	if last {
		l.end(e.reset)
	}
	return !last
}

// leave passes the end of a way on. A client that has gone ends a connection whose bytes
// are swallowed; a server that has gone ends none of those.
func (p *Proxy) leave(l *link, way Way, to *net.TCPConn) {
	l.mu.Lock()
	holed := l.holed
	l.mu.Unlock()
	select {
	case <-l.done: // by a reset, which an end of one way would forestall
		return
	default:
	}
	switch {
	case way == ToServer && (holed[ToServer] || holed[ToClient]):
		l.end(false)
	case holed[way]:
		<-l.done
	default:
		_ = to.CloseWrite()
	}
}

// wait waits, and reports whether the connection is still there.
func (l *link) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}

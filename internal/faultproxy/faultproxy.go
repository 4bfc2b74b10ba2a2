// Package faultproxy stands between a client and a server as a TCP proxy, and does to
// their connections what networks do: it delays, throttles, cuts, resets and swallows.
//
// A fault may wait for the words that it is meant for, so that it hits the one request of
// a connection that a test is about:
//
//	p := faultproxy.New(t, vault.Address)
//	p.Set(faultproxy.Fault{When: "PUT /v1/auth/", ToServer: faultproxy.CutAfter(100)})
package faultproxy

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// Fault is what happens to the connections of a Proxy. The zero Fault is none.
type Fault struct {
	// When is what a read from the client begins with, such as "PUT /v1/auth/", before
	// the fault befalls a connection. "" befalls every connection at once, those that
	// are open too.
	When string
	// Times is how many connections it befalls; zero is every one.
	Times int
	// ToServer and ToClient are what happens to the bytes of either way, counted from
	// when the fault befell the connection.
	ToServer, ToClient Effect
}

// Way is a direction of a connection.
type Way int

// The two ways.
const (
	ToServer Way = iota
	ToClient
)

// Proxy forwards connections from a free loopback port to a server.
type Proxy struct {
	// URL is the proxy's address, with the scheme and the path of the server's.
	URL string
	// OnPass, where set before the first connection, is called with what is about to be
	// passed on: at the same time for different connections and ways.
	OnPass func(way Way, bytes []byte)

	target   string
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	fault   Fault
	number  int // of the fault: a new one befalls a connection anew
	struck  int // connections that the fault befell
	links   []*link
	changed chan struct{} // closed and replaced when struck grows
}

// New starts a proxy before the server at that URL. It ends with the test.
func New(t testing.TB, server string) *Proxy {
	t.Helper()
	p, err := Start(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Start is New outside a test; Close ends the proxy.
func Start(server string) (*Proxy, error) {
	address, err := url.Parse(server)
	if err != nil || address.Port() == "" {
		return nil, fmt.Errorf("faultproxy: %q: want a URL with a port", server)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: address.Host, listener: listener, changed: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	address.Host = listener.Addr().String()
	p.URL = address.String()
	p.running.Go(p.accept)
	return p, nil
}

// Close ends the proxy and every connection, and returns when all have ended. It may be
// called twice.
func (p *Proxy) Close() {
	p.cancel()
	_ = p.listener.Close()
	p.Break()
	p.running.Wait()
}

// Set puts a fault in the place of the one before.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.struck = f, 0
	p.number++
	for _, l := range p.links {
		l.strike(0, Fault{}) // the end of the one before
		if f.When == "" {
			p.strike(l)
		}
	}
}

// Lift takes the fault away. Connections that were cut or swallowed stay so.
func (p *Proxy) Lift() { p.Set(Fault{}) }

// Break cuts every connection that is open, with a reset.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.end(true)
	}
}

// Struck is how many connections the fault befell so far.
func (p *Proxy) Struck() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.struck
}

// Await returns once the fault befell n connections, or with the context's error.
func (p *Proxy) Await(ctx context.Context, n int) error {
	for {
		p.mu.Lock()
		struck, changed := p.struck, p.changed
		p.mu.Unlock()
		if struck >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the fault befell %d of %d connections: %w", struck, n, ctx.Err())
		}
	}
}

// strike lets the fault befall a connection, unless it has; p.mu must be held.
func (p *Proxy) strike(l *link) {
	f := p.fault
	switch {
	case f.ToServer == Effect{} && f.ToClient == Effect{}, l.number() == p.number, f.Times > 0 && p.struck >= f.Times:
		return
	}
	l.strike(p.number, f)
	p.struck++
	close(p.changed)
	p.changed = make(chan struct{})
	// An answer that is to be cut at its beginning is an answer to something.
	if f.ToServer.immediate() || f.ToClient.immediate() && f.When == "" {
		l.end(f.ToServer.reset || f.ToClient.reset)
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client.(*net.TCPConn)) })
	}
}

// serve forwards one connection until both ways have ended.
func (p *Proxy) serve(client *net.TCPConn) {
	server, err := (&net.Dialer{}).DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	l := newLink(client, server.(*net.TCPConn))
	p.mu.Lock()
	p.links = append(p.links, l)
	if p.fault.When == "" {
		p.strike(l)
	}
	p.mu.Unlock()
	if p.ctx.Err() != nil { // Close may have missed it
		l.end(true)
	}
	var ways sync.WaitGroup
	ways.Go(func() { p.forward(l, ToServer) })
	ways.Go(func() { p.forward(l, ToClient) })
	ways.Wait()
	l.end(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = slices.DeleteFunc(p.links, func(other *link) bool { return other == l })
}

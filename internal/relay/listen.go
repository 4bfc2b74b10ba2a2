package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Listening is how relays are served.
type Listening struct {
	Address        string // HOST:PORT; without a host every address of this machine
	Cert, Key      string // PEM files, read again after each has changed; "": plaintext
	AllowPlaintext bool   // off loopback too
}

// ErrPlaintext: a key set would be served in plaintext off loopback.
var ErrPlaintext = errors.New("not loopback, and over plaintext anyone on the path chooses whom others trust")

// Listen returns a listener on the address. A key set over plaintext lets anyone on the path
// choose whom others trust: without a certificate it listens on loopback only, unless
// AllowPlaintext. The error wraps [ErrPlaintext] then.
func (l Listening) Listen(ctx context.Context, log *slog.Logger) (net.Listener, error) {
	var pair *certificate
	switch {
	case (l.Cert == "") != (l.Key == ""):
		return nil, errors.New("a certificate and its key go together")
	case l.Cert != "":
		pair = &certificate{cert: l.Cert, key: l.Key, log: log}
		if err := pair.load(); err != nil {
			return nil, err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.Address)
	if err != nil {
		return nil, err
	}
	if pair != nil {
		return tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get, NextProtos: []string{"http/1.1"}}), nil
	}
	if at, ok := listener.Addr().(*net.TCPAddr); (!ok || !at.IP.IsLoopback()) && !l.AllowPlaintext {
		_ = listener.Close()
		return nil, fmt.Errorf("%s: %w", l.Address, ErrPlaintext)
	}
	return listener, nil
}

// certificate is a pair of files.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	stamp  string    // of the files, as they were read
	looked time.Time // when they were looked at last
}

// lookAgain is how often the files are looked at, at most.
const lookAgain = time.Second

func (c *certificate) load() error {
	stamp := c.stampNow()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.cert, c.key, err)
	}
	c.pair, c.stamp, c.looked = &pair, stamp, time.Now()
	return nil
}

func (c *certificate) stampNow() string {
	var stamp []byte
	for _, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil {
			stamp = fmt.Appendf(stamp, "%d %d ", info.Size(), info.ModTime().UnixNano())
		}
	}
	return string(stamp)
}

// get returns the certificate as the files have it now. While they can't be used, the last good
// one stays.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < lookAgain {
		return c.pair, nil
	}
	c.looked = time.Now()
	if stamp := c.stampNow(); stamp != c.stamp {
		if err := c.load(); err != nil {
			c.stamp = stamp // told of once
			c.log.Error("the relay's certificate was not reloaded; the old one stays", "error", err)
		} else {
			c.log.Info("the relay's certificate was reloaded")
		}
	}
	return c.pair, nil
}

// Bounds on what others can make a server hold.
const (
	mostConnections = 1024
	headerTimeout   = 5 * time.Second
	replyTimeout    = 10 * time.Second
	idleTimeout     = 30 * time.Second
	mostHeader      = 4 << 10
)

// Serve answers on the listener until stop is called. It holds 1,024 connections at most: one more
// takes the place of the one on which nothing has happened for longest.
func (s *Server) Serve(listener net.Listener, log *slog.Logger) (stop func()) {
	open := connections{most: mostConnections}
	server := &http.Server{
		Handler: s, ReadTimeout: headerTimeout, ReadHeaderTimeout: headerTimeout, WriteTimeout: replyTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: mostHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnState: open.note, Protocols: new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("relays are served no more", "error", err)
		}
	}()
	log.Info("serving relays", "address", listener.Addr().String())
	return func() {
		_ = server.Close()
		<-done
	}
}

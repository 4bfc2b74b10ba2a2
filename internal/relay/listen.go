package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
// AllowPlaintext. The error wraps [ErrPlaintext] then. Until ctx ends, the files of the certificate
// are read again after each change.
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
		go pair.keep(ctx)
		return tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get, NextProtos: []string{"http/1.1"}}), nil
	}
	if at, ok := listener.Addr().(*net.TCPAddr); (!ok || !at.IP.IsLoopback()) && !l.AllowPlaintext {
		_ = listener.Close()
		return nil, fmt.Errorf("%s: %w", l.Address, ErrPlaintext)
	}
	return listener, nil
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

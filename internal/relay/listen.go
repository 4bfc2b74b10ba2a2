package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jwksharvest/harvest/internal/serving"
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

// Serve answers on the listener until stop is called.
func (s *Server) Serve(listener net.Listener, log *slog.Logger) (stop func()) {
	return serving.Service{
		Name: "relays", Handler: s, Connections: serving.Relays, Reply: 10 * time.Second, Header: 4 << 10,
	}.Serve(listener, log)
}

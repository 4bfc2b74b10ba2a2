// Package nethint tells what to do about a request that failed, by the cause of its error.
package nethint

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/textproto"
	"net/url"
	"strings"
	"syscall"
)

// Cause is a fault of an address that its scheme mends.
type Cause int

// The causes that somebody may want to know. NotTLS: https is asked of a server that speaks none.
// NotPlain: http is asked of one that speaks TLS, or another protocol.
const (
	Other Cause = iota
	NotTLS
	NotPlain
)

// CauseOf returns the cause of the error of a request to u.
func CauseOf(u *url.URL, err error) Cause {
	said := err.Error()
	switch {
	case errors.As(err, new(tls.RecordHeaderError)), strings.Contains(said, "server gave HTTP response to HTTPS client"):
		return NotTLS
	case strings.Contains(said, "malformed HTTP response") && u.Scheme == "http":
		return NotPlain
	}
	return Other
}

// Of returns what to do about the error of a request to u; "" where that can't be told.
func Of(u *url.URL, given Given, err error) string {
	if hint := tlsHint(u, given, err); hint != "" {
		return hint
	}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS && dns.IsNotFound:
		return "no such host: look at the address and at DNS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: look at the address and the port"
	case CauseOf(u, err) == NotPlain:
		return "the server doesn't speak HTTP on this port; use https://?"
	}
	return ""
}

// IsUnreachable reports whether a request ended for want of a connection, or because it broke: not
// by a certificate, a time limit, or a file.
func IsUnreachable(err error) bool {
	network, ok := errors.AsType[net.Error](err)
	if IsTLS(err) || ok && network.Timeout() || errors.As(err, new(*fs.PathError)) { // a file's syscall.Errno passes for a net.Error
		return false
	}
	return ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, new(textproto.ProtocolError)) // what an answer is that breaks off in its header
}

// IsTLS reports whether a certificate is to blame.
func IsTLS(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(x509.UnknownAuthorityError)) ||
		errors.As(err, new(x509.HostnameError)) || errors.As(err, new(x509.CertificateInvalidError)) ||
		strings.Contains(err.Error(), "failed to parse certificate from server") // crypto/tls, which has no type for it
}

// HungUp reports whether the other side ended a connection that stood.
func HungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

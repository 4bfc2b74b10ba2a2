// Package nethint tells what to do about a request that failed, by the cause of its error.
package nethint

import (
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
)

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
	case strings.Contains(err.Error(), "malformed HTTP response") && u.Scheme == "http":
		return "the server doesn't speak HTTP on this port; use https://?"
	}
	return ""
}

// HungUp reports whether the other side ended a connection that stood.
func HungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

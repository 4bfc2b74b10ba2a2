package jwks

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
)

// worthRetrying reports whether the same request may succeed a moment later: a connection
// refused or lost, or a server or proxy that says so. Not a time limit, which would only
// be waited for again, nor anything about TLS, which stays as it is.
func worthRetrying(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		switch status.StatusCode {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var body *bodyError
	if errors.As(err, &body) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsTemporary
	}
	return errors.Is(err, syscall.ECONNREFUSED) || hungUp(err)
}

// hungUp reports whether the other side closed the connection before its reply.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

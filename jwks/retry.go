package jwks

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"

	"github.com/jwksharvest/harvest/internal/nethint"
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
	return errors.Is(err, syscall.ECONNREFUSED) || nethint.HungUp(err)
}

package vaultapi

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/redact"
	"github.com/jwksharvest/harvest/internal/text"
)

// What vaultsync tells its callers of, under the same names.
var (
	ErrNoMount      = errors.New("no JWT auth method at this path")
	ErrSealed       = errors.New("Vault is sealed")
	ErrForbidden    = errors.New("permission denied")
	ErrNoNamespaces = errors.New("this Vault has no namespaces")
	ErrTooLarge     = errors.New("configuration too large for Vault's storage")
)

// Explain turns what vault/api says of a request into what happened and what to do next.
// capability is what the token, which is not shown, needs on path. The error wraps [ErrNoMount],
// [ErrSealed], [ErrForbidden] or [ErrTooLarge] where it is one of these, and Vault's answer.
func (s *Session) Explain(err error, path, capability string) error {
	return explain(err, s.Path, path, capability, s.API.Token())
}

func explain(err error, mount, path, capability, token string) error {
	var response *api.ResponseError
	if !errors.As(err, &response) {
		return fmt.Errorf("Vault can't be reached: %w", redact.Error(err, token))
	}
	return Answered(explainAnswer(response, mount, path, capability, token), response)
}

// Answered returns err with what Vault answered, which errors.As finds in it too.
func Answered(err error, answer *api.ResponseError) error { return &answered{err, answer} }

type answered struct {
	error
	answer *api.ResponseError
}

func (e *answered) Unwrap() []error { return []error{e.error, e.answer} }

func explainAnswer(response *api.ResponseError, mount, path, capability, token string) error {
	said := Clean(strings.Join(response.Errors, "; "), token)
	switch code := response.StatusCode; {
	case code == http.StatusForbidden:
		return fmt.Errorf("%w: Vault wants a valid token with %q on %s (`harvest policy` prints the policy); without root, "+
			"a mount that doesn't exist gives the same answer: %s", ErrForbidden, capability, path, said)
	case code == http.StatusNotFound && strings.Contains(said, "no handler for route"):
		return noMount(mount)
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed, strings.Contains(said, "unsupported path"):
		return fmt.Errorf("%w: %s answers %d: %s", ErrNoMount, path, code, said)
	case code == http.StatusBadRequest:
		return fmt.Errorf("Vault refused the request: %s", said)
	case code == http.StatusPreconditionFailed:
		return fmt.Errorf("this Vault node hasn't caught up with the last write yet (412); try again, or address the active node: %s", said)
	case code == http.StatusTooManyRequests:
		return fmt.Errorf("Vault limits the rate of requests (429); try again later, or raise the quota for %s: %s", path, said)
	case code == http.StatusServiceUnavailable && strings.Contains(said, "sealed"):
		return fmt.Errorf("%w (%d): nothing was changed; it has to be unsealed", ErrSealed, code)
	case isTooLarge(response):
		return fmt.Errorf("%w: trust fewer clusters on this mount: %s", ErrTooLarge, said)
	case code >= http.StatusInternalServerError:
		return fmt.Errorf("Vault failed with status %d: %s", code, said)
	default:
		return fmt.Errorf("Vault answered with status %d: %s", code, said)
	}
}

func noMount(mount string) error {
	return fmt.Errorf("%w: create it with `vault auth enable -path=%s jwt`", ErrNoMount, mount)
}

// Transient reports whether the same request may succeed a moment later. Connections that
// broke are: whether a write got through isn't known, so the mount is read again.
func Transient(err error) bool {
	var response *api.ResponseError
	if !errors.As(err, &response) {
		return true
	}
	switch response.StatusCode {
	case http.StatusPreconditionFailed, http.StatusTooManyRequests:
		return true
	default:
		return response.StatusCode >= http.StatusInternalServerError && !isTooLarge(response)
	}
}

// isTooLarge recognises the 500 with which integrated storage refuses an entry.
func isTooLarge(r *api.ResponseError) bool {
	return strings.Contains(strings.Join(r.Errors, " "), "value being too large")
}

// Clean bounds what a server said, and drops what a terminal could take for a command and
// these credentials.
func Clean(s string, secrets ...string) string {
	const most = 256
	if len(s) > maxSaid {
		s = s[:maxSaid]
	}
	s = redact.Text(s, secrets...) // before the cut, which might leave a part of one
	return cmp.Or(text.Cut(text.Blank(s), most), "(no message)")
}

// maxSaid bounds what is looked at of an error, in bytes: more than the longest credential.
const maxSaid = 1 << 20

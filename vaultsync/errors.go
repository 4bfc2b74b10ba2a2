package vaultsync

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

var (
	// ErrNoMount: there is no auth method at the path, or it is no JWT one. To a setup one of
	// type oidc is none.
	ErrNoMount = errors.New("no JWT auth method at this path")
	// ErrSealed: Vault is sealed or not initialized.
	ErrSealed = errors.New("Vault is sealed")
	// ErrForbidden: the token is missing, expired, revoked, or lacks a capability.
	ErrForbidden = errors.New("permission denied")
	// ErrNoNamespaces: the mount is in a namespace, and this Vault has none. It would
	// pass over the name and write the mount of that path in its only tree.
	ErrNoNamespaces = errors.New("this Vault has no namespaces")
	// ErrConflict: another writer undid each of several writes.
	ErrConflict = errors.New("another writer keeps changing the keys")
)

// MountError says which mount an error belongs to.
type MountError struct {
	Vault     string // address
	Namespace string // "" is the root namespace, or Vault without namespaces
	Path      string
	Err       error
}

// Error implements error.
func (e *MountError) Error() string {
	return fmt.Sprintf("mount %s: %v", MountName(e.Vault, e.Namespace, e.Path), e.Err)
}

// Unwrap returns Err.
func (e *MountError) Unwrap() error { return e.Err }

// MountName returns a mount as people are told of it.
func MountName(vault, namespace, path string) string {
	name := path
	if namespace != "" {
		name += " in namespace " + namespace
	}
	if vault != "" {
		name += " at " + vault
	}
	return name
}

// explain turns what vault/api says into what happened and what to do next. path is that
// of the request, capability what the token, which is not shown, needs there.
func explain(err error, mount, path, capability, token string) error {
	var response *api.ResponseError
	if !errors.As(err, &response) {
		return fmt.Errorf("Vault can't be reached: %w", redact.Error(err, token))
	}
	return &answered{explainAnswer(response, mount, path, capability, token), response}
}

// answered is an error made of what Vault answered, which errors.As finds in it too.
type answered struct {
	error
	answer *api.ResponseError
}

func (e *answered) Unwrap() []error { return []error{e.error, e.answer} }

func explainAnswer(response *api.ResponseError, mount, path, capability, token string) error {
	said := clean(strings.Join(response.Errors, "; "), token)
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

// transient says whether the same request may succeed a moment later. Connections that
// broke are: whether a write got through isn't known, so the mount is read again.
func transient(err error) bool {
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

// clean bounds what a server said, and drops what a terminal could take for a command and
// these credentials.
func clean(s string, secrets ...string) string {
	const most = 256
	if len(s) > maxSaid {
		s = s[:maxSaid]
	}
	s = redact.Text(s, secrets...) // before the cut, which might leave a part of one
	return cmp.Or(text.Cut(text.Blank(s), most), "(no message)")
}

// maxSaid bounds what is looked at of an error, in bytes: more than the longest credential.
const maxSaid = 1 << 20

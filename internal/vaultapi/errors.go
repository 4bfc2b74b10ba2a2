package vaultapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/nethint"
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

// ErrHeld: Vault holds a request back, and gave a wrapped answer in its place.
var ErrHeld = errors.New("Vault holds the request back")

// Held returns why an answer is none, or nil: where a control group has to approve a request, Vault
// wraps its answer, and does nothing until then.
func Held(secret *api.Secret, path string) error {
	if secret == nil || secret.WrapInfo == nil {
		return nil
	}
	return fmt.Errorf("%w: its answer to %s is wrapped, as where a control group has to approve the request first, which harvest can't wait for; "+
		"take that path out of the control group for this token", ErrHeld, path)
}

// Explain turns what vault/api says of a request into what happened and what to do next.
// capability is what the token, which is not shown, needs on path. The error wraps [ErrNoMount],
// [ErrSealed], [ErrForbidden] or [ErrTooLarge] where it is one of these, and Vault's answer.
func (s *Session) Explain(err error, path, capability string) error {
	var response *api.ResponseError
	switch {
	case errors.Is(err, ErrHeld):
		return err
	case !errors.As(err, &response):
		return Unreachable(s.API, err, s.API.Token())
	}
	return Answered(s.explainAnswer(response, path, capability), response)
}

// Unreachable returns why a request of a client got no answer, with what to do about it where that
// can be told. It shows none of the secrets.
func Unreachable(c *api.Client, err error, secrets ...string) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("stopped before Vault answered: %w", context.Canceled)
	}
	cause := err
	if wrapped, ok := errors.AsType[*url.Error](err); ok { // the URL is that of the mount
		cause = wrapped.Err
	}
	u := &UnreachableError{err: err, said: redact.Text(cause.Error(), secrets...)}
	if address, err := url.Parse(c.Address()); err == nil {
		given := nethint.GivenTo(c.CloneConfig().HttpClient)
		u.Cause, u.hint, u.given = nethint.CauseOf(address, cause), nethint.Of(address, given, cause), given.Roots
	}
	return u
}

// Stopped returns what went wrong after the end of a context as an error that wraps the context's.
// A request that was cut short says nothing about Vault.
func Stopped(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*UnreachableError](err); ok {
		return fmt.Errorf("stopped before Vault answered: %w: %w", ctx.Err(), context.Cause(ctx))
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

// UnreachableError is a request that got no answer, or none of Vault's.
type UnreachableError struct {
	Cause nethint.Cause // by which an address can be mended

	err        error
	said, hint string
	given      bool
}

// Error implements error.
func (e *UnreachableError) Error() string {
	said := "Vault can't be reached: " + e.said
	if e.hint != "" {
		said += " (" + e.hint + ")"
	}
	return said
}

// Unwrap returns the error of the request.
func (e *UnreachableError) Unwrap() error { return e.err }

// GivenCA reports whether the client has CA certificates of its own.
func (e *UnreachableError) GivenCA() bool { return e.given }

// ForbiddenError is ErrForbidden where the token lacks a capability, as far as Vault tells.
type ForbiddenError struct {
	Path string // on which it does
	Said string
}

// Error returns what Vault said, and what it means.
func (e *ForbiddenError) Error() string { return e.Said }

// Is reports true for ErrForbidden.
func (e *ForbiddenError) Is(target error) bool { return target == ErrForbidden }

// Answered returns err with what Vault answered, which errors.As finds in it too.
func Answered(err error, answer *api.ResponseError) error { return &answered{err, answer} }

type answered struct {
	error
	answer *api.ResponseError
}

func (e *answered) Unwrap() []error { return []error{e.error, e.answer} }

// IsVaults reports whether an answer is Vault's: its errors are a list in JSON. What stands before
// Vault may answer too: a proxy, a firewall, a login page.
func IsVaults(r *api.ResponseError) bool { return !r.RawError && r.Errors != nil }

// IsForbidden reports whether Vault answered 403, and so did nothing.
func IsForbidden(err error) bool {
	var response *api.ResponseError
	return errors.As(err, &response) && response.StatusCode == http.StatusForbidden && IsVaults(response)
}

// NotVaults tells of an answer that isn't Vault's.
func NotVaults(r *api.ResponseError, secrets ...string) error {
	return fmt.Errorf("the answer with status %d isn't Vault's: something before it gave it, such as a proxy, a firewall or a login page; "+
		"look at the way there, or address Vault past it: %s", r.StatusCode, Clean(strings.Join(r.Errors, "; "), secrets...))
}

// Said returns what Vault says of a refusal, in one line: of a list that Go made of several errors
// the items alone, as Vault writes them since 1.17.
func Said(response *api.ResponseError, secrets ...string) string {
	var items []string
	for _, said := range response.Errors {
		if head, list, ok := strings.Cut(said, " occurred:"); ok && errorCount().MatchString(head) {
			for item := range strings.SplitSeq(list, "\n") {
				if item = strings.TrimPrefix(strings.TrimSpace(item), "* "); item != "" {
					items = append(items, item)
				}
			}
			continue
		}
		items = append(items, said)
	}
	return Clean(strings.Join(items, "; "), secrets...)
}

var errorCount = text.Pattern(`^[0-9]+ errors?$`)

func (s *Session) explainAnswer(response *api.ResponseError, path, capability string) error {
	said := Said(response, s.API.Token())
	where := path
	if s.Namespace != "" {
		where += " in namespace " + s.Namespace
	}
	unwell := Unwell(response, path, s.API.Token())
	switch code := response.StatusCode; {
	case unwell != nil && !isTooLarge(response) && !strings.Contains(said, "unsupported path"):
		return unwell
	case code == http.StatusForbidden && s.API.Token() == "" && tokenRefused(said):
		return fmt.Errorf("%w: no token was sent, and nothing on the way adds one that has %q on %s: give the client one; "+
			"or, where a Vault Agent or Vault Proxy is to add its own (use_auto_auth_token), give the address of that: %s", ErrForbidden, capability, where, said)
	case code == http.StatusForbidden && strings.Contains(said, "invalid token"):
		return fmt.Errorf("%w: Vault knows no such token: it expired, was revoked, or is another Vault's", ErrForbidden)
	case code == http.StatusForbidden && said == "permission denied":
		return &ForbiddenError{path, fmt.Sprintf("%v: the token lacks %q on %s, or there is no such mount "+
			"(before 1.17, Vault says the same of a token that has expired)", ErrForbidden, capability, where)}
	case code == http.StatusForbidden:
		return fmt.Errorf("%w: Vault refuses %q on %s: %s", ErrForbidden, capability, where, said)
	case code == http.StatusNotFound && strings.Contains(said, "no handler for route"):
		return s.noMount()
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed, strings.Contains(said, "unsupported path"):
		return fmt.Errorf("%w: %s answers %d: %s", ErrNoMount, where, code, said)
	case code == http.StatusBadRequest:
		return fmt.Errorf("Vault refused the request: %s", said)
	case isTooLarge(response):
		return fmt.Errorf("%w: trust fewer clusters on this mount: %s", ErrTooLarge, said)
	default:
		return fmt.Errorf("Vault answered with status %d: %s", code, said)
	}
}

// Unwell returns what the answer to a request of path tells of Vault or of the way there, whatever
// was asked; nil if it tells nothing of them. The error wraps [ErrSealed] where it is that, and
// shows none of the secrets.
func Unwell(response *api.ResponseError, path string, secrets ...string) error {
	said := Said(response, secrets...)
	switch code := response.StatusCode; {
	case code == http.StatusBadRequest && strings.Contains(said, "HTTP request to an HTTPS server"):
		return &UnreachableError{Cause: nethint.NotPlain, said: "it wants TLS on this port", hint: "use https://"}
	case !IsVaults(response):
		return NotVaults(response, secrets...)
	case code == http.StatusPreconditionFailed:
		return fmt.Errorf("this Vault node hasn't caught up with the last write yet (412); try again, or address the active node: %s", said)
	case code == http.StatusTooManyRequests:
		return fmt.Errorf("Vault limits the rate of requests (429); try again later, or raise the quota for %s: %s", path, said)
	case code == http.StatusServiceUnavailable && strings.Contains(said, "sealed"):
		return fmt.Errorf("%w (%d): nothing was changed; it has to be unsealed", ErrSealed, code)
	case strings.Contains(said, "failed to get the response:"):
		return fmt.Errorf("the Vault Agent or Vault Proxy at this address can't reach Vault (%d): %s", code, said)
	case code >= http.StatusInternalServerError:
		return fmt.Errorf("Vault failed with status %d: %s", code, said)
	}
	return nil
}

// tokenRefused reports whether Vault says of a 403 that it is for the token, or the lack of one.
func tokenRefused(said string) bool {
	return said == "permission denied" || strings.Contains(said, "invalid token") || strings.Contains(said, "missing client token")
}

func (s *Session) noMount() error {
	namespace := ""
	if s.Namespace != "" {
		namespace = "-namespace=" + text.ShellQuote(s.Namespace) + " "
	}
	return fmt.Errorf("%w: create it with `vault auth enable %s-path=%s jwt`", ErrNoMount, namespace, text.ShellQuote(s.Path))
}

// Transient reports whether the same request may succeed a moment later. Connections that
// broke are: whether a write got through isn't known, so the mount is read again.
func Transient(err error) bool {
	var response *api.ResponseError
	if !errors.As(err, &response) {
		return !errors.Is(err, ErrHeld)
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

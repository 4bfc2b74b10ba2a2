package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/nethint"
	"github.com/jwksharvest/harvest/internal/text"
)

// Paths of well-known documents.
const (
	pathKeys      = "/.well-known/jwks.json"
	pathDiscovery = "/.well-known/openid-configuration"
	pathRegions   = "/v1/regions"

	pathKubernetesKeys = "/openid/v1/jwks"
)

// StatusError is a reply with a status other than 200.
type StatusError struct {
	URL        string // without user information
	StatusCode int
	Body       string // at most 256 bytes, cleaned for printing; may be ""

	hint string
}

// Error implements error.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("GET %s: %d %s", e.URL, e.StatusCode, http.StatusText(e.StatusCode))
	if e.Body != "" {
		text += ": " + e.Body
	}
	return withHint(text, e.hint)
}

// requestError is a request that failed, or whose reply isn't used.
type requestError struct {
	url   string
	err   error
	hint  string
	given nethint.Given
	hide  func(string) string // nil: no token was sent
}

// Error implements error. Errors of TLS and HTTP quote the other side, hence the cleaning,
// and a proxy's address with its password.
func (e *requestError) Error() string {
	said := userInformation().ReplaceAllString(e.err.Error(), "//…@")
	if e.hide != nil {
		said = e.hide(said)
	}
	return withHint("GET "+e.url+": "+text.Line(said, 4*maxExcerpt), e.hint)
}

// userInformation is what stands before the host of a URL.
var userInformation = text.Pattern(`//[^/\s"]*@`)

func (e *requestError) Unwrap() error { return e.err }

// Is reports true for ErrUnreachable where it is one.
func (e *requestError) Is(target error) bool {
	return target == ErrUnreachable && nethint.IsUnreachable(e.err)
}

// GivenCA reports whether the client has CA certificates of its own.
func (e *requestError) GivenCA() bool { return e.given.Roots }

func withHint(text, hint string) string {
	if hint == "" {
		return text
	}
	return text + " (" + hint + ")"
}

// withoutURL returns the cause of an error of net/http, which repeats the URL.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// whyEnded returns the caller's context error where the caller ended the fetch, the time
// limit where that did, and err otherwise.
func whyEnded(ctx, limited context.Context, limit time.Duration, err error) error {
	// A dialer may notice the deadline before the context does.
	deadline, ok := ctx.Deadline()
	late := ok && !time.Now().Before(deadline)
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case late && !errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	case limited.Err() != nil && !late:
		return fmt.Errorf("no complete reply within %v: %w", limit, context.DeadlineExceeded)
	}
	return err
}

// describe names the URL and, where one can tell, what to do next.
func describe(u *url.URL, given nethint.Given, err error) error {
	if _, ok := errors.AsType[*StatusError](err); ok { // names the URL already
		return err
	}
	return &requestError{url: shownAddress(u.String()), err: err, hint: networkHint(u, given, err), given: given}
}

func statusHint(u *url.URL, e *StatusError, authorized bool) string {
	isKeys := strings.HasSuffix(u.Path, pathKeys)
	switch {
	case strings.Contains(e.Body, "No path to region"):
		return "the cluster knows no such region, or no server of it is alive"
	case e.StatusCode == http.StatusBadRequest && strings.Contains(e.Body, "HTTP request to an HTTPS server"):
		return "use https://"
	case e.StatusCode == http.StatusUnauthorized, e.StatusCode == http.StatusForbidden:
		return loginHint(u, e, authorized)
	case e.StatusCode == http.StatusNotAcceptable:
		return "the server has the document in no form that was asked for, though any will do: look at the server's settings"
	case e.StatusCode == http.StatusNotFound && isKeys:
		return "Nomad publishes its keys since 1.7: is this a Nomad agent, and new enough?"
	case e.StatusCode == http.StatusNotFound && strings.HasSuffix(u.Path, pathDiscovery):
		return "Nomad serves discovery only where oidc_issuer is set; without, use its address instead of an issuer"
	case e.StatusCode == http.StatusNotFound && strings.HasSuffix(u.Path, pathRegions):
		return "is this a Nomad agent?"
	case e.StatusCode == http.StatusTooManyRequests:
		return "the server limits requests: ask less often"
	case e.StatusCode == http.StatusBadGateway, e.StatusCode == http.StatusServiceUnavailable, e.StatusCode == http.StatusGatewayTimeout:
		return "a proxy or load balancer finds no healthy server behind it"
	case e.StatusCode == http.StatusInternalServerError && strings.Contains(e.Body, "No cluster leader"):
		return "the cluster has no leader at the moment"
	}
	return ""
}

// loginHint is what to do where a login is wanted. Kubernetes serves its keys to its service
// accounts alone, as long as nobody lets others read them.
func loginHint(u *url.URL, e *StatusError, authorized bool) string {
	isNomads := strings.HasSuffix(u.Path, pathKeys) || strings.HasSuffix(u.Path, pathRegions)
	isKubernetes := strings.HasSuffix(u.Path, pathKubernetesKeys) ||
		strings.Contains(strings.ReplaceAll(e.Body, " ", ""), `"kind":"Status"`) && strings.Contains(e.Body, "apiVersion")
	const file = "read it as a Kubernetes cluster (jwks.Kubernetes), which sends one over verified TLS, " +
		"or give the key set as a file that holds what kubectl get --raw " + pathKubernetesKeys + " prints"
	switch {
	case authorized && e.StatusCode == http.StatusUnauthorized:
		return "the token that was sent isn't taken: it has expired, is for another audience, or is of another issuer"
	case authorized:
		return "the token that was sent is taken, and may not read this: give whom it is for the right to"
	case isKubernetes && e.StatusCode == http.StatusUnauthorized:
		return "Kubernetes wants the token of a service account here, and none is sent: " + file
	case isKubernetes:
		return "Kubernetes wants the token of a service account here, and none is sent: " + file +
			", or bind the ClusterRole system:service-account-issuer-discovery to the group system:unauthenticated, which lets everybody read the public keys"
	case isNomads:
		return "this needs no token: look for a proxy in between, or a client certificate that is asked for"
	}
	return "the server wants a login, and none is sent: look for an address that is open, for a proxy in between, or for a client certificate that is asked for"
}

func networkHint(u *url.URL, given nethint.Given, err error) string {
	if _, ok := errors.AsType[*bodyError](err); ok { // the connection itself was fine
		return ""
	}
	return nethint.Of(u, given, err)
}

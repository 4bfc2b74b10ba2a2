package jwks

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/jwksharvest/harvest/internal/nethint"
	"github.com/jwksharvest/harvest/internal/text"
)

// parseAddress returns an http or https URL without user information. Its errors show
// nothing of an address that could hold a password.
func parseAddress(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return nil, errors.New("no address")
	case strings.HasPrefix(raw, "unix:"):
		return nil, errors.New("a unix:// address can't be fetched from: give the http:// or https:// address of an agent")
	case err != nil, u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("address %q doesn't start with https:// or http:// or isn't a URL", shownAddress(raw))
	case u.User != nil:
		return nil, fmt.Errorf("address %q holds a user name or password, which would end up in logs: key sets are read without", shownAddress(raw))
	case u.Hostname() == "":
		return nil, fmt.Errorf("address %q has no host", shownAddress(raw))
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// below returns the URL of a path below u.
func below(u *url.URL, path string) *url.URL {
	if u.Path == "" {
		u.Path = "/" // or the result is a relative path
	}
	return u.JoinPath(path)
}

// shownAddress returns an address fit for an error: printable, and without user information
// and the values of a query, which may be a signature that lets anyone who knows it read. The
// region of a Nomad stays.
func shownAddress(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Opaque == "" {
		u.User = nil
		if region := u.Query().Get("region"); u.RawQuery != "" && u.RawQuery != (url.Values{"region": {region}}).Encode() {
			u.RawQuery = "…"
		}
		return text.Line(u.String(), 2*maxExcerpt)
	}
	if at := strings.LastIndex(raw, "@"); at >= 0 {
		raw = "…" + raw[at:]
	}
	return text.Line(raw, 2*maxExcerpt)
}

// sameOrigin compares scheme, host and port (RFC 6454 section 5).
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// refuseUnauthenticated returns an error that wraps ErrPlaintext where nothing proves that
// the other side is who the URL names.
func refuseUnauthenticated(u *url.URL, client *http.Client) error {
	if nethint.IsPlaintextURL(u) {
		return fmt.Errorf("%w: plain HTTP to another machine lets anyone on the path choose the keys; use https, or allow plaintext for this cluster", ErrPlaintext)
	}
	if u.Scheme != "https" {
		return nil
	}
	if t, ok := transportOf(client).(*http.Transport); ok && skipsVerification(t.TLSClientConfig) {
		return fmt.Errorf("%w: certificate verification is switched off; give the CA certificate, or allow plaintext for this cluster", ErrPlaintext)
	}
	return nil
}

func skipsVerification(config *tls.Config) bool {
	return config != nil && config.InsecureSkipVerify
}

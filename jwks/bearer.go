package jwks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/jwksharvest/harvest/internal/redact"
	"github.com/jwksharvest/harvest/internal/text"
)

// ErrTokenNotSent: the request isn't made, because nothing proves who would get Client.Token, or
// because there is no token to send.
var ErrTokenNotSent = errors.New("the token is not sent")

// maxBearer is how long a bearer token may be; servers take less.
const maxBearer = 16 << 10

// TokenFile returns a Token for a [Client] that reads a file each time. So the file may be replaced
// at any time, as Kubernetes does with a service account's token. White space around the token is
// dropped. No error shows what the file holds.
func TokenFile(name string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		data, err := readFile(ctx, name)
		if err != nil {
			return "", fmt.Errorf("token file: %w", err)
		}
		token := strings.TrimSpace(string(data))
		if err := checkBearer(token); err != nil {
			return "", fmt.Errorf("token file %s: %w", text.Line(name, 2*maxExcerpt), err)
		}
		return token, nil
	}
}

// checkBearer refuses what is no bearer token (RFC 6750 section 2.1) without showing it.
func checkBearer(token string) error {
	switch {
	case token == "":
		return errors.New("empty")
	case len(token) > maxBearer:
		return fmt.Errorf("larger than %d bytes, which no token is", maxBearer)
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return errors.New("holds more than a token: one line of printable ASCII without spaces is wanted")
		}
	}
	return nil
}

// authorize sets the header of a request, and returns the token that it sets.
func (c *Client) authorize(request *http.Request) (string, error) {
	if c.Token == nil {
		return "", nil
	}
	token, err := c.Token(request.Context())
	if err == nil {
		err = checkBearer(token)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrTokenNotSent, err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	return token, nil
}

// refuseExposing returns an error where somebody else than the server that the URL names could get
// the token.
func refuseExposing(u *url.URL, client *http.Client) error {
	if u.Scheme != "https" {
		return fmt.Errorf("%w: without TLS, anyone on the path could take it; use https", ErrTokenNotSent)
	}
	t, ok := transportOf(client).(*http.Transport)
	switch {
	case !ok, t.DialTLSContext != nil, t.DialTLS != nil: //nolint:staticcheck // deprecated, and used all the same
		return fmt.Errorf("%w: the transport doesn't show whether it verifies the server; give an *http.Transport without DialTLS", ErrTokenNotSent)
	case skipsVerification(t.TLSClientConfig):
		return fmt.Errorf("%w: certificate verification is switched off; give the CA certificate", ErrTokenNotSent)
	}
	return nil
}

func transportOf(client *http.Client) http.RoundTripper {
	if client.Transport == nil {
		return http.DefaultTransport
	}
	return client.Transport
}

// refuseUnverified returns an error that wraps ErrPlaintext where a reply to an https request came
// over a connection whose server wasn't verified, which not every transport shows beforehand.
func refuseUnverified(state *tls.ConnectionState) error {
	if state == nil || len(state.VerifiedChains) == 0 {
		return fmt.Errorf("%w: the transport doesn't show that it verified the server's certificate; have it verify, and keep Response.TLS, "+
			"or allow plaintext for this cluster", ErrPlaintext)
	}
	return nil
}

// hiding returns what takes a token out of a text, in which a server may repeat it.
func hiding(token string) func(string) string {
	if token == "" {
		return func(s string) string { return s }
	}
	return func(s string) string { return redact.Text(s, token) }
}

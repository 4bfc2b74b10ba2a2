package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/go-jose/go-jose/v4/json"
)

// Issuer is an OIDC issuer, its keys found by discovery (OpenID Connect Discovery 1.0,
// section 4). The document must name the same issuer and a jwks_uri of the same origin.
type Issuer struct {
	Issuer string  // exactly as the tokens name it
	Client *Client // nil is the zero Client
}

var _ Source = Issuer{}

// RegionName returns "".
func (Issuer) RegionName() string { return "" }

// String returns the first request as errors and logs name it.
func (i Issuer) String() string {
	u, err := i.discovery()
	if err != nil {
		return "GET " + shownAddress(i.Issuer)
	}
	return "GET " + shownAddress(u.String())
}

// Fetch reads the discovery document and then the keys, each with the bounds and errors of
// [Client.Fetch]. It refuses a document that names another issuer, even one that differs by
// a slash (OpenID Connect Discovery 1.0, section 4.3), and a jwks_uri of another scheme,
// host or port: who can change the document could otherwise send for keys anywhere.
func (i Issuer) Fetch(ctx context.Context) (*Set, error) {
	keys, err := i.discover(ctx)
	if err != nil {
		return nil, err
	}
	return i.Client.orZero().fetchSet(ctx, keys)
}

// discover asks for the jwks_uri.
func (i Issuer) discover(ctx context.Context) (*url.URL, error) {
	u, err := i.discovery()
	if err != nil {
		return nil, err
	}
	reply, err := i.Client.orZero().get(ctx, u, acceptJSON)
	if err != nil {
		return nil, err
	}
	keys, err := i.keysURL(u, reply.body)
	if err != nil {
		return nil, &requestError{url: shownAddress(u.String()), err: err}
	}
	return keys, nil
}

// discovery returns the URL of the discovery document.
func (i Issuer) discovery() (*url.URL, error) {
	u, err := parseAddress(i.Issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, fmt.Errorf("issuer %q has a query, which no issuer may have", shownAddress(i.Issuer))
	}
	return below(u, pathDiscovery), nil
}

// keysURL returns the jwks_uri of a discovery document that was read from u.
func (i Issuer) keysURL(u *url.URL, document []byte) (*url.URL, error) {
	if what := notJSON(document); what != "" {
		return nil, fmt.Errorf("not a discovery document: %s", what)
	}
	// Decoded by go-jose for the same reason as a key set: names count by case, and once.
	var metadata struct {
		Issuer  string `json:"issuer"`
		KeysURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(document, &metadata); err != nil {
		return nil, fmt.Errorf("not a discovery document: %w", err)
	}
	if metadata.Issuer != i.Issuer {
		return nil, fmt.Errorf("the document is for issuer %q, not %q: give the issuer exactly as it names itself, or look for a wrong address",
			printable(metadata.Issuer, maxExcerpt), printable(i.Issuer, maxExcerpt))
	}
	if metadata.KeysURI == "" {
		return nil, errors.New("the document names no jwks_uri")
	}
	keys, err := parseAddress(metadata.KeysURI)
	if err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	if !sameOrigin(u, keys) {
		return nil, fmt.Errorf("jwks_uri %s is of another origin: not followed; give it as the URL of a key set if it is the right one", shownAddress(metadata.KeysURI))
	}
	return keys, nil
}

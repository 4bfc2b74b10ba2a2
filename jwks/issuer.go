package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jwksharvest/harvest/internal/text"
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
	keys, err := i.discoverKeys(ctx)
	if err != nil {
		return nil, err
	}
	return i.Client.orZero().fetchSet(ctx, keys)
}

// discoverKeys asks for the jwks_uri.
func (i Issuer) discoverKeys(ctx context.Context) (*url.URL, error) {
	document, err := i.discover(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := document.keysURL()
	if err != nil {
		return nil, &requestError{url: shownAddress(document.from.String()), err: err}
	}
	return keys, nil
}

// discover reads the discovery document.
func (i Issuer) discover(ctx context.Context) (discoveryDocument, error) {
	u, err := i.discovery()
	if err != nil {
		return discoveryDocument{}, err
	}
	document, err := i.Client.orZero().discovery(ctx, u)
	if err != nil {
		return discoveryDocument{}, err
	}
	if document.issuer != i.Issuer {
		return discoveryDocument{}, &requestError{url: shownAddress(u.String()), err: fmt.Errorf(
			"the document is for issuer %q, not %q: give the issuer exactly as it names itself, or look for a wrong address",
			text.Line(document.issuer, maxExcerpt), text.Line(i.Issuer, maxExcerpt))}
	}
	return document, nil
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

// keysURL returns where the keys are, which must be where the document is.
func (d discoveryDocument) keysURL() (*url.URL, error) {
	if d.keysURI == "" {
		return nil, errors.New("the document names no jwks_uri")
	}
	keys, err := parseAddress(d.keysURI)
	if err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	if !sameOrigin(d.from, keys) {
		return nil, fmt.Errorf("jwks_uri %s is of another origin: not followed; give it as the URL of a key set if it is the right one", shownAddress(d.keysURI))
	}
	return keys, nil
}

package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jwksharvest/harvest/internal/text"
)

// Issuer returns a source of the keys of an OIDC issuer, written exactly as its tokens name it.
// Discovery finds the keys (OpenID Connect Discovery 1.0, section 4). A document that names another
// issuer is refused, even if it differs only by a slash (section 4.3). So is a jwks_uri of another
// scheme, host or port: anyone who can change the document could otherwise have keys fetched from
// anywhere. Both are fetched with c; nil is the zero Client. The source is a [Poller] and a
// [Discoverer].
func Issuer(issuer string, c *Client) Source { return issuerSource{issuer, c} }

type issuerSource struct {
	issuer string
	client *Client
}

// RegionName returns "".
func (issuerSource) RegionName() string { return "" }

// String returns the first request as errors and logs name it.
func (i issuerSource) String() string {
	u, err := i.discovery()
	if err != nil {
		return "GET " + shownAddress(i.issuer)
	}
	return "GET " + shownAddress(u.String())
}

// Fetch reads the discovery document and then the keys.
func (i issuerSource) Fetch(ctx context.Context) (*Set, error) {
	keys, err := i.discoverKeys(ctx)
	if err != nil {
		return nil, err
	}
	return unindexed(i.client.orZero().fetchSet(ctx, keys))
}

// Poll is Fetch for a watch. The discovery document is read again each time.
func (i issuerSource) Poll(ctx context.Context, q Query) (Answer, error) {
	keys, err := i.discoverKeys(ctx)
	if err != nil {
		return Answer{}, err
	}
	return i.client.orZero().poll(ctx, keys, q)
}

// discoverKeys asks for the jwks_uri.
func (i issuerSource) discoverKeys(ctx context.Context) (*url.URL, error) {
	document, err := i.discover(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := document.keysURL()
	if err != nil {
		return nil, document.reply.refuse(document.from, err)
	}
	return keys, nil
}

// discover reads the discovery document.
func (i issuerSource) discover(ctx context.Context) (discoveryDocument, error) {
	u, err := i.discovery()
	if err != nil {
		return discoveryDocument{}, err
	}
	document, err := i.client.orZero().discovery(ctx, u)
	if err != nil {
		return discoveryDocument{}, err
	}
	if document.issuer != i.issuer {
		return discoveryDocument{}, document.reply.refuse(u, i.otherIssuer(document))
	}
	return document, nil
}

// Check refuses an issuer that can't be asked.
func (i issuerSource) Check() error {
	_, err := i.discovery()
	return err
}

// discovery returns the URL of the discovery document.
func (i issuerSource) discovery() (*url.URL, error) {
	u, err := parseAddress(i.issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, fmt.Errorf("issuer %q has a query, which no issuer may have", shownAddress(i.issuer))
	}
	return below(u, pathDiscovery), nil
}

// otherIssuer refuses a document that names another issuer, and tells what to give instead: that
// name where it can be asked, and else the address of the keys. Vault as a provider without an
// api_addr names itself by a path; behind a proxy many name an address that only they can reach.
func (i issuerSource) otherIssuer(d discoveryDocument) error {
	what := fmt.Sprintf("the document is for issuer %q, not %q", text.Line(d.issuer, maxExcerpt), text.Line(i.issuer, maxExcerpt))
	named, err := parseAddress(d.issuer)
	keys := d.keysHere()
	switch {
	case err == nil && (keys == nil || sameOrigin(d.from, named)):
		return fmt.Errorf("%s: give the issuer exactly as it names itself, or look for a wrong address", what)
	case err == nil:
		return fmt.Errorf("%s: give the issuer exactly as it names itself; if only this address can be reached, "+
			"give the URL of its key set instead, %s, and look for a wrong address first", what, shownAddress(keys.String()))
	case keys == nil:
		return fmt.Errorf("%s, and that is no address to ask: set the issuer's public address, or look for a wrong one here", what)
	}
	return fmt.Errorf("%s, and that is no address to ask: give the URL of its key set instead, %s; its tokens say %q of themselves all the same",
		what, shownAddress(keys.String()), text.Line(d.issuer, maxExcerpt))
}

// keysHere returns the address of the keys at the origin of the document, however it is written:
// relative, or as plain HTTP because TLS ends at a proxy. It is nil where the document names none
// there. It is for errors to offer, and not asked.
func (d discoveryDocument) keysHere() *url.URL {
	named, err := url.Parse(d.keysURI)
	if err != nil || d.keysURI == "" || named.User != nil {
		return nil
	}
	keys := d.from.ResolveReference(named)
	keys.Fragment, keys.RawFragment = "", ""
	if d.losesTLS(keys) && strings.EqualFold(keys.Hostname(), d.from.Hostname()) {
		keys.Scheme, keys.Host = d.from.Scheme, d.from.Host
	}
	if !sameOrigin(d.from, keys) {
		return nil
	}
	return keys
}

// losesTLS reports whether the document came by TLS and the keys would not.
func (d discoveryDocument) losesTLS(keys *url.URL) bool {
	return d.from.Scheme == "https" && keys.Scheme == "http"
}

// keysURL returns where the keys are, which must be where the document is.
func (d discoveryDocument) keysURL() (*url.URL, error) {
	if d.keysURI == "" {
		return nil, errors.New("the document names no jwks_uri")
	}
	keys, err := parseAddress(d.keysURI)
	here := d.keysHere()
	switch {
	case err != nil && here != nil:
		return nil, fmt.Errorf("jwks_uri: %w: give %s as the URL of a key set", err, shownAddress(here.String()))
	case err != nil:
		return nil, fmt.Errorf("jwks_uri: %w", err)
	case sameOrigin(d.from, keys):
		return keys, nil
	case d.losesTLS(keys) && here != nil:
		return nil, fmt.Errorf("jwks_uri %s is of another origin: plain HTTP, though the issuer is https; not followed. The issuer doesn't know that a proxy ends TLS before it: "+
			"have it name its public address (X-Forwarded-Proto, or a setting of its own), or give %s as the URL of a key set", shownAddress(d.keysURI), shownAddress(here.String()))
	case d.losesTLS(keys):
		return nil, fmt.Errorf("jwks_uri %s is of another origin, and plain HTTP, where anyone on the path chooses the keys: not followed; have the issuer name an https address", shownAddress(d.keysURI))
	}
	return nil, fmt.Errorf("jwks_uri %s is of another origin: not followed; give it as the URL of a key set if it is the right one", shownAddress(d.keysURI))
}

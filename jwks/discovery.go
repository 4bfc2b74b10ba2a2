package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/jwksharvest/harvest/internal/text"
)

// Bounds on what a discovery document may say.
const (
	maxIssuer     = 2048
	maxAlgorithms = 64
	maxAlgorithm  = 16 // the name of one
)

// Discoverer is a Source that knows about the tokens that its keys sign. It is optional.
type Discoverer interface {
	Discover(ctx context.Context) (Metadata, error)
}

// Metadata describes the tokens of a source, as a discovery document does (OpenID Connect Discovery
// 1.0, section 3) or as the operator knows them.
type Metadata struct {
	// Issuer is the "iss" of the tokens: printable, and 2,048 bytes at most. "" for a Nomad without
	// oidc_issuer, which has no such document and puts no "iss" into its tokens.
	Issuer string
	// AccessTokenIssuer is the "iss" of access tokens if that is another (access_token_issuer of
	// ADFS), with the same bounds; else "".
	AccessTokenIssuer string
	// Algorithms are those that tokens may be signed with, as the document names them
	// (id_token_signing_alg_values_supported), each once, 64 at most.
	Algorithms []string
	// Nomad reports whether the tokens are a Nomad's.
	Nomad bool
	// Region is Nomad's name of the region, which begins the "sub" of its tokens. It is "" if it
	// isn't known: for a source that isn't Nomad, and for an agent's own region if several regions
	// publish the same keys.
	Region string
}

// Discover returns what the region says about its tokens. Nomad has a discovery document only if
// oidc_issuer is set. Without one the Metadata has no Issuer, and that is no error. Bounds and
// errors are otherwise those of [Client]; Nomad is true even beside an error. The document's
// jwks_uri isn't used: the keys are fetched from Address. Source: Nomad, operator keyring API.
func (n Nomad) Discover(ctx context.Context) (Metadata, error) {
	m, err := n.metadata(ctx)
	if err != nil {
		return Metadata{Nomad: true}, err
	}
	m.Nomad, m.Region = true, n.name(ctx)
	return m, nil
}

// metadata returns what the discovery document of a region says, if there is one.
func (n Nomad) metadata(ctx context.Context) (Metadata, error) {
	u, err := n.endpoint(pathDiscovery, n.Region)
	if err != nil {
		return Metadata{}, err
	}
	document, err := n.Client.orZero().discovery(ctx, u)
	if status, ok := errors.AsType[*StatusError](err); ok && status.StatusCode == http.StatusNotFound {
		return Metadata{}, nil
	}
	if err != nil {
		return Metadata{}, err
	}
	return document.metadata()
}

// Discover returns what the issuer says of its tokens.
func (i issuerSource) Discover(ctx context.Context) (Metadata, error) {
	document, err := i.discover(ctx)
	if err != nil {
		return Metadata{}, err
	}
	return document.metadata()
}

// discoveryDocument is what counts of one, as it was read from a URL.
type discoveryDocument struct {
	issuer, keysURI string
	from            *url.URL
	// As they stand there: keys are fetched whatever they are.
	accessTokenIssuer, algorithms json.RawMessage
	reply                         *reply
}

// discovery reads the document at u.
func (c *Client) discovery(ctx context.Context, u *url.URL) (discoveryDocument, error) {
	reply, err := c.get(ctx, u, acceptJSON)
	if err != nil {
		return discoveryDocument{}, err
	}
	document, err := parseDiscovery(reply.body)
	if err != nil {
		return discoveryDocument{}, reply.refuse(u, err)
	}
	document.from, document.reply = u, reply
	return document, nil
}

// parseDiscovery reads a document, and checks nothing of what it says.
func parseDiscovery(data []byte) (discoveryDocument, error) {
	data = withoutMark(data)
	if what := notJSON(data); what != "" {
		return discoveryDocument{}, fmt.Errorf("not a discovery document: %s", what)
	}
	// Decoded by go-jose for the same reason as a key set: names count by case, and once.
	var d struct {
		Issuer            string          `json:"issuer"`
		KeysURI           string          `json:"jwks_uri"`
		AccessTokenIssuer json.RawMessage `json:"access_token_issuer"`
		Algorithms        json.RawMessage `json:"id_token_signing_alg_values_supported"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return discoveryDocument{}, fmt.Errorf("not a discovery document: %w", err)
	}
	return discoveryDocument{issuer: d.Issuer, keysURI: d.KeysURI, accessTokenIssuer: d.AccessTokenIssuer, algorithms: d.Algorithms}, nil
}

// metadata returns what the document says, and refuses what can't be shown or counted on.
func (d discoveryDocument) metadata() (Metadata, error) {
	m := Metadata{Issuer: d.issuer}
	var err error
	if len(d.accessTokenIssuer) > 0 {
		if err = json.Unmarshal(d.accessTokenIssuer, &m.AccessTokenIssuer); err != nil {
			err = fmt.Errorf("access_token_issuer is no text: %w", err)
		}
	}
	if err == nil && len(d.algorithms) > 0 {
		if err = json.Unmarshal(d.algorithms, &m.Algorithms); err != nil {
			err = fmt.Errorf("id_token_signing_alg_values_supported is no list of names: %w", err)
		}
	}
	if err == nil {
		slices.Sort(m.Algorithms)
		m.Algorithms = slices.Compact(m.Algorithms)
		err = m.check()
	}
	if err != nil {
		return Metadata{}, d.reply.refuse(d.from, err)
	}
	return m, nil
}

func (m Metadata) check() error {
	switch {
	case m.Issuer == "":
		return errors.New("the discovery document names no issuer")
	case max(len(m.Issuer), len(m.AccessTokenIssuer)) > maxIssuer:
		return fmt.Errorf("%w: an issuer of %d bytes, over %d", ErrTooLarge, max(len(m.Issuer), len(m.AccessTokenIssuer)), maxIssuer)
	case !text.IsPrintable(m.Issuer + m.AccessTokenIssuer):
		return fmt.Errorf("issuer %q has characters that can't be shown", text.Line(m.Issuer+m.AccessTokenIssuer, maxExcerpt))
	case len(m.Algorithms) > maxAlgorithms:
		return fmt.Errorf("%w: %d algorithms, over %d", ErrTooLarge, len(m.Algorithms), maxAlgorithms)
	}
	for _, alg := range m.Algorithms {
		if len(alg) > maxAlgorithm || !text.IsPrintable(alg) {
			return fmt.Errorf("%q is the name of no algorithm", text.Line(alg, maxAlgorithm))
		}
	}
	return nil
}

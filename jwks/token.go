package jwks

import (
	"bytes"
	"crypto"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

// MaxToken is the size of a token in bytes, the white space around it included.
const MaxToken = 64 << 10

// ErrToken: not a JSON Web Token that an asymmetric key may have signed. Wrapped with the
// detail, in which no byte of the token stands but for what its header calls itself.
var ErrToken = errors.New("not a signed JSON Web Token")

// tokenAlgorithms are the "alg" values that Vault takes (RFC 7518 section 3.1, RFC 8037).
var tokenAlgorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512,
	jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
}

// Token is a JSON Web Token of which nothing is verified yet: anybody may have written it.
// Its values are as they were sent, and not fit for a terminal.
//
// However it is printed, logged or marshalled, a Token shows its kid and alg alone: whoever
// reads the rest can log in with it.
type Token struct {
	KeyID     string // "kid" of the header; "" where there is none
	Algorithm string // "alg" of the header: RS, PS or ES with 256, 384 or 512, or EdDSA

	Issuer, Subject string   // "iss" and "sub"; "" where there are none
	Audience        []string // "aud"; of a single string, that one

	// Expiry, NotBefore and IssuedAt are "exp", "nbf" and "iat" in whole seconds; zero
	// where they are absent or 0.
	Expiry, NotBefore, IssuedAt time.Time

	// Claims are all claims, numbers as float64. It must not be changed.
	Claims map[string]any

	signed *jose.JSONWebSignature
}

// ParseToken reads a JSON Web Token in the compact serialization (RFC 7519, RFC 7515 section
// 7.1), white space around it allowed, and verifies nothing. The error wraps ErrTooLarge, for
// more than MaxToken bytes, or ErrToken: another serialization, an encrypted token, an
// algorithm other than those of [Token], claims that are no JSON object with each name once,
// or registered claims of a wrong type.
//
// "exp" and its like are found as Vault finds them, whatever the case of their letters.
func ParseToken(data []byte) (*Token, error) {
	if len(data) > MaxToken {
		return nil, fmt.Errorf("token: %w: over %d bytes", ErrTooLarge, MaxToken)
	}
	text := string(bytes.TrimSpace(data))
	if what := notCompact(text); what != "" {
		return nil, fmt.Errorf("%w: %s", ErrToken, what)
	}
	alg, err := headerAlgorithm(text[:strings.IndexByte(text, '.')])
	if err != nil {
		return nil, err
	}
	// What go-jose says may quote the token, so it isn't passed on.
	signed, err := jose.ParseSignedCompact(text, tokenAlgorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, fmt.Errorf("%w: alg %s, but the parts of the token can't be read; was it cut off or changed?", ErrToken, alg)
	}
	t := &Token{KeyID: signed.Signatures[0].Header.KeyID, Algorithm: alg, signed: signed}
	if err := t.readClaims(signed.UnsafePayloadWithoutVerification()); err != nil {
		return nil, err
	}
	return t, nil
}

// notCompact says what text is when it is plainly no compact JWS, and "" otherwise.
func notCompact(text string) string {
	switch dots := strings.Count(text, "."); {
	case text == "":
		return "it is empty"
	case text[0] == '{':
		return "JSON; a token for Vault is in the compact form, three parts with dots between them"
	case strings.HasPrefix(text, "hvs.") || strings.HasPrefix(text, "s."):
		return "a Vault token; what is looked at here is the JWT that a workload logs in with"
	case strings.ContainsAny(text, " \t\r\n"):
		return "several words; a token is one"
	case dots == 4:
		return "an encrypted token (JWE), which Vault's JWT method doesn't take"
	case dots != 2:
		return fmt.Sprintf("%d parts between dots, and a JWT has 3", dots+1)
	case strings.HasSuffix(text, "."):
		return "the signature is missing"
	}
	return ""
}

// headerAlgorithm returns the "alg" of an encoded header, or why it is refused.
func headerAlgorithm(encoded string) (string, error) {
	var header struct {
		Algorithm string `json:"alg"`
	}
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(b, &header)
	}
	if err != nil {
		return "", fmt.Errorf("%w: the header can't be read", ErrToken)
	}
	alg := header.Algorithm
	switch {
	case slices.Contains(tokenAlgorithms, jose.SignatureAlgorithm(alg)):
		return alg, nil
	case alg == "":
		return "", fmt.Errorf(`%w: the header has no "alg"`, ErrToken)
	case strings.EqualFold(alg, "none"):
		return "", fmt.Errorf(`%w: its alg is "none": nobody signed it, and Vault refuses it`, ErrToken)
	case strings.HasPrefix(alg, "HS"):
		return "", fmt.Errorf("%w: alg %q is made with a shared secret, which no public key verifies", ErrToken, printable(alg, maxShownAlgorithm))
	}
	return "", fmt.Errorf("%w: alg %q is none that Vault takes", ErrToken, printable(alg, maxShownAlgorithm))
}

// maxShownAlgorithm is how many bytes of an unknown "alg" are shown.
const maxShownAlgorithm = 16

// readClaims fills in the claims, as github.com/hashicorp/cap's Validator reads them: all by
// go-jose, and the registered ones of what came out by the standard library.
func (t *Token) readClaims(payload []byte) error {
	if err := json.Unmarshal(payload, &t.Claims); err != nil || t.Claims == nil {
		return fmt.Errorf("%w: the claims are not one JSON object with each name once", ErrToken)
	}
	all, err := stdjson.Marshal(t.Claims)
	var registered jwt.Claims
	if err == nil {
		err = stdjson.Unmarshal(all, &registered)
	}
	if err != nil {
		return fmt.Errorf("%w: one of iss, sub, aud, exp, nbf, iat and jti is of a wrong type", ErrToken)
	}
	t.Issuer, t.Subject, t.Audience = registered.Issuer, registered.Subject, registered.Audience
	t.Expiry, t.NotBefore, t.IssuedAt = moment(registered.Expiry), moment(registered.NotBefore), moment(registered.IssuedAt)
	return nil
}

func moment(d *jwt.NumericDate) time.Time {
	if d == nil || *d == 0 {
		return time.Time{}
	}
	return d.Time()
}

// VerifiedBy reports whether the private half of a key signed the token. The key's own
// "kid" and "alg" mean nothing, as they mean nothing to Vault.
func (t *Token) VerifiedBy(public crypto.PublicKey) bool {
	_, err := t.signed.Verify(public)
	return err == nil
}

// String returns the kid and alg, cleaned for printing, and nothing else of the token.
func (t Token) String() string {
	return fmt.Sprintf("token(kid %q, alg %s)", printable(t.KeyID, maxShownKeyID), t.Algorithm)
}

// GoString implements fmt.GoStringer as String does.
func (t Token) GoString() string { return t.String() }

// Format implements fmt.Formatter: every verb prints what String returns.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue implements slog.LogValuer.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText makes encoders write what String returns.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

package verify

import (
	"crypto"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
)

// maxToken is the size of a token in bytes, the white space around it included.
const maxToken = 64 << 10

// errToken: not a JSON Web Token that Vault takes and an asymmetric key may have signed. Wrapped
// with the detail, in which no byte of the token stands but for what its header calls itself.
var errToken = errors.New("not a signed JSON Web Token")

// tokenAlgorithms are the "alg" values that Vault takes (RFC 7518 section 3.1, RFC 8037).
var tokenAlgorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512,
	jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
}

// Token is a JSON Web Token of which nothing is verified yet: anybody may have written it.
// Its values are as they were sent, and not fit for a terminal.
//
// However it is printed, logged or marshalled, a Token shows its kid and alg alone: anyone who
// reads the rest can log in with it.
type Token struct {
	KeyID     string // "kid" of the header; "" where there is none
	Algorithm string // "alg" of the header: RS, PS or ES with 256, 384 or 512, or EdDSA

	Issuer, Subject string   // "iss" and "sub"; "" where there are none
	Audience        []string // "aud"; of a single string, that one

	// Expiry, NotBefore and IssuedAt are "exp", "nbf" and "iat" in whole seconds; zero
	// where they are absent or 0. A number beyond 64 bits is the time that Vault takes it
	// for, far in the past.
	Expiry, NotBefore, IssuedAt time.Time

	// Nonce reports whether the header has a nonce, as those that Microsoft signs for itself have.
	Nonce bool

	// Form names what the token has that the compact serialization hasn't, and that Vault
	// 1.21 takes all the same: "white space inside it", "padding" or "the JSON
	// serialization". "" is a token in the compact serialization.
	Form string

	// Claims are all claims, numbers as float64. It must not be changed.
	Claims map[string]any

	signed *jose.JSONWebSignature
}

// parseToken reads a JSON Web Token (RFC 7519) and verifies nothing. It takes the forms that
// Vault takes: the compact serialization (RFC 7515 section 7.1), white space anywhere in it
// and padding at the end of its parts, and the JSON serialization with one signature
// (section 7.2): see [Token.Form]. The error wraps [jwks.ErrTooLarge], for more than
// maxToken bytes, or errToken: an encrypted token, an algorithm other than those of [Token], claims
// that are no JSON object with each name once, or registered claims of a wrong type.
//
// "exp" and its like are found as Vault finds them, whatever the case of their letters.
func parseToken(data []byte) (*Token, error) {
	if len(data) > maxToken {
		return nil, fmt.Errorf("token: %w: over %d bytes", jwks.ErrTooLarge, maxToken)
	}
	trimmed := strings.TrimSpace(string(data))
	joined := strings.Join(strings.Fields(trimmed), "")
	t := &Token{}
	if joined != trimmed {
		t.Form = "white space inside it"
	}
	var err error
	if strings.HasPrefix(joined, "{") {
		t.Form = "the JSON serialization"
		t.signed, err = parseJSONToken(joined)
	} else if what := notCompact(joined, t.Form != ""); what != "" {
		err = fmt.Errorf("%w: %s", errToken, what)
	} else {
		unpadded := withoutPadding(joined)
		if unpadded != joined {
			t.Form = "padding"
		}
		t.signed, err = parseCompactToken(unpadded)
	}
	if err != nil {
		return nil, err
	}
	header := t.signed.Signatures[0].Header
	if name := criticalExtension(t.signed.Signatures[0]); name != "" {
		return nil, fmt.Errorf("%w: its header has the extension %q, which must be understood (crit), and Vault doesn't know it: have the issuer leave it out",
			errToken, text.Line(name, maxShownAlgorithm))
	}
	t.KeyID, t.Algorithm, t.Nonce = header.KeyID, header.Algorithm, header.Nonce != ""
	if err := t.readClaims(t.signed.UnsafePayloadWithoutVerification()); err != nil {
		return nil, err
	}
	return t, nil
}

// notCompact says what text is when it is plainly no compact JWS, and "" otherwise.
func notCompact(text string, spaced bool) string {
	switch dots := strings.Count(text, "."); {
	case text == "":
		return "it is empty"
	case strings.HasPrefix(text, "hvs.") || strings.HasPrefix(text, "s."):
		return "a Vault token; what is looked at here is the JWT that a workload logs in with"
	case spaced && dots != 2:
		return "several words; a token is one"
	case dots == 4:
		return "an encrypted token (JWE), which Vault's JWT method doesn't take"
	case dots != 2:
		return fmt.Sprintf("%d parts between dots, and a JWT has 3", dots+1)
	case strings.HasSuffix(strings.TrimRight(text, "="), "."):
		return "the signature is missing"
	}
	return ""
}

// withoutPadding takes the = off the end of each part.
func withoutPadding(text string) string {
	parts := strings.Split(text, ".")
	for i, part := range parts {
		parts[i] = strings.TrimRight(part, "=")
	}
	return strings.Join(parts, ".")
}

// parseCompactToken reads three parts. What go-jose says may quote the token, so it isn't
// passed on.
func parseCompactToken(text string) (*jose.JSONWebSignature, error) {
	alg, err := headerAlgorithm(text[:strings.IndexByte(text, '.')])
	if err != nil {
		return nil, err
	}
	signed, err := jose.ParseSignedCompact(text, tokenAlgorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, fmt.Errorf("%w: alg %s, but the parts of the token can't be read; was it cut off or changed?", errToken, alg)
	}
	return signed, nil
}

// parseJSONToken reads the JSON serialization, flattened or general.
func parseJSONToken(text string) (*jose.JSONWebSignature, error) {
	type signature struct {
		Protected string         `json:"protected,omitempty"`
		Header    map[string]any `json:"header,omitempty"`
		Signature string         `json:"signature,omitempty"`
	}
	var document struct {
		signature
		Payload    *string     `json:"payload,omitempty"`
		Signatures []signature `json:"signatures,omitempty"`
	}
	unreadable := fmt.Errorf("%w: JSON, and no token in the JSON serialization that Vault takes: one payload, one signature, an asymmetric alg", errToken)
	if json.Unmarshal([]byte(text), &document) != nil || document.Payload == nil {
		return nil, unreadable
	}
	general := len(document.Signatures) > 0
	if !general {
		document.Signatures = []signature{document.signature}
	}
	for i := range document.Signatures {
		s := &document.Signatures[i]
		s.Protected, s.Signature = withoutPadding(s.Protected), withoutPadding(s.Signature)
		if _, critical := s.Header["crit"]; general && !critical {
			s.Header = nil // Vault doesn't look at it, not even for alg
		}
	}
	*document.Payload = withoutPadding(*document.Payload)
	document.signature = signature{}
	plain, err := stdjson.Marshal(document)
	if err != nil {
		return nil, unreadable
	}
	signed, err := jose.ParseSignedJSON(string(plain), tokenAlgorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, unreadable
	}
	return signed, nil
}

// headerAlgorithm returns the "alg" of an encoded header, or why it is refused.
func headerAlgorithm(encoded string) (string, error) {
	var header map[string]any
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(b, &header)
	}
	if err != nil || header == nil {
		return "", fmt.Errorf("%w: the header can't be read", errToken)
	}
	for _, name := range []string{"alg", "kid", "nonce"} {
		if _, isText := header[name].(string); !isText && header[name] != nil {
			return "", fmt.Errorf("%w: the %s of its header is %s, and Vault, which wants a text there, refuses every such token: "+
				"have the issuer write it as a text", errToken, name, kindOf(header[name]))
		}
	}
	switch alg, _ := header["alg"].(string); {
	case slices.Contains(tokenAlgorithms, jose.SignatureAlgorithm(alg)):
		return alg, nil
	case alg == "":
		return "", fmt.Errorf(`%w: the header has no "alg"`, errToken)
	case strings.EqualFold(alg, "none"):
		return "", fmt.Errorf(`%w: its alg is "none": nobody signed it, and Vault refuses it`, errToken)
	case strings.HasPrefix(alg, "HS"):
		return "", fmt.Errorf("%w: alg %q is made with a shared secret, which no public key verifies", errToken, text.Line(alg, maxShownAlgorithm))
	default:
		return "", fmt.Errorf("%w: alg %q is none that Vault takes", errToken, text.Line(alg, maxShownAlgorithm))
	}
}

// criticalExtension returns an extension that anyone who reads the token must understand (RFC 7515
// section 4.1.11), and that Vault's library refuses; "" where there is none. It knows "b64" alone,
// and nothing outside the protected header.
func criticalExtension(s jose.Signature) string {
	if outside, there := s.Unprotected.ExtraHeaders["crit"]; there {
		return fmt.Sprint(outside)
	}
	names, there := s.Protected.ExtraHeaders["crit"]
	if !there {
		return ""
	}
	list, ok := names.([]any)
	if !ok {
		return fmt.Sprint(names)
	}
	for _, name := range list {
		if name != "b64" {
			return fmt.Sprint(name)
		}
	}
	return ""
}

// kindOf returns what a value of JSON is called.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case bool:
		return "a boolean"
	case float64, stdjson.Number:
		return "a number"
	case []any:
		return "a list"
	case nil:
		return "null"
	}
	return "an object"
}

// maxShownAlgorithm is how many bytes of an unknown "alg" are shown.
const maxShownAlgorithm = 16

// readClaims fills in the claims, as github.com/hashicorp/cap's Validator reads them: all by
// go-jose, and the registered ones of what came out by the standard library.
func (t *Token) readClaims(payload []byte) error {
	if err := json.Unmarshal(payload, &t.Claims); err != nil || t.Claims == nil {
		return fmt.Errorf("%w: the claims are not one JSON object with each name once", errToken)
	}
	all, err := stdjson.Marshal(t.Claims)
	var registered struct {
		Issuer    string       `json:"iss"`
		Subject   string       `json:"sub"`
		ID        string       `json:"jti"`
		Audience  jwt.Audience `json:"aud"`
		Expiry    *seconds     `json:"exp"`
		NotBefore *seconds     `json:"nbf"`
		IssuedAt  *seconds     `json:"iat"`
	}
	if err == nil {
		err = stdjson.Unmarshal(all, &registered)
	}
	if err != nil {
		return fmt.Errorf("%w: one of iss, sub, aud, exp, nbf, iat and jti is of a wrong type", errToken)
	}
	t.Issuer, t.Subject, t.Audience = registered.Issuer, registered.Subject, registered.Audience
	t.Expiry, t.NotBefore, t.IssuedAt = moment(registered.Expiry), moment(registered.NotBefore), moment(registered.IssuedAt)
	return nil
}

// seconds is a NumericDate as Vault 1.21 reads it, absurd ones too. (Newer versions of
// go-jose refuse those; Vault 1.21 has an older one.)
type seconds int64

func (s *seconds) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return err
	}
	const beyond = 1 << 63
	if *s = math.MinInt64; f < beyond && f >= -beyond { // what amd64 makes of a number out of range
		*s = seconds(f)
	}
	return nil
}

// moment returns the time of s. Zero stands for none, so that the one second of the year 1
// that is the zero time is taken for the next.
func moment(s *seconds) time.Time {
	if s == nil || *s == 0 {
		return time.Time{}
	}
	t := time.Unix(int64(*s), 0)
	if t.IsZero() {
		t = t.Add(time.Second)
	}
	return t
}

// verifiedBy reports whether the private half of a key signed the token. The key's own
// "kid" and "alg" mean nothing, as they mean nothing to Vault.
func (t *Token) verifiedBy(public crypto.PublicKey) bool {
	_, err := t.signed.Verify(public)
	return err == nil
}

// String returns the kid and alg, cleaned for printing, and nothing else of the token.
func (t Token) String() string {
	return fmt.Sprintf("token(kid %q, alg %s)", text.KeyID(t.KeyID), t.Algorithm)
}

// GoString implements fmt.GoStringer as String does.
func (t Token) GoString() string { return t.String() }

// Format implements fmt.Formatter: every verb prints what String returns.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue implements slog.LogValuer.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText makes encoders write what String returns.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

package jwks

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// member is one member of "keys" as it is written, not judged yet.
type member struct {
	keyType, curve string
	kid, use, alg  string
	operations     []string // nil where there is no "key_ops"
	n, e, x, y     string   // base64url
}

// objection is why a member isn't used.
type objection struct {
	reason Reason
	detail string
}

// object returns an objection. What the remote wrote must be quoted through printable.
func object(reason Reason, format string, args ...any) *objection {
	return &objection{reason, fmt.Sprintf(format, args...)}
}

// decodeMember reads a member of "keys". The result is never nil, so that a member can be
// named as far as it could be read.
func decodeMember(raw json.RawMessage) (*member, *objection) {
	m := new(member)
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return m, object(ReasonMalformed, "not a JSON object")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return m, object(ReasonMalformed, "%s", printable(err.Error(), maxExcerpt))
	}
	for _, field := range []struct {
		name string
		into *string
	}{
		{"kid", &m.kid}, // first, so that later objections can name the key
		{"kty", &m.keyType},
		{"crv", &m.curve},
		{"use", &m.use},
		{"alg", &m.alg},
		{"n", &m.n},
		{"e", &m.e},
		{"x", &m.x},
		{"y", &m.y},
	} {
		value, ok := fields[field.name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(value, field.into); err != nil {
			return m, object(ReasonMalformed, "%q is not a string", field.name)
		}
	}
	if value, ok := fields["key_ops"]; ok {
		if err := json.Unmarshal(value, &m.operations); err != nil {
			return m, object(ReasonMalformed, `"key_ops" is not an array of strings`)
		}
	}
	return m, nil
}

// octets decodes a member that holds bytes in base64url (RFC 7515 section 2).
func octets(name, value string) ([]byte, *objection) {
	if value == "" {
		return nil, object(ReasonMalformed, "no %q", name)
	}
	// The standard decoder passes over line ends.
	if strings.ContainsAny(value, "\r\n") {
		return nil, object(ReasonMalformed, "%q is not base64url without padding", name)
	}
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return nil, object(ReasonMalformed, "%q is not base64url without padding", name)
	}
	return b, nil
}

// joseKey decodes the key. go-jose gets only the public parameters: an "x5c" makes it
// panic where GODEBUG=fips140=only forbids SHA-1, a bad "x5u" would cost a good key, and
// a private parameter must not be read even by mistake.
func (m *member) joseKey() (any, error) {
	public := struct {
		KeyType string `json:"kty"`
		Curve   string `json:"crv,omitempty"`
		N       string `json:"n,omitempty"`
		E       string `json:"e,omitempty"`
		X       string `json:"x,omitempty"`
		Y       string `json:"y,omitempty"`
	}{m.keyType, m.curve, m.n, m.e, m.x, m.y}
	data, err := json.Marshal(public)
	if err != nil {
		return nil, err
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(data); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "go-jose/go-jose: "))
	}
	return key.Key, nil
}

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

// memberFields are the members that hold strings; "kid" is read first, so that later objections
// can name the key.
var memberFields = []string{"kid", "kty", "crv", "use", "alg", "n", "e", "x", "y"}

// field returns where the member of that name goes; nil where it isn't one of memberFields.
func (m *member) field(name string) *string {
	switch name {
	case "kid":
		return &m.kid
	case "kty":
		return &m.keyType
	case "crv":
		return &m.curve
	case "use":
		return &m.use
	case "alg":
		return &m.alg
	case "n":
		return &m.n
	case "e":
		return &m.e
	case "x":
		return &m.x
	case "y":
		return &m.y
	}
	return nil
}

// candidate is a member of "keys" and what speaks against it so far.
type candidate struct {
	member
	why *objection
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
	for _, name := range memberFields {
		value, ok := fields[name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(value, m.field(name)); err != nil {
			return m, object(ReasonMalformed, "%q is not a string", name)
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
	data := make([]byte, 0, len(m.n)+len(m.e)+len(m.x)+len(m.y)+64)
	data = append(data, '{')
	for _, name := range []string{"kty", "crv", "n", "e", "x", "y"} {
		value := *m.field(name)
		if value == "" && name != "kty" {
			continue
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(append(append(data, '"'), name...), '"', ':')
		quoted, err := appendString(data, value)
		if err != nil {
			return nil, err
		}
		data = quoted
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(append(data, '}')); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "go-jose/go-jose: "))
	}
	return key.Key, nil
}

// appendString appends a string as JSON.
func appendString(data []byte, s string) ([]byte, error) {
	if !isPlainText(s) {
		quoted, err := json.Marshal(s)
		return append(data, quoted...), err
	}
	return append(append(append(data, '"'), s...), '"'), nil
}

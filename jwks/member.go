package jwks

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// member is one member of "keys" as it is written, with the objection to its form.
type member struct {
	keyType, curve string
	kid, use, alg  string
	operations     []string // nil where there is no "key_ops"
	n, e, x, y     string   // base64url
	why            *objection
	remarks        []string // what is odd about a member that is used all the same
}

// remark notes what is odd. It is the same text for each member that is odd in this way.
func (m *member) remark(text string) { m.remarks = append(m.remarks, text) }

// field returns where the member of that name goes; nil where none does.
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

// objection is why a member isn't used.
type objection struct {
	reason Reason
	detail string
}

// object returns an objection. What the remote wrote must be quoted through printable.
func object(reason Reason, format string, args ...any) *objection {
	return &objection{reason, fmt.Sprintf(format, args...)}
}

// octets decodes a member that holds bytes in base64url (RFC 7515 section 2).
func octets(name, value string) ([]byte, *objection) {
	if value == "" {
		return nil, object(ReasonMalformed, "no %q", name)
	}
	// The standard decoder passes over line ends.
	if strings.Contains(value, "\r") || strings.Contains(value, "\n") {
		return nil, object(ReasonMalformed, "%q is not base64url without padding", name)
	}
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return nil, object(ReasonMalformed, "%q is not base64url without padding", name)
	}
	return b, nil
}

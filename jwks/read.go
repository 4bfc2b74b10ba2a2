package jwks

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/jwksharvest/harvest/internal/text"
)

// privateMembers are the members that hold private or symmetric material: RFC 7518
// sections 6.2.2, 6.3.2 and 6.4, RFC 8037 section 2, and "priv" of RFC 9964.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// readMembers returns the members of the "keys" array of a document. A member of the wrong
// form has the objection to it.
func readMembers(data []byte) ([]member, error) {
	if len(data) > MaxDocument {
		return nil, fmt.Errorf("%w: over %d bytes", ErrTooLarge, MaxDocument)
	}
	data = withoutMark(data)
	if what := notJSON(data); what != "" {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	r := reader{Decoder: decoders.Get().(*jsontext.Decoder)} //nolint:errcheck // there is nothing else in it
	defer decoders.Put(r.Decoder)
	r.Reset(bytes.NewBuffer(data)) // which is read in place, and not written to
	r.members = make([]member, 0, min(MaxMembers, len(data)/400+1))
	err := cmp.Or(r.document(), r.empty)
	switch {
	case err == nil:
		return r.members, nil
	case errors.Is(err, ErrPrivateKey), errors.Is(err, ErrTooLarge):
		return nil, err
	}
	said := strings.TrimPrefix(err.Error(), "jsontext: ")
	return nil, fmt.Errorf("%w: %s", ErrMalformed, text.Line(said, maxExcerpt))
}

// withoutMark returns data without one byte-order mark at its start, which RFC 8259 section 8.1
// lets a reader ignore: editors and exports put it there. It can't change what follows it.
func withoutMark(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) }

// notJSON names what data is when it is plainly not a JSON object, and "" otherwise: a
// decoder would only say "invalid character".
func notJSON(data []byte) string {
	text := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return "starts with more than one byte-order mark"
	case len(text) == 0:
		return "the document is empty"
	case text[0] == '<':
		return "an HTML or XML page; is this the address of a web page or of a login?"
	case bytes.HasPrefix(text, []byte("-----BEGIN")):
		return "PEM, not JSON"
	case text[0] != '{':
		return "not a JSON object"
	}
	return ""
}

// decoders are used again: the buffers of a new one cost as much as reading a key.
var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// reader reads a document once, token by token. jsontext refuses what two readers could take
// for two things: a name twice in an object, invalid UTF-8, nesting deeper than 10,000.
type reader struct {
	*jsontext.Decoder
	members []member
	empty   error // the first private member that is there, and holds nothing
}

func (r *reader) document() error {
	why := errors.New(`no "keys" member`)
	err := r.object(func(name jsontext.Token) error {
		isKeys, isType := name.String() == "keys", name.String() == "kty"
		switch {
		case isKeys && r.PeekKind() == '[':
			why = nil
			return r.array(r.member)
		case isKeys:
			why = errors.New(`"keys" is not an array`)
		case isType && why != nil:
			why = errors.New(`a single key; a set is {"keys": [...]}`)
		}
		return r.skip()
	})
	if err = cmp.Or(err, why); err != nil {
		return err
	}
	if _, err := r.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("text after the object")
	}
	return nil
}

// member reads a member of "keys". A value of null counts as absent.
func (r *reader) member() error {
	if len(r.members) == MaxMembers {
		return fmt.Errorf("%w: over %d members", ErrTooLarge, MaxMembers)
	}
	r.members = append(r.members, member{})
	m := &r.members[len(r.members)-1]
	if r.PeekKind() != '{' {
		m.why = object(ReasonMalformed, "not a JSON object")
		return r.skip()
	}
	return r.object(func(name jsontext.Token) error {
		field, isOperations := m.field(name.String()), name.String() == "key_ops"
		kind := r.PeekKind()
		switch {
		case kind == 'n':
		case field != nil && kind == '"':
			return r.text(field)
		case field == &m.kid && kind == '0':
			return r.number(m)
		case field != nil:
			m.why = object(ReasonMalformed, "%q is not a string", r.StackPointer().LastToken())
		case isOperations && kind == '[':
			m.operations = []string{}
			return r.array(func() error { return r.operation(m) })
		case isOperations:
			m.why = object(ReasonMalformed, `"key_ops" is not an array of strings`)
		}
		return r.skip()
	})
}

// operation reads an element of "key_ops".
func (r *reader) operation(m *member) error {
	switch r.PeekKind() {
	case '"':
		m.operations = append(m.operations, "")
		return r.text(&m.operations[len(m.operations)-1])
	case 'n':
	default:
		m.why = object(ReasonMalformed, `"key_ops" is not an array of strings`)
	}
	return r.skip()
}

// number reads a "kid" that is a number. RFC 7517 section 4.5 has a string, and the digits of a
// whole number are one. What 1e3 or 1.0 would be as a string, two readers see differently.
func (r *reader) number(m *member) error {
	if err := r.text(&m.kid); err != nil {
		return err
	}
	if strings.ContainsAny(m.kid, ".eE") {
		m.why = object(ReasonMalformed, `"kid" is %s, neither a string nor a whole number`, text.Line(m.kid, 32))
		return nil
	}
	m.remark(`"kid" is a number, not a string (RFC 7517 section 4.5): its digits are taken`)
	return nil
}

// text reads a string, or the digits of a number.
func (r *reader) text(into *string) error {
	token, err := r.ReadToken()
	if err == nil {
		*into = token.String()
	}
	return err
}

// object reads an object, each value with value, which must look at the name before it reads
// on. It passes over private members that hold nothing.
func (r *reader) object(value func(name jsontext.Token) error) error {
	_, err := r.ReadToken()
	for err == nil {
		var name jsontext.Token
		name, err = r.ReadToken()
		switch {
		case err != nil || name.Kind() == '}':
			return err
		case isPrivate(name):
			err = r.private()
		default:
			err = value(name)
		}
	}
	return err
}

// array reads an array, each element with element.
func (r *reader) array(element func() error) error {
	_, err := r.ReadToken()
	for err == nil && r.PeekKind() != ']' {
		err = element()
	}
	if err == nil {
		_, err = r.ReadToken()
	}
	return err
}

// skip reads a value that nothing is taken from, private members in it all the same.
func (r *reader) skip() error {
	for depth := r.StackDepth(); ; {
		token, err := r.ReadToken()
		if err != nil {
			return err
		}
		// Inside an object, an odd number of tokens ends with a name.
		if inside, length := r.StackIndex(r.StackDepth()); inside == '{' && length%2 == 1 && isPrivate(token) {
			if err := r.private(); err != nil {
				return err
			}
		}
		if r.StackDepth() == depth {
			return nil
		}
	}
}

func isPrivate(name jsontext.Token) bool { return slices.Contains(privateMembers, name.String()) }

// private reads the value of a private member. The error wraps ErrPrivateKey if the value is
// well-formed and holds something. Null and an empty list of further primes are as good as absent:
// encoders that write every member write them. Another empty value gives nothing away, but comes
// of an export that went wrong: it is remembered, as what is lost further on matters more.
func (r *reader) private() error {
	pointer := r.StackPointer()
	value, err := r.ReadValue()
	if err != nil || value.Kind() == 'n' {
		return err
	}
	where := text.Line(string(pointer), maxExcerpt)
	switch {
	case !isEmpty(value):
		return fmt.Errorf("%w: %s; replace that key, it is lost", ErrPrivateKey, where)
	case pointer.LastToken() == "oth" && value.Kind() == '[':
	case r.empty == nil:
		r.empty = fmt.Errorf("%s is empty: a private member has no place in a public key; leave it out", where)
	}
	return nil
}

// isEmpty reports whether a value is a string, an array or an object with nothing in it.
func isEmpty(value jsontext.Value) bool {
	switch value.Kind() {
	case '"':
		return len(value) == len(`""`)
	case '[', '{':
		return len(bytes.TrimSpace(value[1:len(value)-1])) == 0
	}
	return false
}

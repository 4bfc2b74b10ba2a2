package jwks

import (
	"slices"
	"strings"
)

// Nearly every document is plain: objects, arrays, strings of printable ASCII without escapes,
// natural numbers, true, false and null; no name twice in the document or in a member of "keys", which are
// objects whose known members have the right types; no private material. Of such a
// document one pass makes the members that decodeSet, refusePrivate and decodeMember make
// in a dozen. All others are left to them: what isn't understood here at once is never
// guessed, and never refused here.

// Bounds past which a document isn't plain.
const (
	maxPlainDepth = 32
	maxPlainNames = 32 // of the document, and of each member of "keys"
)

// plainMembers returns the members of "keys" of a plain document; false if it isn't plain.
func plainMembers(data []byte) ([]candidate, bool) {
	if len(data) > MaxDocument {
		return nil, false
	}
	p := plainReader{text: string(data)}
	var members []candidate
	found := false
	ok := p.object(func(name string) bool {
		if name != "keys" {
			return p.value(1)
		}
		found = true
		members = make([]candidate, 0, min(MaxMembers, len(data)/256+1))
		return p.array(func() bool {
			if len(members) == MaxMembers {
				return false
			}
			members = append(members, candidate{})
			return p.member(&members[len(members)-1].member)
		})
	})
	p.space()
	if !ok || !found || p.at != len(p.text) {
		return nil, false
	}
	return members, true
}

// plainReader reads JSON as far as it is plain. Its methods return false where it isn't; the
// reader is then of no more use.
type plainReader struct {
	text string
	at   int
}

// member reads a member of "keys". Its strings are parts of the document.
func (p *plainReader) member(m *member) bool {
	return p.object(func(name string) bool {
		if name == "key_ops" {
			return p.operations(m)
		}
		field := m.field(name)
		if field == nil {
			return p.value(3)
		}
		if p.null() {
			return true
		}
		value, ok := p.string()
		*field = value
		return ok
	})
}

func (p *plainReader) operations(m *member) bool {
	if p.null() {
		return true
	}
	m.operations = []string{}
	return p.array(func() bool {
		operation, ok := p.string()
		m.operations = append(m.operations, operation)
		return ok
	})
}

// object reads an object none of whose names is there twice, its values with value.
func (p *plainReader) object(value func(name string) bool) bool {
	var room [maxPlainNames]string
	seen := room[:0]
	return p.list('{', '}', func() bool {
		name, ok := p.name()
		if !ok || len(seen) == maxPlainNames || slices.Contains(seen, name) {
			return false
		}
		seen = append(seen, name)
		return value(name)
	})
}

func (p *plainReader) array(element func() bool) bool { return p.list('[', ']', element) }

// list reads elements between brackets, separated by commas.
func (p *plainReader) list(open, end byte, element func() bool) bool {
	if !p.byte(open) {
		return false
	}
	if p.byte(end) {
		return true
	}
	for {
		if !element() {
			return false
		}
		if p.byte(end) {
			return true
		}
		if !p.byte(',') {
			return false
		}
	}
}

// name reads a name and its colon. That of a private member is only taken with null.
func (p *plainReader) name() (string, bool) {
	name, ok := p.string()
	if !ok || !p.byte(':') {
		return "", false
	}
	if len(name) <= maxPrivateName && slices.Contains(privateMembers, name) {
		here := p.at
		if !p.null() {
			return "", false
		}
		p.at = here
	}
	return name, true
}

// value reads a value that nothing is taken from, so deep in the document. Its objects may
// have a name twice.
func (p *plainReader) value(depth int) bool {
	if depth > maxPlainDepth {
		return false
	}
	switch p.space(); p.peek() {
	case '"':
		_, ok := p.string()
		return ok
	case '[':
		return p.array(func() bool { return p.value(depth + 1) })
	case '{':
		return p.list('{', '}', func() bool {
			_, ok := p.name()
			return ok && p.value(depth+1)
		})
	}
	return p.word("true") || p.word("false") || p.null() || p.integer()
}

// integer reads a natural number. Whatever may make it another kind of number isn't plain.
func (p *plainReader) integer() bool {
	begin := p.at
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.at++
	}
	return p.at-begin == 1 || p.at > begin && p.text[begin] != '0'
}

// string reads a string of printable ASCII without escapes.
func (p *plainReader) string() (string, bool) {
	if !p.byte('"') {
		return "", false
	}
	length := strings.IndexByte(p.text[p.at:], '"')
	if length < 0 {
		return "", false
	}
	s := p.text[p.at : p.at+length]
	p.at += length + 1
	return s, isPlainText(s)
}

// plainText are the bytes that stand in JSON as they are: printable ASCII.
var plainText = func() (is [256]bool) {
	for c := ' '; c <= '~'; c++ {
		is[c] = c != '"' && c != '\\'
	}
	return is
}()

func isPlainText(s string) bool {
	for i := range len(s) {
		if !plainText[s[i]] {
			return false
		}
	}
	return true
}

func (p *plainReader) null() bool {
	p.space()
	return p.word("null")
}

// word reads a word. What follows is a bracket, a comma or space, or the document isn't plain.
func (p *plainReader) word(word string) bool {
	if len(p.text)-p.at < len(word) || p.text[p.at:p.at+len(word)] != word {
		return false
	}
	p.at += len(word)
	return true
}

// byte reads one byte, and white space before it, if it is the next.
func (p *plainReader) byte(c byte) bool {
	p.space()
	if p.peek() != c {
		return false
	}
	p.at++
	return true
}

// peek returns the next byte; 0, which nothing plain has, at the end.
func (p *plainReader) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *plainReader) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

package jwks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// privateMembers are the members that hold private or symmetric material: RFC 7518
// sections 6.2.2, 6.3.2 and 6.4, RFC 8037 section 2, and "priv" of RFC 9964.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// maxPrivateName is the length of the longest of them.
const maxPrivateName = len("priv")

// refusePrivate returns an error that wraps ErrPrivateKey if any object of the document,
// which must be well-formed JSON, has a member of privateMembers other than null.
//
// It reads the tokens of the whole document, rather than the members of each key once
// decoded, so that a key which would be skipped, is malformed, repeats a member or hides
// in another member is still seen: the private half is lost wherever it stands.
func refusePrivate(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()

	type container struct{ object, wantsName bool }
	var open []container
	var name string    // the member whose value comes next
	var topName string // the member of the document that is being read
	position := -1     // in "keys"

	for {
		token, err := decoder.Token()
		if err != nil {
			// The end comes only after a whole document; anything else is a
			// disagreement with the decoder that called it well-formed.
			if errors.Is(err, io.EOF) && len(open) == 0 {
				return nil
			}
			return fmt.Errorf("%w: %s", ErrMalformed, printable(err.Error(), maxExcerpt))
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			open = open[:len(open)-1]
			continue
		}
		if depth := len(open); depth > 0 && open[depth-1].object {
			inside := &open[depth-1]
			if inside.wantsName {
				var isName bool
				if name, isName = token.(string); !isName {
					return fmt.Errorf("%w: a member without a name", ErrMalformed)
				}
				inside.wantsName = false
				if depth == 1 {
					topName = name
				}
				continue
			}
			inside.wantsName = true
			if token != nil && slices.Contains(privateMembers, name) {
				if topName == "keys" && position >= 0 {
					return fmt.Errorf("%w: key %d has a member %q; replace that key, it is lost", ErrPrivateKey, position, name)
				}
				return fmt.Errorf("%w: a member %q", ErrPrivateKey, name)
			}
		} else if depth == 2 && topName == "keys" {
			position++
		}
		switch token {
		case json.Delim('{'):
			open = append(open, container{object: true, wantsName: true})
		case json.Delim('['):
			open = append(open, container{})
		}
	}
}

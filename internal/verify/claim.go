package verify

import (
	"encoding/json"
	"strconv"
	"strings"
)

// findClaim returns a claim by its name or, where the name starts with a slash, by its JSON
// pointer (RFC 6901); nil where there is none. Numbers become a json.Number, cut to a whole
// number, as Vault's getClaim has them.
func findClaim(t *Token, name string) any {
	value := t.Claims[name]
	if strings.HasPrefix(name, "/") {
		value = t.Claims
		for part := range strings.SplitSeq(name[1:], "/") {
			part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
			switch at := value.(type) {
			case map[string]any:
				value = at[part]
			case []any:
				i, ok := index(part, len(at))
				if !ok {
					return nil
				}
				value = at[i]
			default:
				return nil
			}
		}
	}
	if f, ok := value.(float64); ok {
		return json.Number(strconv.Itoa(int(f)))
	}
	return value
}

// index returns the element that a part of a JSON pointer names. Vault reads it by Go's
// rules for literals: 0x1 and 0b1 are 1, 010 is 8, and nothing is 0.
func index(part string, length int) (int, bool) {
	if part == "" {
		part = "0"
	}
	i, err := strconv.ParseInt(part, 0, strconv.IntSize)
	return int(i), err == nil && i >= 0 && i < int64(length)
}

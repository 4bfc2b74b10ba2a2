package jwks

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// privateMembersOf returns the names of the private members of a well-formed document: those that
// hold something, and those that are empty and not allowed to be. It knows
// nothing of the structure: a string before a colon is a name, wherever it stands, and
// whatever follows is its value. So it is blind to neither duplicates nor depth.
func privateMembersOf(data []byte) (lost, empty []string) {
	for i := 0; i < len(data); i++ {
		if data[i] != '"' {
			continue
		}
		start := i
		for i++; i < len(data) && data[i] != '"'; i++ {
			if data[i] == '\\' {
				i++
			}
		}
		if i >= len(data) {
			return lost, empty
		}
		name := unescape(data[start+1 : i])
		rest, isName := bytes.CutPrefix(bytes.TrimLeft(data[i+1:], " \t\r\n"), []byte(":"))
		if !isName {
			continue
		}
		rest = bytes.TrimLeft(rest, " \t\r\n")
		switch name {
		case "d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv":
			list := emptyList.Match(rest)
			switch {
			case bytes.HasPrefix(rest, []byte("null")), name == "oth" && list:
			case list, bytes.HasPrefix(rest, []byte(`""`)), emptyObject.Match(rest):
				empty = append(empty, name)
			default:
				lost = append(lost, name)
			}
		}
	}
	return lost, empty
}

var (
	emptyList   = regexp.MustCompile(`^\[[ \t\r\n]*\]`)
	emptyObject = regexp.MustCompile(`^\{[ \t\r\n]*\}`)
)

// unescape decodes the escapes of a JSON string that can stand for ASCII letters.
func unescape(raw []byte) string {
	var out strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 >= len(raw) {
			out.WriteByte(raw[i])
			continue
		}
		i++
		if raw[i] != 'u' || i+4 >= len(raw) {
			out.WriteByte('?') // \n and the like: not a letter
			continue
		}
		if code, err := strconv.ParseUint(string(raw[i+1:i+5]), 16, 16); err == nil && code < 0x80 {
			out.WriteByte(byte(code))
		} else {
			out.WriteByte('?')
		}
		i += 4
	}
	return out.String()
}

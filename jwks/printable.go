package jwks

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxExcerpt is how many bytes of a remote's text an error may show.
const maxExcerpt = 256

const ellipsis = "…"

// printable returns s fit for a terminal, a log and one line of an error: runs of white
// space become one space, everything else that isn't printable (control characters,
// bidirectional overrides, invalid UTF-8) becomes "?". The result is at most limit bytes
// long, the mark of a cut included.
func printable(s string, limit int) string {
	cut := false
	if bound := 4 * limit; len(s) > bound { // so that a megabyte isn't walked for a line
		s, cut = s[:bound], true
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if unicode.IsSpace(r) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
	}
	out := b.String()
	if len(out) <= limit && !cut {
		return out
	}
	end := min(limit-len(ellipsis), len(out))
	for end > 0 && end < len(out) && !utf8.RuneStart(out[end]) {
		end--
	}
	return out[:end] + ellipsis
}

// isPrintable reports whether s holds only what strconv.Quote would leave as it is,
// apart from quotes and backslashes. U+FFFD isn't among it: the JSON decoder puts it in
// the place of what isn't valid UTF-8.
func isPrintable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

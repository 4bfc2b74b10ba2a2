// Package text makes text fit to show: nothing from outside steers a terminal or fills a page.
package text

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// IsPrintable reports whether s holds only what strconv.Quote would leave as it is, apart from
// quotes and backslashes. U+FFFD isn't among it: decoders put it in the place of invalid UTF-8.
func IsPrintable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !isPrintable(r) }) < 0
}

func isPrintable(r rune) bool { return r != unicode.ReplacementChar && unicode.IsPrint(r) }

// Escape returns s with everything escaped that isn't printable, line feeds and bidirectional
// overrides included.
func Escape(s string) string {
	if IsPrintable(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if isPrintable(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// Blank returns s with a blank in the place of each rune that isn't printable.
func Blank(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// Line returns s as one line of at most limit bytes, the mark of a cut included: runs of white
// space become one space, everything else that isn't printable becomes "?".
func Line(s string, limit int) string {
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
		if !isPrintable(r) {
			r = '?'
		}
		b.WriteRune(r)
	}
	if b.Len() <= limit && !cut {
		return b.String()
	}
	return head(b.String(), limit-len(ellipsis)) + ellipsis
}

// KeyID returns as much of a key's ID as is shown, as one line.
func KeyID(id string) string { return Line(id, 64) }

// Cut returns s, or its first bytes, at most limit of them, and a mark that it was cut.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return head(s, limit) + ellipsis
}

// head returns at most limit bytes of s; no rune is parted.
func head(s string, limit int) string {
	end := min(limit, len(s))
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// Pattern returns the regular expression, compiled when it is first asked for: what a run
// doesn't need must not cost its start.
func Pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

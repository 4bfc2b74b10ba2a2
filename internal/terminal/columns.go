package terminal

import (
	"slices"
	"unicode"

	"golang.org/x/text/width"
)

// Columns returns how many columns of a terminal text takes: two for what East Asian
// scripts and pictures have (Unicode, UAX #11), none for marks on other characters.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300: // most of what there is
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

const cut = "…"

// Shorten returns s, with the middle cut out where it has more than most columns: names that belong
// together often begin alike and differ at the end.
func Shorten(s string, most int) string {
	if Columns(s) <= most {
		return s
	}
	runes := []rune(s)
	if most < 3 {
		return cut
	}
	head, tail := most/2, most-1-most/2 // columns beside the mark
	start, end := 0, len(runes)
	for start < end && head >= runeColumns(runes[start]) {
		head -= runeColumns(runes[start])
		start++
	}
	for end > start && tail >= runeColumns(runes[end-1]) {
		tail -= runeColumns(runes[end-1])
		end--
	}
	for end < len(runes) && runeColumns(runes[end]) == 0 { // marks, whose letter is cut out
		end++
	}
	return string(runes[:start]) + cut + string(runes[end:])
}

// ShortenAll shortens names that stand below one another. Names that differ stay different,
// whatever columns that takes.
func ShortenAll(names []string, most int) []string {
	different := distinct(names)
	longest := 0
	for _, name := range names {
		longest = max(longest, Columns(name))
	}
	for ; ; most++ {
		short := make([]string, len(names))
		for i, name := range names {
			short[i] = Shorten(name, most)
		}
		if most >= longest || distinct(short) == different {
			return short
		}
	}
}

func distinct(names []string) int {
	sorted := slices.Sorted(slices.Values(names))
	return len(slices.Compact(sorted))
}

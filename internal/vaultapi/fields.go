package vaultapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Strings returns the strings of a list as vault/api decodes it; none of anything else.
func Strings(v any) []string {
	var out []string
	switch list := v.(type) {
	case []any:
		for _, e := range list {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
	case []string:
		out = slices.Clone(list)
	}
	return out
}

// Canonical writes a field's value in one way, whether it was read or is to be written: in
// JSON, lists sorted, what is empty as nothing.
func Canonical(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var list []string
	if json.Unmarshal(b, &list) == nil {
		slices.Sort(list)
		b, _ = json.Marshal(list)
	}
	switch text := string(b); text {
	case "null", "[]", "{}", `""`, "0", "false":
		return ""
	default:
		return text
	}
}

// maxQuoted is how many bytes of a value are shown.
const maxQuoted = 128

// Quote returns a value in quotes, fit for a terminal and cut.
func Quote(s string) string {
	if s == "" {
		return `""`
	}
	s = Clean(s)
	if len(s) > maxQuoted {
		s = strings.TrimSuffix(strings.ToValidUTF8(s[:maxQuoted], ""), "…") + "…"
	}
	return `"` + s + `"`
}

// SortedPaths returns paths of mounts without slashes around them, each once and sorted.
func SortedPaths(paths []string) []string {
	paths = slices.Clone(paths)
	for i, path := range paths {
		paths[i] = strings.Trim(path, "/")
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// QuoteList returns values as Quote has them, at most eight.
func QuoteList(list []string) string {
	var words []string
	for _, s := range list {
		words = append(words, Quote(s))
	}
	return bracketed(words)
}

// bracketed returns a list of at most eight.
func bracketed(words []string) string {
	const most = 8
	if more := len(words) - most; more > 0 {
		words = append(words[:most:most], fmt.Sprintf("and %d more", more))
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// QuoteValues returns the values of a claim, texts as Quote has them: "22" is a text, and 22 is a
// number.
func QuoteValues(values []any) string {
	var words []string
	for _, v := range values {
		switch v := v.(type) {
		case string:
			words = append(words, Quote(v))
		case bool, json.Number, float64:
			words = append(words, Clean(fmt.Sprint(v)))
		case nil:
			words = append(words, "null")
		default:
			words = append(words, "(an object)")
		}
	}
	if len(words) == 1 {
		return words[0]
	}
	return bracketed(words)
}

// Listed returns names with commas, cut where they are many.
func Listed(names []string) string {
	const most = 5
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

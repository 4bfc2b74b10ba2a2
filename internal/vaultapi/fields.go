package vaultapi

import (
	"encoding/json"
	"fmt"
	"slices"
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

package jwtrole

import (
	"encoding/json"
	"strings"
	"time"
)

// Globs is the bound_claims_type under which * stands for any text.
const Globs = "glob"

// ListOf is normalizeList of vault-plugin-auth-jwt: a single value is a list of one.
func ListOf(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case string, bool, json.Number:
		return []any{v}, true
	}
	return nil, false
}

// Matches is matchFound of vault-plugin-auth-jwt. Numbers inside a list of the token are float64
// there, and equal none of the role's.
func Matches(want, have []any, useGlobs bool) bool {
	for _, w := range want {
		for _, h := range have {
			switch w := w.(type) {
			case string:
				if text, ok := h.(string); ok && (w == text && !useGlobs || useGlobs && GlobMatches(w, text)) {
					return true
				}
			case nil, bool, json.Number, float64:
				if !useGlobs && w == h {
					return true
				}
			}
		}
	}
	return false
}

// GlobMatches reports whether a text fits a pattern, in which * stands for any text and nothing
// else is special (github.com/ryanuber/go-glob, which Vault uses).
func GlobMatches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(text, parts[0])
	if len(parts) == 1 || !ok {
		return ok && rest == ""
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, parts[last])
}

// What cap's Validator allows where the role says nothing (DefaultLeewaySeconds, and go-jose's
// DefaultLeeway for the clocks).
const (
	DefaultTimeLeeway  = 150 * time.Second
	DefaultClockLeeway = time.Minute
)

// Leeways are the fields by which a role takes tokens longer, and what Vault grants without them.
var Leeways = map[string]time.Duration{
	"expiration_leeway": DefaultTimeLeeway, "not_before_leeway": DefaultTimeLeeway, "clock_skew_leeway": DefaultClockLeeway,
}

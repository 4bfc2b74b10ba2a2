package text

import "strings"

// QuoteAll returns names in quotation marks, for "there is": "none" where there is none.
func QuoteAll(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	var quoted []string
	for _, name := range names {
		if name == "" {
			quoted = append(quoted, "one without a name")
			continue
		}
		quoted = append(quoted, `"`+name+`"`)
	}
	return strings.Join(quoted, ", ")
}

package jwks

import "github.com/jwksharvest/harvest/internal/text"

// maxExcerpt is how many bytes of a remote's text an error may show.
const maxExcerpt = 256

// printable returns s fit for a terminal, a log and one line of an error, at most limit bytes
// long.
func printable(s string, limit int) string { return text.Line(s, limit) }

func isPrintable(s string) bool { return text.IsPrintable(s) }

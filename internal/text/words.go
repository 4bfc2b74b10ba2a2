package text

import (
	"fmt"
	"strings"
	"time"
)

// Plural returns the word, with an s unless n is 1.
func Plural(n int, word string) string { return Form(n, word, word+"s") }

// Form returns the word for one, or that for any other number.
func Form(n int, one, other string) string {
	if n == 1 {
		return one
	}
	return other
}

// Ago returns when t was, as a reader would put it: "3 h ago".
func Ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < -time.Minute:
		return "from " + t.UTC().Format("2006-01-02 15:04 MST") + ", by another clock"
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	case d < 60*24*time.Hour:
		return fmt.Sprintf("%d days ago", d/(24*time.Hour))
	default:
		return "since " + t.UTC().Format(time.DateOnly)
	}
}

// ShellQuote returns a word as a POSIX shell takes it.
func ShellQuote(word string) string {
	plain := strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:=@,+%")
	if plain == "" && word != "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Package redact takes credentials out of what is shown.
package redact

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// hidden stands in the place of a credential.
const hidden = "[redacted]"

// credentials are Vault's tokens, JWTs, cut ones too, and what comes before the host of a
// URL: what a server may repeat although we weren't told to look for it.
var credentials = []struct {
	form func() *regexp.Regexp
	in   string
}{
	{onFirstUse(`\b(?:hv[sbr]\.[A-Za-z0-9_-]{8,}|[sbr]\.[A-Za-z0-9]{24,})(?:\.[A-Za-z0-9]+)?`), hidden},
	{onFirstUse(`\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*`), hidden},
	{onFirstUse(`//[^/\s"]*@`), "//" + hidden + "@"},
}

// onFirstUse returns the pattern, compiled when it is first asked for: what a run doesn't need
// must not cost its start.
func onFirstUse(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// minSecret is how long a credential is at least that is looked for: a shorter one is in
// every text.
const minSecret = 4

// Text returns the text without these credentials, in whatever form they stand in an
// error, and without what looks like one. A server, or a proxy before it, may send back
// what it was sent. Of a credential that was cut, as long a beginning as makes a guess
// of the rest worthwhile is redacted, whatever the case of its letters.
func Text(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		quoted, _ := json.Marshal(secret)
		for _, form := range []string{secret, string(quoted[1 : len(quoted)-1]), url.PathEscape(secret), url.QueryEscape(secret)} {
			text = strings.ReplaceAll(text, form, hidden)
		}
		text = withoutBeginnings(text, secret)
	}
	for _, c := range credentials {
		text = c.form().ReplaceAllString(text, c.in)
	}
	return text
}

// minBeginning is how long a beginning of a credential is at least that is looked for.
const minBeginning = 8

// withoutBeginnings returns the text without longer beginnings of a secret in ASCII.
func withoutBeginnings(text, secret string) string {
	if len(secret) < minBeginning {
		return text
	}
	var b strings.Builder
	rest, low, beginning := text, lower(text), lower(secret)
	for {
		i := strings.Index(low, beginning[:minBeginning])
		if i < 0 {
			b.WriteString(rest)
			return b.String()
		}
		end := i + minBeginning
		for end < len(low) && end-i < len(beginning) && low[end] == beginning[end-i] {
			end++
		}
		b.WriteString(rest[:i] + hidden)
		rest, low = rest[end:], low[end:]
	}
}

// lower is strings.ToLower for ASCII alone: the result is as long.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// Error returns the error with a text that shows no credential.
func Error(err error, secrets ...string) error { return &redacted{err, secrets} }

// redacted is an error whose text shows no credential.
type redacted struct {
	err     error
	secrets []string
}

// Error implements error.
func (e *redacted) Error() string { return Text(e.err.Error(), e.secrets...) }

// Unwrap returns the error, for errors.Is and errors.As.
func (e *redacted) Unwrap() error { return e.err }

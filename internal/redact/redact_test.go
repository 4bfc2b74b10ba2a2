package redact_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/internal/redact"
)

// TestRedact: nothing is left of a credential, in any form that an error may repeat it in.
func TestRedact(t *testing.T) {
	for name, test := range map[string]struct{ text, secret, want string }{
		"plain":               {"token 1234-5678 was refused", "1234-5678", "token [redacted] was refused"},
		"twice":               {"1234-5678 1234-5678", "1234-5678", "[redacted] [redacted]"},
		"in JSON":             {`{"secret_id":"a\"b\u003cc"}`, `a"b<c`, `{"secret_id":"[redacted]"}`},
		"in a URL":            {"Get http://x/a%2Fb%20c", "a/b c", "Get http://x/[redacted]"},
		"in a query":          {"Get http://x/?q=a%2Fb+c", "a/b c", "Get http://x/?q=[redacted]"},
		"short":               {"abc abc", "abc", "abc abc"},
		"a beginning":         {"got 12345678-ab", "12345678-abcdef", "got [redacted]"},
		"in lower case":       {"type abcdefgh-ijk/x", "ABCDEFGH-IJKL", "type [redacted]/x"},
		"a short beginning":   {"got 1234567", "12345678-abcdef", "got 1234567"},
		"no UTF-8":            {"\xff 12345678", "12345678-abcdef", "\xff [redacted]"},
		"none":                {"permission denied", "", "permission denied"},
		"another token":       {"parent hvs.CAESIJlWh2vX-pdkj_0123456789 expired", "", "parent [redacted] expired"},
		"a batch token":       {"hvb.AAAAAQKr0123456789abcdef.ns1", "", "[redacted]"},
		"an old token":        {"s.q7HVjJzJd8LyYkEpmd7pYq4Z", "", "[redacted]"},
		"another JWT":         {"jwt eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ2YXVsdCJ9.c2ln is expired", "", "jwt [redacted] is expired"},
		"half a JWT":          {"jwt eyJhbGciOiJSUzI1NiJ9.eyJh", "", "jwt [redacted]"},
		"a proxy's password":  {`invalid proxy address "http://ann:hun%zzter@proxy:3128"`, "", `invalid proxy address "http://[redacted]@proxy:3128"`},
		"an address":          {"Get https://vault.example.com:8200/v1/auth/jwt/config: EOF", "", "Get https://vault.example.com:8200/v1/auth/jwt/config: EOF"},
		"words with a period": {"error validating claims.", "", "error validating claims."},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, redact.Text(test.text, test.secret))
			err := redact.Error(fmt.Errorf("%s: %w", test.text, http.ErrHandlerTimeout), test.secret)
			assert.Contains(t, err.Error(), test.want)
			assert.ErrorIs(t, err, http.ErrHandlerTimeout)
		})
	}
}

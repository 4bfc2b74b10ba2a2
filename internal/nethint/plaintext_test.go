package nethint

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestIsPlaintext(t *testing.T) {
	for address, want := range map[string]bool{
		"http://example.com":         true,
		"http://10.0.0.1:4646":       true,
		"http://0.0.0.0:4646":        true,
		"http://127.1/":              true, // the resolver's to interpret
		"https://example.com":        false,
		"http://localhost:4646/a":    false,
		"http://LOCALHOST":           false,
		"http://127.0.0.1":           false,
		"http://127.8.9.10:1":        false,
		"http://[::1]:4646":          false,
		"http://[::ffff:127.0.0.1]/": false,
		"http://user@example.com":    true,
		"file:///etc/passwd":         false,
		"://":                        false,
	} {
		assert.Equal(t, want, IsPlaintext(address), address)
	}
}

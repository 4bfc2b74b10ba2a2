package text_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/internal/text"
)

// TestAgo: a time as a reader would put it.
func TestAgo(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "just now", time.Minute: "1 min ago", 59 * time.Minute: "59 min ago", time.Hour: "1 h ago", 47 * time.Hour: "47 h ago",
		48 * time.Hour: "2 days ago", 59 * 24 * time.Hour: "59 days ago", 60 * 24 * time.Hour: "since 2026-09-23",
		-30 * time.Second: "just now", -2 * time.Hour: "from 2026-11-22 14:00 UTC, by another clock",
	} {
		assert.Equal(t, want, text.Ago(now.Add(-d), now))
	}
}

func TestEscape(t *testing.T) {
	assert.Equal(t, "plain – größer", text.Escape("plain – größer"))
	assert.Equal(t, `a\x1b[31mb\r\nc\u202ed`, text.Escape("a\x1b[31mb\r\nc\u202ed"))
	assert.Equal(t, `\ufffd`, text.Escape("\xff"))
}

func TestShellQuote(t *testing.T) {
	assert.Equal(t, "-config=/etc/harvest.hcl", text.ShellQuote("-config=/etc/harvest.hcl"))
	assert.Equal(t, "'*'", text.ShellQuote("*"))
	assert.Equal(t, "''", text.ShellQuote(""))
	assert.Equal(t, `'a'\''b $(x)'`, text.ShellQuote("a'b $(x)"))
}

func TestLine(t *testing.T) {
	tests := map[string]struct {
		in   string
		max  int
		want string
	}{
		"plain":        {"no change", 20, "no change"},
		"lines":        {" a\r\n\tb  c ", 20, "a b c"},
		"escape":       {"\x1b[31mred", 20, "?[31mred"},
		"bidi":         {"a\u202eb", 20, "a?b"},
		"invalid":      {"a\xffb", 20, "a?b"},
		"cut":          {"abcdefghij", 8, "abcde…"},
		"cut at runes": {"ééééé", 8, "éé…"},
		"exact":        {"abcdefgh", 8, "abcdefgh"},
		"long":         {strings.Repeat("a", 1000), 8, "aaaaa…"},
		"long blank":   {strings.Repeat(" ", 1000), 8, "…"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := text.Line(test.in, test.max)
			assert.Equal(t, test.want, got)
			assert.LessOrEqual(t, len(got), test.max)
		})
	}
}

func TestCut(t *testing.T) {
	assert.Equal(t, "ab", text.Cut("ab", 2))
	assert.Equal(t, "ab…", text.Cut("abc", 2))
	assert.Equal(t, "a…", text.Cut("aéb", 2), "no rune is parted")
}

func TestBlank(t *testing.T) {
	assert.Equal(t, "a [31mb  c d", text.Blank("a\x1b[31mb\r\nc\u202ed"))
}

package terminal

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/internal/text"
)

// TestColumns: what a terminal makes of text.
func TestColumns(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "us-east": 7, "größer": 6, "東京": 4, "ｱ": 1, "Ａ": 2, "e\u0301": 1, "…": 1, "🔑": 2, "한국": 4, "я": 1,
	} {
		assert.Equal(t, want, Columns(text), text)
	}
}

func TestShorten(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		most int
		want string
	}{
		"fits":   {"us-east", 7, "us-east"},
		"long":   {"production-us-east-1", 11, "produ…ast-1"},
		"wide":   {"東京都のクラスタ", 9, "東京…スタ"},
		"half":   {"東京都のクラスタ", 8, "東京…タ"},
		"marks":  {"a\u0301b\u0301c\u0301d\u0301e\u0301", 3, "a\u0301…e\u0301"},
		"narrow": {"us-east", 2, "…"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Shorten(test.text, test.most)
			assert.Equal(t, test.want, got)
			assert.LessOrEqual(t, Columns(got), test.most)
		})
	}
	assert.Equal(t, []string{"prod-a…e-etc", "prod-b…e-etc", "x"}, ShortenAll([]string{"prod-a-and-much-more-etc", "prod-b-and-much-more-etc", "x"}, 5),
		"names that differ stay different")
}

func TestWrap(t *testing.T) {
	assert.Equal(t, []string{"one two", "three"}, Wrap("one two three", 9))
	assert.Equal(t, []string{"one two three"}, Wrap("one two three", 0))
	assert.Equal(t, []string{"a", "https://long.example.com", "b"}, Wrap("a https://long.example.com b", 10))
}

// TestShortenAny: never too wide, whatever the text and the width.
func TestShortenAny(t *testing.T) {
	for _, s := range []string{"production-us-east-1", "東京都のクラスタ", "a\u0301b\u0301c", "🔑🔑 x 🔑", text.Escape("\x1b[2J\u202e\xff"), "\u0301\u0301"} {
		for most := 1; most <= 30; most++ {
			assert.LessOrEqual(t, Columns(Shorten(s, most)), most, "%q in %d", s, most)
		}
	}
}

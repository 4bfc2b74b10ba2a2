// Package terminal writes for people: on a terminal in colour and to its width, elsewhere as it is.
package terminal

import (
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"
)

// Terminal is what a writer leads to. The zero value is a file or a pipe: no colours, and lines as
// long as they are.
type Terminal struct {
	Width  int // columns; 0: no limit
	Colour bool
}

// minWidth is the least width that is kept to; what is narrower scrolls.
const minWidth = 40

// Of looks at a writer. Colours are for terminals, except for one that has none (TERM=dumb) and
// for users who want none (NO_COLOR, see https://no-color.org).
func Of(w io.Writer, getenv func(string) string) Terminal {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return Terminal{}
	}
	t := Terminal{Colour: getenv("NO_COLOR") == "" && capable(getenv)}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		t.Width = max(width, minWidth)
	}
	return t
}

// capable reports whether a terminal understands escape sequences. Consoles of Windows have to
// be asked to.
func capable(getenv func(string) string) bool {
	return getenv("TERM") != "dumb" && runtime.GOOS != "windows"
}

// Style is the parameters of an SGR sequence (ECMA-48); "" is none.
type Style string

// Styles.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Cyan   Style = "36"
	Alarm  Style = "1;31"
)

// Paint returns text in a style. The text must be printable: nobody else may steer the terminal.
func (t Terminal) Paint(style Style, text string) string {
	if !t.Colour || style == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

// Wrap breaks text between words into lines of at most width columns. A longer word has a line of
// its own and stays whole: it may be an address or a path. A width of 0 is no limit.
func Wrap(text string, width int) []string {
	if width <= 0 || Columns(text) <= width {
		return []string{text}
	}
	var lines []string
	line, used := "", 0
	for word := range strings.SplitSeq(text, " ") {
		n := Columns(word)
		if line != "" && used+1+n > width {
			lines = append(lines, line)
			line, used = "", 0
		}
		if line != "" {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	return append(lines, line)
}

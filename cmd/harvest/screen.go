package main

import (
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/term"
)

// screen is what a writer leads to, and how it is written to. The zero value is a file or
// a pipe: no colours, and lines as long as they are.
type screen struct {
	width  int // columns; 0: no limit
	colour bool
}

// minScreen is the least width that is kept to; what is narrower scrolls.
const minScreen = 40

// screenOf looks at a writer. Colours are for terminals, but for one that says it has none
// (TERM=dumb) and for users who want none (NO_COLOR, see https://no-color.org).
func screenOf(w io.Writer, getenv func(string) string) screen {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return screen{}
	}
	s := screen{colour: getenv("NO_COLOR") == "" && capable(getenv)}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		s.width = max(width, minScreen)
	}
	return s
}

// capable says whether a terminal understands escape sequences. Consoles of Windows have to
// be asked to.
func capable(getenv func(string) string) bool {
	return getenv("TERM") != "dumb" && runtime.GOOS != "windows"
}

// style is the parameters of an SGR sequence (ECMA-48); "" is none.
type style string

const (
	plain  style = ""
	bold   style = "1"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
	alarm  style = "1;31"
)

// signStyles are those of the signs: what comes, what goes, and what wants to be looked at.
// What stays is plain.
var signStyles = map[string]style{
	signAdd: green, signAdopt: yellow, signRemove: red, signSkip: yellow, signFailed: alarm, signForeign: cyan,
}

// paint returns text in a style. The text must be printable: what steers the terminal is
// ours alone.
func (s screen) paint(st style, text string) string {
	if !s.colour || st == plain || text == "" {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}

// proseWidth is how long lines of prose are where there is no limit.
const proseWidth = 110

// wrap breaks text into lines of so many columns at most, between words. A word that is
// longer has a line of its own, and stays whole: it may be an address or a path that is
// wanted as it is. A width of 0 is no limit.
func wrap(text string, width int) []string {
	if width <= 0 || columns(text) <= width {
		return []string{text}
	}
	var lines []string
	line, used := "", 0
	for word := range strings.SplitSeq(text, " ") {
		n := columns(word)
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

// minText is the least width of the last column of a table; where there is less, the text
// goes below.
const minText = 24

// printText writes text behind something, in lines that begin below one another. The first
// is what stands before it as it is, and as it is painted.
func (o *output) printText(before, painted, text string) {
	o.hang(columns(before), painted, text)
}

// hang writes text behind what is painted, which has so many columns.
func (o *output) hang(indent int, painted, text string) {
	room := 0
	if o.screen.width > 0 {
		if room = o.screen.width - indent; room < minText && columns(text) > room {
			if strings.TrimSpace(painted) != "" {
				o.printf("%s\n", strings.TrimRight(painted, " "))
			}
			painted, indent = "      ", 6
			room = o.screen.width - indent
		}
	}
	for i, line := range wrap(text, room) {
		if i > 0 {
			painted = strings.Repeat(" ", indent)
		}
		o.printf("%s\n", strings.TrimRight(painted+line, " "))
	}
}

// say writes a line of prose, indented.
func (o *output) say(text string) { o.printText("  ", "  ", text) }

// paragraph writes prose in lines that are not too long to be read, whatever the screen.
func (o *output) paragraph(indent, text string) {
	width := proseWidth
	if o.screen.width > 0 {
		width = min(width, o.screen.width)
	}
	for _, line := range wrap(text, width-len(indent)) {
		o.printf("%s%s\n", indent, line)
	}
}

// warning writes a line of a report that begins with that word.
func (o *output) warning(text string) {
	o.printText("  warning: ", "  "+o.screen.paint(yellow, "warning:")+" ", text)
}

// heading writes the line that says what the following is about.
func (o *output) heading(what, name string) {
	if o.screen.width > 0 && columns(what+" "+name) > o.screen.width {
		// A mount's name, then its namespace and its Vault.
		parts := wrapAt(name, " in namespace ", " at ")
		for i, part := range parts {
			before := what + " "
			if i > 0 {
				before = "  "
			}
			part = shorten(part, o.screen.width-columns(before))
			o.printf("%s\n", o.screen.paint(bold, before+part))
		}
		o.printf("\n")
		return
	}
	o.printf("%s\n\n", o.screen.paint(bold, what+" "+name))
}

// wrapAt parts text before the last of each mark, in their order.
func wrapAt(text string, marks ...string) []string {
	var parts []string
	for _, mark := range slices.Backward(marks) {
		if i := strings.LastIndex(text, mark); i > 0 {
			parts = append(parts, text[i+1:])
			text = text[:i]
		}
	}
	parts = append(parts, text)
	slices.Reverse(parts)
	return parts
}

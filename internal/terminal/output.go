package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Output is stdout.
type Output struct {
	W io.Writer
	Terminal
	Err error // the first one of W, so that a full disk isn't a success; nothing is written after it
}

// Write writes to W.
func (o *Output) Write(b []byte) (int, error) {
	if o.Err != nil {
		return 0, o.Err
	}
	n, err := o.W.Write(b)
	o.Err = err
	return n, err
}

// Printf is fmt.Fprintf; Err keeps its error.
func (o *Output) Printf(format string, args ...any) { _, _ = fmt.Fprintf(o, format, args...) }

// JSON writes v indented.
func (o *Output) JSON(v any) {
	encoder := json.NewEncoder(o)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil && o.Err == nil {
		o.Err = err
	}
}

// minText is the least width of the last column of a table; where there is less, the text goes
// below.
const minText = 24

// Text writes text behind what is painted, in lines that begin below one another. before is what is
// painted, without its colours.
func (o *Output) Text(before, painted, text string) {
	indent, room := Columns(before), 0
	if o.Width > 0 {
		if room = o.Width - indent; room < minText && Columns(text) > room {
			if strings.TrimSpace(painted) != "" {
				o.Printf("%s\n", strings.TrimRight(painted, " "))
			}
			painted, indent = "      ", 6
			room = o.Width - indent
		}
	}
	for i, line := range Wrap(text, room) {
		if i > 0 {
			painted = strings.Repeat(" ", indent)
		}
		o.Printf("%s\n", strings.TrimRight(painted+line, " "))
	}
}

// Say writes a line of prose, indented.
func (o *Output) Say(text string) { o.Text("  ", "  ", text) }

// proseWidth is how long lines of prose are where there is no limit.
const proseWidth = 110

// Paragraph writes prose in lines that aren't too long to be read, whatever the terminal.
func (o *Output) Paragraph(indent, text string) {
	width := proseWidth
	if o.Width > 0 {
		width = min(width, o.Width)
	}
	for _, line := range Wrap(text, width-len(indent)) {
		o.Printf("%s%s\n", indent, line)
	}
}

// Warning writes a line of a report that begins with that word.
func (o *Output) Warning(text string) {
	o.Text("  warning: ", "  "+o.Paint(Yellow, "warning:")+" ", text)
}

// Heading writes the line that says what the following is about; what may be "".
func (o *Output) Heading(what, name string) {
	if what != "" {
		what += " "
	}
	for i, line := range Wrap(what+name, o.Width) {
		if i > 0 {
			line = "  " + line
		}
		o.Printf("%s\n", o.Paint(Bold, line))
	}
	o.Printf("\n")
}

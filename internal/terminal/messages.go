package terminal

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/jwksharvest/harvest/internal/text"
)

// Messages is stderr as people read it, or JSON lines where there is a log.
type Messages struct {
	W io.Writer
	Terminal
	Log *slog.Logger // nil: text
}

// Fail writes an error, each of several joined ones by itself, and a hint at what to do next; "" is
// none.
func (m *Messages) Fail(err error, hint string) {
	for _, err := range Separate(err) {
		if m.Log != nil {
			m.Log.Error(text.Escape(err.Error()))
			continue
		}
		m.prose("harvest:", Alarm, text.Escape(err.Error()))
	}
	switch {
	case hint == "":
	case m.Log != nil:
		m.Log.Error("what to do next", "hint", hint)
	default:
		for line := range strings.SplitSeq(hint, "\n") {
			if line = text.Escape(line); strings.HasPrefix(line, " ") { // a command, to be copied
				_, _ = fmt.Fprintf(m.W, "  %s\n", line)
				continue
			}
			m.prose(" ", Plain, line)
		}
	}
}

// Warn writes about something that doesn't stop the command.
func (m *Messages) Warn(format string, args ...any) {
	line := text.Escape(fmt.Sprintf(format, args...))
	if m.Log != nil {
		m.Log.Warn(line)
		return
	}
	m.prose("harvest: warning:", Yellow, line)
}

// prose writes text behind a word, in lines that a terminal is wide enough for.
func (m *Messages) prose(word string, style Style, text string) {
	room := 0
	if m.Width > 0 {
		room = m.Width - Columns(word) - 1
	}
	const indent = "  "
	first, rest, _ := strings.Cut(strings.Join(Wrap(text, room), "\n"), "\n")
	_, _ = fmt.Fprintf(m.W, "%s %s\n", m.Paint(style, word), first)
	if rest == "" {
		return
	}
	for _, line := range Wrap(strings.ReplaceAll(rest, "\n", " "), m.Width-len(indent)) {
		_, _ = fmt.Fprintf(m.W, "%s%s\n", indent, line)
	}
}

// Separate returns the errors that errors.Join put together.
func Separate(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	var texts []string
	for _, err := range joined.Unwrap() {
		texts = append(texts, err.Error())
		all = append(all, Separate(err)...)
	}
	if strings.Join(texts, "\n") != err.Error() { // a fmt.Errorf with several causes
		return []error{err}
	}
	return all
}

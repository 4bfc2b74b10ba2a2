package main

// What goes where: results go to stdout, and nothing else does; errors, warnings, hints,
// the log and progress go to stderr. What comes from outside (keys, annotations, replies)
// is made printable first: it could otherwise steer a terminal. Colours and a width are
// for terminals: a pipe gets lines as long as they are.

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/text"
)

// What nearly every line needs that is printed.
var (
	printable = text.Escape
	plural    = text.Plural
	ago       = text.Ago
	quote     = text.ShellQuote
)

// output is stdout. It remembers the first error, so that a full disk isn't a success.
type output struct {
	w      io.Writer
	screen screen
	err    error
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(b)
	o.err = err
	return n, err
}

func (o *output) printf(format string, args ...any) { _, _ = fmt.Fprintf(o, format, args...) }

// json writes v indented.
func (o *output) json(v any) {
	encoder := json.NewEncoder(o)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil && o.err == nil {
		o.err = err
	}
}

// messages is stderr as people read it, or JSON lines where -log-format says so.
type messages struct {
	w      io.Writer
	screen screen
	log    *slog.Logger // nil: text
}

// fail tells of an error, each of several joined ones by itself, and the way out.
func (m *messages) fail(err error, hint string) {
	for _, err := range separate(err) {
		if m.log != nil {
			m.log.Error(printable(err.Error()))
			continue
		}
		_, _ = fmt.Fprintf(m.w, "%s %s\n", m.screen.paint(alarm, "harvest:"), printable(err.Error()))
	}
	switch {
	case hint == "":
	case m.log != nil:
		m.log.Error("way out", "hint", hint)
	default:
		for line := range strings.SplitSeq(hint, "\n") {
			_, _ = fmt.Fprintf(m.w, "  %s\n", printable(line))
		}
	}
}

// warn tells of something that doesn't stop the command.
func (m *messages) warn(format string, args ...any) {
	text := printable(fmt.Sprintf(format, args...))
	if m.log != nil {
		m.log.Warn(text)
		return
	}
	_, _ = fmt.Fprintf(m.w, "%s %s\n", m.screen.paint(yellow, "harvest: warning:"), text)
}

// separate returns the errors that errors.Join put together.
func separate(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	var texts []string
	for _, err := range joined.Unwrap() {
		texts = append(texts, err.Error())
		all = append(all, separate(err)...)
	}
	if strings.Join(texts, "\n") != err.Error() { // a fmt.Errorf with several causes
		return []error{err}
	}
	return all
}

// logger returns the log that -log-format and -log-level ask for; nil is none. In JSON,
// messages go there too, so that each line of stderr is a JSON object. usual is the level
// of a text log that isn't asked for.
func (a *app) logger(cmd *cli.Command, usual string) (*slog.Logger, error) {
	format, err := oneOf(cmd, "log-format", "text", "json")
	if err != nil {
		return nil, err
	}
	level := cmd.String("log-level")
	if level == "" {
		level = map[string]string{"text": usual, "json": "info"}[format]
	}
	options := &slog.HandlerOptions{}
	switch level {
	case "none":
		options.Level = slog.LevelError + 1
	case "debug", "info", "warn", "error":
		var l slog.Level
		_ = l.UnmarshalText([]byte(level))
		options.Level = l
	default:
		return nil, usage(cmd, "-log-level %q: want none, error, warn, info or debug", level)
	}
	if format == "json" {
		a.says.log = slog.New(slog.NewJSONHandler(a.stderr, nil))
		return slog.New(slog.NewJSONHandler(a.stderr, options)), nil
	}
	return slog.New(slog.NewTextHandler(a.stderr, options)), nil
}

package manual

import (
	"fmt"
	"strings"

	"github.com/jwksharvest/harvest/internal/text"
)

// manDate is the date that the manual pages carry: of the last change to what they say.
const manDate = "2026-11-26"

// roff writes a manual page in the man(7) macros.
type roff struct{ strings.Builder }

func newRoff(name string, section int, title string) *roff {
	r := &roff{}
	fmt.Fprintf(r, ".\\\" Written by make manual; don't edit.\n")
	fmt.Fprintf(r, ".TH %s %d %s harvest \"%s\"\n.nh\n", strings.ToUpper(name), section, manDate, title)
	return r
}

// Escape returns text as roff takes it in the middle of a line.
func Escape(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\\':
			b.WriteString(`\e`)
		case c == '`':
			b.WriteString(`\(ga`)
		case c == '\'':
			b.WriteString(`\(aq`)
		case c == '^':
			b.WriteString(`\(ha`)
		case c == '~':
			b.WriteString(`\(ti`)
		case c == '-':
			b.WriteString(`\-`)
		case c > '~':
			fmt.Fprintf(&b, `\[u%04X]`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// quoted is what prose has in backquotes, and words that are typed as they stand.
var quoted = text.Pattern("`[^`]+`")

// prose writes a paragraph's text, a sentence or a line at a time. What is in backquotes
// is bold.
func (r *roff) prose(prose string) {
	for i, line := range strings.Split(strings.TrimSpace(prose), "\n") {
		if i > 0 && strings.HasPrefix(line, "-") { // about another flag
			r.WriteString(".br\n")
		}
		var b strings.Builder
		rest := line
		for _, at := range quoted().FindAllString(line, -1) {
			before, after, _ := strings.Cut(rest, at)
			b.WriteString(Escape(before) + `\fB` + Escape(strings.Trim(at, "`")) + `\fR`)
			rest = after
		}
		b.WriteString(Escape(rest))
		r.fill(b.String())
	}
}

// fill writes words in lines of 80 characters at most.
func (r *roff) fill(text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > 79 {
			r.WriteString(line + "\n")
			line = ""
		}
		switch {
		case line != "":
			line += " " + word
		case strings.HasPrefix(word, "."): // which would be a request
			line = `\&` + word
		default:
			line = word
		}
	}
	if line != "" {
		r.WriteString(line + "\n")
	}
}

func (r *roff) section(title string)    { fmt.Fprintf(r, ".SH %s\n", heading(title)) }
func (r *roff) subsection(title string) { fmt.Fprintf(r, ".SS %s\n", heading(title)) }

// heading returns a title; quotes would part it.
func heading(title string) string { return strings.ReplaceAll(Escape(title), `"`, `\(dq`) }

// item writes what is described, in roff, and its description.
func (r *roff) item(tag, text string) {
	fmt.Fprintf(r, ".TP\n%s\n", tag)
	r.prose(text)
}

// code writes lines as they stand.
func (r *roff) code(text string) {
	lines := strings.Split(strings.TrimSuffix(r.String(), "\n"), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, ".PP") && !strings.HasPrefix(last, ".SH") {
		r.WriteString(".PP\n")
	}
	r.WriteString(".RS 4\n.nf\n")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		line = Escape(line)
		if strings.HasPrefix(line, ".") {
			line = `\&` + line
		}
		if line == "" {
			line = `\&`
		}
		r.WriteString(line + "\n")
	}
	r.WriteString(".fi\n.RE\n")
}

// paragraphs writes text of a command's description: paragraphs with a blank line between
// them, of which those that are indented are examples.
func (r *roff) paragraphs(text string) {
	for i, p := range strings.Split(text, "\n\n") {
		if strings.HasPrefix(p, "   ") {
			r.code(strings.TrimSpace(p))
			continue
		}
		if i > 0 {
			r.WriteString(".PP\n")
		}
		r.prose(p)
	}
}

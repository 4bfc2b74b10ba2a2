package manual

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/terminal"
)

const (
	helpWidth = 80 // where there is no terminal
	mostTag   = 30 // columns of a flag; what is longer has a line of its own
)

// Help writes what a command is for and what it takes, to the width of the terminal. Flags without
// a category are those that matter: they come first, and the others behind the headings of theirs.
func Help(w io.Writer, t terminal.Terminal, cmd *cli.Command) {
	t.Width = cmp.Or(t.Width, helpWidth)
	h := help{terminal.Output{W: w, Terminal: t}}
	h.heading("NAME")
	h.Text("   ", "   ", cmd.FullName()+" - "+cmd.Usage)
	h.heading("\nUSAGE")
	usage := cmd.FullName()
	if len(cmd.Commands) > 0 {
		usage += " COMMAND"
	}
	h.Text("   ", "   ", strings.TrimSpace(usage+" [options] "+strings.TrimSpace(cmd.ArgsUsage)))
	if cmd.Version != "" {
		h.heading("\nVERSION")
		h.Text("   ", "   ", cmd.Version)
	}
	if cmd.Description != "" {
		h.heading("\nDESCRIPTION")
		h.prose(cmd.Description)
	}
	var rows [][2]string
	for _, c := range cmd.Commands {
		rows = append(rows, [2]string{strings.Join(c.Names(), ", "), c.Usage})
	}
	h.table("COMMANDS", rows)
	h.flags(cmd.VisibleFlags())
}

type help struct{ terminal.Output }

func (h *help) heading(title string) {
	before := strings.TrimLeft(title, "\n")
	h.Printf("%s%s\n", strings.TrimSuffix(title, before), h.Paint(terminal.Bold, before+":"))
}

// prose writes paragraphs. Lines that are indented stay as they are.
func (h *help) prose(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			h.Printf("\n")
		}
		line := ""
		flush := func() {
			if line != "" {
				h.Text("   ", "   ", line)
			}
			line = ""
		}
		for next := range strings.SplitSeq(paragraph, "\n") {
			switch {
			case strings.HasPrefix(next, " "):
				flush()
				h.Printf("   %s\n", next)
				continue
			case strings.HasPrefix(next, "-"): // about another flag
				flush()
			}
			line = strings.TrimSpace(line + " " + next)
		}
		flush()
	}
}

// flags writes those without a category first, then each category's. All are in the order of
// their definition.
func (h *help) flags(flags []cli.Flag) {
	titles := []string{""}
	rows := map[string][][2]string{}
	for _, f := range flags {
		title := ""
		if c, ok := f.(cli.CategorizableFlag); ok {
			title = c.GetCategory()
		}
		if !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
		text := strings.ReplaceAll(docOf(f).GetUsage(), "`", "")
		if def := defaultOf(f); def != "" {
			text += " (default: " + def + ")"
		}
		rows[title] = append(rows[title], [2]string{typed(f), text})
	}
	for _, title := range titles {
		h.table(cmp.Or(strings.ToUpper(title), "OPTIONS"), rows[title])
	}
}

// typed returns a flag as it is typed, with its other names.
func typed(f cli.Flag) string {
	tag := "-" + strings.Join(f.Names(), ", -")
	switch {
	case f.Names()[0] == turnover:
		return tag + "[=" + placeholderOf(docOf(f)) + "]"
	case docOf(f).TakesValue():
		return tag + " " + placeholderOf(docOf(f))
	}
	return tag
}

// table writes rows of two columns.
func (h *help) table(title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	h.heading("\n" + title)
	column := 0
	for _, row := range rows {
		if n := terminal.Columns(row[0]); n <= mostTag {
			column = max(column, n)
		}
	}
	for _, row := range rows {
		gap := column - terminal.Columns(row[0])
		before := "   " + row[0] + strings.Repeat(" ", max(gap, 0)) + "  "
		if gap < 0 {
			h.Printf("   %s\n", row[0])
			before = strings.Repeat(" ", column+5)
		}
		h.Text(before, before, row[1])
	}
}

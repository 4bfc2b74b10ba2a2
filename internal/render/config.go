package render

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/internal/text"
)

var wordStyles = map[string]terminal.Style{"error": terminal.Alarm, "warning": terminal.Yellow}

// Validation writes a line for each problem, as compilers do, in the order of the
// file. None is broken up: editors read them.
func (o *Output) Validation(v *config.Validation) {
	type line struct {
		config.Problem
		word string
	}
	var lines []line
	for _, p := range v.Errors {
		lines = append(lines, line{p, "error"})
	}
	for _, p := range v.Warnings {
		lines = append(lines, line{p, "warning"})
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for _, l := range lines {
		o.Printf("%s:%d:%d: %s %s\n", text.Escape(v.File), l.Line, l.Column, o.Paint(wordStyles[l.word], l.word+":"), l.Message)
	}
	if !v.Valid {
		o.Printf("%s: not valid: %d %s.\n", text.Escape(v.File), len(v.Errors), text.Plural(len(v.Errors), "error"))
		return
	}
	relays := ""
	if v.Relays > 0 {
		relays = fmt.Sprintf(", %d %s", v.Relays, text.Plural(v.Relays, "relay"))
	}
	o.Printf("%s: valid: %d %s, %d %s, %d %s%s.\n", text.Escape(v.File), v.Clusters, text.Plural(v.Clusters, "cluster"),
		v.Vaults, text.Plural(v.Vaults, "Vault"), v.Mounts, text.Plural(v.Mounts, "mount"), relays)
}

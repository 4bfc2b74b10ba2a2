package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/terminal"
)

// figuresTable is what tests said of themselves as attributes. One called table begins a table with
// its value as the heads of the columns, a note ends it, and the others are rows.
func figuresTable(columns []*column) string {
	var parts []string
	for _, c := range columns {
		for _, name := range slices.Sorted(maps.Keys(c.tests)) {
			var out strings.Builder
			for _, a := range c.tests[name].attrs {
				key, value := strings.ReplaceAll(a[0], "_", " "), a[1]
				switch key {
				case "table":
					fmt.Fprintf(&out, "| %s |\n|%s\n", value, strings.Repeat(" --- |", 1+strings.Count(value, " | ")))
				case "note":
					fmt.Fprintf(&out, "\n%s\n", strings.Join(terminal.Wrap(value, 100), "\n"))
				default:
					fmt.Fprintf(&out, "| %s | %s |\n", key, value)
				}
			}
			if out.Len() > 0 {
				parts = append(parts, fmt.Sprintf("`%s`:\n\n%s", name, &out))
			}
		}
	}
	return strings.Join(parts, "\n")
}

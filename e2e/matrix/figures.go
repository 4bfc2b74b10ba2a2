package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// figuresTable is what tests said of themselves as attributes, a table a test or a part of it.
func figuresTable(columns []*column) string {
	var out strings.Builder
	for _, c := range columns {
		for _, name := range slices.Sorted(maps.Keys(c.tests)) {
			attrs := c.tests[name].attrs
			if len(attrs) == 0 {
				continue
			}
			fmt.Fprintf(&out, "| `%s` | |\n| --- | --- |\n", name)
			for _, a := range attrs {
				fmt.Fprintf(&out, "| %s | %s |\n", strings.ReplaceAll(a[0], "_", " "), a[1])
			}
			out.WriteString("\n")
		}
	}
	return strings.TrimSuffix(out.String(), "\n")
}

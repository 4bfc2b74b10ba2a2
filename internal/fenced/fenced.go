// Package fenced finds the fenced blocks of a page of documentation, for the tests that
// check and run them.
package fenced

import "strings"

// Block is one fenced block.
type Block struct {
	Section  string // the last heading of two #
	Language string // what stands behind the fence
	Above    string // the line before it, without white space around it
	Text     string // without the fence's indentation
	Line     int    // of the fence, from 1
}

// Blocks returns the blocks of a page in their order. ok is false where the last of them
// has no end.
func Blocks(page string) (blocks []Block, ok bool) {
	section, above, indent, open := "", "", "", false
	for i, line := range strings.Split(page, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case strings.HasPrefix(trimmed, "```"):
			if open = !open; open {
				indent = line[:len(line)-len(trimmed)]
				blocks = append(blocks, Block{
					Section: section, Language: strings.TrimPrefix(trimmed, "```"), Above: strings.TrimSpace(above), Line: i + 1,
				})
			}
		case open:
			blocks[len(blocks)-1].Text += strings.TrimPrefix(line, indent) + "\n"
		case strings.HasPrefix(line, "## "):
			section = strings.TrimPrefix(line, "## ")
		}
		above = line
	}
	return blocks, !open
}

// illustration stands above a block of commands that no test runs.
const illustration = "<!-- illustration -->"

// Illustrates reports whether the block is marked as one whose commands no test runs.
func (b Block) Illustrates() bool { return b.Above == illustration }

// Run reports whether the end-to-end tests run the commands of the block on that page, by its
// path from the root of the sources: those of docs/start.md, and those that tell in README.md
// how to use harvest, but for illustrations.
func (b Block) Run(page string) bool {
	return b.Language == "sh" && !b.Illustrates() && (page == "docs/start.md" || page == "README.md" && b.Section == "Use")
}

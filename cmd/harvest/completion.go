package main

import (
	"bytes"
	"context"
	"strings"

	"github.com/urfave/cli/v3"
)

// complete offers flags with as many dashes as were typed: a shell drops what doesn't begin
// with the word that it completes.
func (a *app) complete(ctx context.Context, cmd *cli.Command) {
	root := cmd.Root()
	out := root.Writer
	var offers bytes.Buffer
	root.Writer = &offers
	cli.DefaultCompleteWithFlags(ctx, cmd)
	root.Writer = out
	word := ""
	if n := len(a.args); n >= 2 { // the last argument asks for completion
		word = a.args[n-2]
	}
	one := len(word) > 1 && word[0] == '-' && word[1] != '-'
	for line := range strings.Lines(offers.String()) {
		if one && strings.HasPrefix(line, "--") {
			line = line[1:]
		}
		a.out.Printf("%s", line)
	}
}

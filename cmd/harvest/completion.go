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
	one := !strings.HasPrefix(word, "--")
	for line := range strings.Lines(offers.String()) {
		if one && strings.HasPrefix(line, "--") {
			line = line[1:]
		}
		a.out.Printf("%s", line)
	}
}

// describeCompletion has the library's command for completion speak as ours do.
func describeCompletion(c *cli.Command) {
	c.Hidden = false
	c.Usage = "print a script that completes commands and flags, for a shell"
	c.Description = "For bash in ~/.bashrc, for zsh in ~/.zshrc, and for fish once:\n\n" +
		"   source <(harvest completion bash)\n" +
		"   source <(harvest completion zsh)\n" +
		"   harvest completion fish > ~/.config/fish/completions/harvest.fish\n\n" +
		"That of pwsh (PowerShell) goes to a file harvest.ps1, by whose name it knows the command, and is run from there."
	for _, shell := range c.Commands {
		shell.Usage = "print the script for " + shell.Name
	}
}

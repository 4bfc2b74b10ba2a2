package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
)

// completionBash is our own: that of the library needs the bash-completion package, and evaluates
// what was typed.
//
//go:embed completion.bash
var completionBash string

// wordsOf returns what a flag takes where that is one of some words.
func wordsOf(f cli.Flag) []string {
	flag, ok := f.(*cli.StringFlag)
	if !ok || flag.Validator == nil {
		return nil
	}
	wanted, _ := errors.AsType[wantedError](flag.Validator("?"))
	return wanted
}

// complete offers the words that a flag takes behind it, and otherwise flags, with as many dashes
// as were typed: a shell drops what doesn't begin with the word that it completes.
func (a *app) complete(ctx context.Context, cmd *cli.Command) {
	word := ""
	if n := len(a.args); n >= 2 { // the last argument asks for completion
		word = a.args[n-2]
	}
	for _, f := range cmd.Flags {
		if strings.HasPrefix(word, "-") && slices.Contains(f.Names(), strings.TrimLeft(word, "-")) {
			if words := wordsOf(f); len(words) > 0 {
				a.out.Printf("%s\n", strings.Join(words, "\n"))
				return
			}
		}
	}
	root := cmd.Root()
	out := root.Writer
	var offers bytes.Buffer
	root.Writer = &offers
	cli.DefaultCompleteWithFlags(ctx, cmd)
	root.Writer = out
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
	c.Usage = "print a script that completes commands, flags and their words, for a shell"
	c.Description = "For bash in ~/.bashrc, for zsh in ~/.zshrc, and for fish once:\n\n" +
		"   source <(harvest completion bash)\n" +
		"   source <(harvest completion zsh)\n" +
		"   harvest completion fish > ~/.config/fish/completions/harvest.fish\n\n" +
		"That of pwsh (PowerShell) goes to a file harvest.ps1, by whose name it knows the command, and is run from there."
	for _, shell := range c.Commands {
		shell.Usage = "print the script for " + shell.Name
		if shell.Name == "bash" {
			shell.Action = func(_ context.Context, cmd *cli.Command) error {
				_, err := cmd.Root().Writer.Write([]byte(completionBash))
				return err
			}
		}
	}
}

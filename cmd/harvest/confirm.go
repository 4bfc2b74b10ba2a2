package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"
)

// confirmable refuses to ask where nobody can answer.
func (a *app) confirmable(cmd *cli.Command, form string) error {
	if form != "" || cmd.Bool("y") || cmd.Bool("dry-run") || cmd.String("format") == "json" {
		return nil
	}
	if f, ok := a.stdin.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return usage(cmd, "nobody is there to say yes: give -y to go on without asking, -dry-run to see what would be done, or -print")
	}
	return nil
}

// ask wants a yes, and takes anything else for a no.
func (a *app) ask(ctx context.Context) (bool, error) {
	f, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, errors.New("give -y to go on")
	}
	_, _ = fmt.Fprint(a.stderr, "\nDo this? Only \"yes\" will do: ")
	answer := make(chan string, 1)
	go func() { // a read from a terminal can't be ended; the process can
		line, _ := bufio.NewReader(io.LimitReader(a.stdin, 1<<10)).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		return strings.TrimSpace(line) == "yes", nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

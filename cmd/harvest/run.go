package main

// What goes where: results go to stdout, and nothing else does; errors, warnings, hints,
// the log and progress go to stderr. What comes from outside (keys, annotations, replies)
// is made printable first: it could otherwise steer a terminal. Colours and a width are
// for terminals: a pipe gets lines as long as they are.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/terminal"
)

// process is what a run has of its operating system. Vault's own variables are the
// exception: vault/api reads them itself.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	usual          string // the configuration where none is named; "": there is none

	outTerminal, errTerminal terminal.Terminal // what stdout and stderr lead to
}

// app is one run of the command.
type app struct {
	process
	args []string // as called, with the program's name
	out  *render.Output
	says *terminal.Messages

	exposed []string // files that were warned of
}

// run runs the command and returns its exit code. args begins with the program's name.
func run(ctx context.Context, args []string, p process) int {
	a := &app{process: p, args: args, out: &render.Output{Output: terminal.Output{W: p.stdout, Terminal: p.outTerminal}}, says: &terminal.Messages{W: p.stderr, Terminal: p.errTerminal}}
	err := refuseTokens(args)
	if err == nil {
		root := a.root()
		root.Commands = called(root.Commands, args)
		err = root.Run(ctx, args)
	}
	if err == nil && a.out.Err != nil {
		err = fmt.Errorf("writing the results: %w", a.out.Err)
	}
	if err == nil {
		return exitOK
	}
	if code, ok := errors.AsType[exitError](err); ok {
		return int(code)
	}
	a.says.Fail(err, a.hint(err))
	return exitNothing
}

package main

import (
	"fmt"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/vaultsync"
)

// Exit codes.
const (
	exitOK      = 0 // everything is in sync
	exitNothing = 1 // nothing could be done: usage, configuration, Vault, every cluster
	exitPending = 2 // plan -detailed-exitcode: there is something to change
	exitPartial = 3 // some cluster or mount is not in sync
	exitRefused = 3 // verify: the token would not log in
)

// exitError ends a command whose outcome was reported already. It is the exit code.
type exitError int

// Error implements error; nobody reads it.
func (c exitError) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// exit returns the error that makes run return code.
func exit(code int) error {
	if code == exitOK {
		return nil
	}
	return exitError(code)
}

// usageError is a call that can't be understood. It says where help is.
type usageError struct {
	command string // such as "harvest sync"
	err     error
}

// Error implements error.
func (e *usageError) Error() string { return fmt.Sprintf("%v (see `%s -help`)", e.err, e.command) }

func usage(cmd *cli.Command, format string, args ...any) error {
	return &usageError{cmd.FullName(), fmt.Errorf(format, args...)}
}

// outcome returns the exit code of a report.
func outcome(r *vaultsync.Report) int {
	switch {
	case r.Nothing():
		return exitNothing
	case r.Err() != nil: // what is planned and not yet done is no failure
		return exitPartial
	}
	return exitOK
}

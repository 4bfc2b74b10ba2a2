package main

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/jwks"
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
	case didNothing(r):
		return exitNothing
	case r.Err() != nil: // what is planned and not yet done is no failure
		return exitPartial
	}
	return exitOK
}

// didNothing reports whether a run had no effect: no mount could be planned or synced, or no
// cluster was read and nothing was to be done without (such as to remove a denied key).
func didNothing(r *vaultsync.Report) bool {
	if !slices.ContainsFunc(r.Mounts, func(m *vaultsync.MountReport) bool { return m.Err == nil }) {
		return true
	}
	return !slices.ContainsFunc(r.Clusters, func(c jwks.Result) bool { return c.Err == nil }) && !hasChanges(r)
}

// hasChanges reports whether anything was planned on a mount.
func hasChanges(r *vaultsync.Report) bool {
	return slices.ContainsFunc(r.Mounts, func(m *vaultsync.MountReport) bool { return m.Plan != nil && m.Plan.Changed })
}

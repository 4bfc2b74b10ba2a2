// Command harvest keeps Vault's list of trusted signing keys equal to what Nomad clusters
// publish. See `harvest -help`, and package vaultsync for what it does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/terminal"
)

func main() { os.Exit(mainCode()) }

// mainCode is main without the exit, so that what is deferred here is done.
func mainCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process
	_ = noCoreDumps(os.Getenv)   // where that fails there is a limit already that allows none
	return run(ctx, os.Args, process{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, now: time.Now, usual: config.Usual,
		outTerminal: terminal.Of(os.Stdout, os.Getenv), errTerminal: terminal.Of(os.Stderr, os.Getenv),
	})
}

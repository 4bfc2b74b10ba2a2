package main

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// panicVariable, where it is set, makes the command panic once it has logged in.
const panicVariable = "HARVEST_TEST_PANIC"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"harvest": func() {
			if os.Getenv(panicVariable) != "" {
				os.Exit(run(context.Background(), os.Args, process{
					stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, now: func() time.Time { panic("no time") },
				}))
			}
			os.Exit(mainCode())
		},
	})
}

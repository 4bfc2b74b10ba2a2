package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// panicVariable, where it is set, makes the command panic once it has logged in.
const panicVariable = "HARVEST_TEST_PANIC"

// apart runs the tests without the machine's own Vault and Nomad settings.
type apart struct{ *testing.M }

func (a apart) Run() int {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "VAULT_") || strings.HasPrefix(name, "NOMAD_") {
			_ = os.Unsetenv(name)
		}
	}
	_ = os.Setenv("VAULT_MAX_RETRIES", "0")
	return a.M.Run()
}

func TestMain(m *testing.M) {
	testscript.Main(apart{m}, map[string]func(){
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

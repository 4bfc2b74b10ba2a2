package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/verify"
)

// webToken is a JWT: three parts in base64url, the first of them a JSON object.
var webToken = text.Pattern(webTokenBegins + `[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`)

// webTokenBegins is looked for first: most runs have no such argument.
const webTokenBegins = "eyJ"

// errExposed: a token among the arguments.
var errExposed = errors.New("an argument holds a token, which now stands in the process list and in the shell's history: " +
	"treat it as exposed, and stop what it is for or let it expire; name the file that holds it instead, or pipe it in")

// refuseTokens refuses to run with a token among the arguments, before anything could
// repeat them.
func refuseTokens(args []string) error {
	isToken := func(arg string) bool { return strings.Contains(arg, webTokenBegins) && webToken().MatchString(arg) }
	if slices.ContainsFunc(args[min(1, len(args)):], isToken) {
		return errExposed
	}
	return nil
}

func readsStdin(cmd *cli.Command) bool { return !cmd.Args().Present() || cmd.Args().First() == "-" }

// readToken reads the token from the file that is named or from stdin.
func (a *app) readToken(ctx context.Context, cmd *cli.Command) (*verify.Token, error) {
	name, open := "standard input", func() (io.ReadCloser, error) { return io.NopCloser(a.stdin), nil }
	switch file := cmd.Args().First(); {
	case !cmd.Args().Present():
		if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return nil, usage(cmd, "no token: name the file that holds it, such as ${NOMAD_SECRETS_DIR}/nomad_vault_default.jwt, or pipe it in")
		}
	case file == "":
		return nil, usage(cmd, "the name of the token's file is empty")
	case file != "-":
		name, open = file, func() (io.ReadCloser, error) { return os.Open(file) } //nolint:gosec // the operator names the file
	}
	return verify.ReadToken(ctx, name, open)
}

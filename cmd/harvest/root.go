package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/manual"
	"github.com/jwksharvest/harvest/internal/render"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/internal/text"
)

// ownHelp makes the library print help as everything else is printed. What it writes to is the
// root's Writer.
var ownHelp = sync.OnceFunc(func() {
	cli.HelpPrinter = func(w io.Writer, _ string, cmd any) {
		o, _ := w.(*render.Output)
		of, _ := cmd.(*cli.Command)
		manual.Help(o, o.Terminal, of)
	}
})

// root returns the command with its subcommands. Nothing of it is made before run.
func (a *app) root() *cli.Command {
	ownHelp()
	root := &cli.Command{
		Name:  "harvest",
		Usage: "keep the signing keys that Vault trusts equal to those that Nomad clusters publish",
		Description: "Flags take one dash or two, and follow the command they belong to.\n\n" +
			"Results go to stdout, everything else to stderr. Exit codes: 0 everything is in sync; 1 nothing could be\n" +
			"done; 2 changes are pending (plan -detailed-exitcode); 3 some cluster or mount is not in sync, status -lint\n" +
			"found something, setup left something as it is, or verify's token would not log in.",
		Version:               buildInfo().Version,
		Writer:                a.out,
		ErrWriter:             &render.Output{Output: terminal.Output{W: a.stderr, Terminal: a.errTerminal}},
		Reader:                a.stdin,
		EnableShellCompletion: true,
		ShellComplete:         a.complete,
		ConfigureShellCompletionCommand: func(c *cli.Command) {
			describeCompletion(c)
		},
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // run decides
		OnUsageError:   onUsageError,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if cmd.Args().Present() {
				return unknownCommand(cmd)
			}
			cmd.Writer = cmd.ErrWriter
			_ = cli.ShowRootCommandHelp(cmd)
			return exit(exitNothing) // a cron line that lost its command must not look like a success
		},
		Commands: []*cli.Command{
			a.pemCommand(), a.planCommand(), a.syncCommand(), a.watchCommand(), a.statusCommand(), a.verifyCommand(), a.setupCommand(), a.policyCommand(), a.configCommand(), a.versionCommand(), helpCommand(),
		},
	}
	a.strict(root.Commands)
	return root
}

// called returns the command that args name alone, and all where they name none, or help: what
// the flags of the others take to set up is time before a key is looked at.
func called(commands []*cli.Command, args []string) []*cli.Command {
	if len(args) > 1 && args[1] != "help" {
		for i, cmd := range commands {
			if cmd.Name == args[1] {
				return commands[i : i+1]
			}
		}
	}
	return commands
}

// helpCommand explains a command of several words too, which the one of the library doesn't.
func helpCommand() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Aliases:   []string{"h"},
		Usage:     "list the commands, or explain one of them",
		ArgsUsage: "[COMMAND]",
		HideHelp:  true,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			of := cmd.Root()
			names := cmd.Args().Slice()
			for i, name := range names {
				next := of.Command(name)
				if next == nil {
					return fmt.Errorf("unknown command %q; `harvest help` lists them", strings.Join(names[:i+1], " "))
				}
				if i == len(names)-1 {
					return cli.ShowCommandHelp(ctx, of, name)
				}
				of = next
			}
			return cli.ShowRootCommandHelp(of)
		},
	}
}

// strict makes commands refuse what they don't know, in our words.
func (a *app) strict(commands []*cli.Command) {
	for _, cmd := range commands {
		cmd.ShellComplete = a.complete
		cmd.OnUsageError = onUsageError
		cmd.HideHelpCommand = true
		if len(cmd.Commands) > 0 {
			cmd.Action = noCommand
			a.strict(cmd.Commands)
		} else if cmd.ArgsUsage == "" {
			cmd.ArgsUsage = " "
			cmd.ArgValidator = noArguments
		}
	}
}

// noCommand is what a command with subcommands does without one of them: a cron line that
// lost its command must not look like a success.
func noCommand(_ context.Context, cmd *cli.Command) error {
	if cmd.Args().Present() {
		return unknownCommand(cmd)
	}
	cmd.Root().Writer = cmd.Root().ErrWriter
	_ = cli.ShowSubcommandHelp(cmd)
	return exit(exitNothing)
}

// badValue is what the library says of a value that a flag doesn't take.
var badValue = text.Pattern(`^invalid value (".*") for flag -(\S+): `)

// unknownCommand offers the command that was meant, where there is one that begins alike.
func unknownCommand(cmd *cli.Command) error {
	name := cmd.Args().First()
	near := cli.SuggestCommand(cmd.Commands, name)
	if near == "" || name == "" || near[0] != name[0] { // it suggests something for anything
		return usage(cmd, "unknown command %q", name)
	}
	return usage(cmd, "unknown command %q; did you mean %s?", name, near)
}

func onUsageError(_ context.Context, cmd *cli.Command, err error, _ bool) error {
	const undefined = "flag provided but not defined: "
	if name, ok := strings.CutPrefix(err.Error(), undefined); ok {
		flag := "-" + strings.TrimLeft(name, "-")
		if cmd.Root() == cmd {
			return usage(cmd, "unknown flag %s: flags follow the command they belong to", flag)
		}
		err = fmt.Errorf("unknown flag %s", flag)
		near := "-" + strings.TrimLeft(cli.SuggestFlag(cmd.Flags, flag[1:], false), "-")
		if len(near) > 2 && len(flag) > 2 && near[:3] == flag[:3] { // it suggests something for anything
			err = fmt.Errorf("%w; did you mean %s?", err, near)
		}
	}
	if message := badValue().ReplaceAllString(err.Error(), "-$2 $1: "); message != err.Error() {
		err = errors.New(message)
	}
	return &usageError{cmd.FullName(), err}
}

func noArguments(_ context.Context, cmd *cli.Command) error {
	if !cmd.Args().Present() {
		return nil
	}
	first := cmd.Args().First()
	if cmd.IsSet("allow-turnover") {
		return usage(cmd, "unexpected argument %q; a cluster is named with an equals sign: -allow-turnover=%s", first, first)
	}
	return usage(cmd, "unexpected argument %q", first)
}

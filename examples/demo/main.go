// Command demo shows harvest's main job: two Nomad clusters, one Vault mount, a rotation,
// the plan and the sync. It runs the real servers where there are binaries of them (make
// lab builds them, or they are on the PATH) and stand-ins inside its own process otherwise,
// and says which.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout, anyServers); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1) //nolint:gocritic // run has ended its servers
	}
}

// run plays on the servers that start returns.
func run(ctx context.Context, out io.Writer, start func(context.Context) (*servers, error)) error {
	dir, err := os.MkdirTemp("", "harvest-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	command := filepath.Join(dir, "harvest")
	build := exec.CommandContext(ctx, "go", "build", "-o", command, "github.com/jwksharvest/harvest/cmd/harvest")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building harvest: %w: %s", err, said)
	}

	servers, err := start(ctx)
	if err != nil {
		return err
	}
	defer servers.stop()
	fmt.Fprintf(out, "Servers: %s\n", servers.what)

	d := demo{ctx: ctx, out: out, command: command, config: filepath.Join(dir, "harvest.hcl"), servers: servers}
	if err := os.WriteFile(d.config, []byte(fmt.Sprintf(`
cluster "us-east" { address = %q }
cluster "eu-west" { address = %q }

vault { address = %q }

mount "jwt-nomad" { clusters = ["us-east", "eu-west"] }
`, servers.east.address, servers.west.address, servers.vault)), 0o600); err != nil {
		return err
	}
	return d.play()
}

// demo is one performance.
type demo struct {
	ctx             context.Context
	out             io.Writer
	command, config string
	servers         *servers
}

// play runs the scenes; the first that goes wrong ends it.
func (d *demo) play() error {
	return d.scenes(
		d.say("The mount jwt-nomad of Vault trusts nobody yet. What would harvest do?"),
		d.harvest("plan"),
		d.say("Two clusters, each with a key. Make Vault trust them:"),
		d.harvest("sync"),
		d.say("A task of us-east logs in to Vault with its workload identity:"),
		d.login,
		d.say("us-east rotates its key: nomad operator root keyring rotate -now"),
		d.servers.east.rotate,
		d.harvest("sync"),
		d.say("A task that starts now has a token of the new key:"),
		d.login,
		d.say("The next run finds nothing to do, and writes nothing:"),
		d.harvest("sync"),
	)
}

func (d *demo) scenes(scenes ...func(context.Context) error) error {
	for _, scene := range scenes {
		if err := scene(d.ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) say(text string) func(context.Context) error {
	return func(context.Context) error {
		_, err := fmt.Fprintf(d.out, "\n# %s\n", text)
		return err
	}
}

// harvest runs a subcommand of the command and shows what it prints.
func (d *demo) harvest(subcommand string) func(context.Context) error {
	return func(ctx context.Context) error {
		fmt.Fprintf(d.out, "$ harvest %s -config harvest.hcl\n", subcommand)
		cmd := exec.CommandContext(ctx, d.command, subcommand, "-config", d.config)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(d.config), "VAULT_TOKEN=" + d.servers.token}
		cmd.Stdout, cmd.Stderr = d.out, d.out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("harvest %s: %w", subcommand, err)
		}
		return nil
	}
}

func (d *demo) login(ctx context.Context) error {
	said, err := d.servers.login(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.out, "  %s\n", strings.TrimSpace(said))
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/daemon"
	"github.com/jwksharvest/harvest/internal/relay"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/vaultsync"
)

const (
	defaultResync = 5 * time.Minute
	minResync     = time.Second
	// gcPercent is how much garbage there may be, of what is in use, before it is collected
	// (GOGC). Nearly all that a watch allocates it keeps: Go's 100 would set aside as much
	// memory again, and collecting more often costs next to nothing.
	gcPercent = 25
)

func (a *app) watchCommand() *cli.Command {
	return &cli.Command{
		Name:  "watch",
		Usage: "sync on every change, until stopped",
		Description: "It takes the flags of sync, holds a query open at each cluster, and logs what it does to stderr. It retries\n" +
			"what fails, for ever. SIGTERM and SIGINT end it within a second. Under systemd, use Type=notify or notify-reload.\n\n" +
			"SIGHUP reads the configuration again. If the file has a mistake, the old configuration stays in force. Mounts\n" +
			"that share a cluster, directly or through other mounts, are watched together. Their watch starts again if one of\n" +
			"them has changed, or one of their clusters or Vaults, or the size or time of a TLS file. A changed Vault is also\n" +
			"logged in to again. Other watches go on. SIGHUP doesn't change the flags.\n\n" +
			"-listen serves a status page at /, /metrics for Prometheus, and three checks. /healthz is 200 while the process\n" +
			"lives, /readyz once every mount and cluster was tried, /insync while everything is in sync. There is no password.\n" +
			"Without a host it listens on 127.0.0.1. On a loopback address it answers only if Host is a loopback name or\n" +
			"address too.\n\n" +
			"-relay-listen serves the key sets of the relay blocks, at /relay/NAME/jwks.json, and nothing else. Off loopback\n" +
			"it needs -relay-cert and -relay-key, which are read again after they changed, or -relay-allow-plaintext.",
		Flags: slices.Concat(clusterFlags(), mountFlags(), ruleFlags(), []cli.Flag{configFlag()}, logFlags("info"), []cli.Flag{
			&cli.DurationFlag{Name: "resync", Category: inGeneral, Value: defaultResync, Usage: "also sync each mount every `DURATION`, in case others have changed it", Validator: checkResync},
			&cli.StringFlag{Name: "relay-listen", Category: inGeneral, Usage: "serve the key sets of relays on `ADDRESS`, such as 0.0.0.0:8301; without a host on 127.0.0.1"},
			&cli.StringFlag{Name: "relay-cert", Category: inGeneral, TakesFile: true, Usage: "`FILE` with the certificate that -relay-listen shows"},
			&cli.StringFlag{Name: "relay-key", Category: inGeneral, TakesFile: true, Usage: "`FILE` with its key"},
			&cli.BoolFlag{Name: "relay-allow-plaintext", Category: inGeneral, Usage: "serve relays over plain http off loopback too: anyone on that path chooses whom others trust"},
			&cli.StringFlag{Name: "listen", Usage: "serve a status page, metrics and health on `ADDRESS`, such as :8300 (on 127.0.0.1)"},
		}),
		Action: a.watch,
	}
}

func checkResync(d time.Duration) error {
	if d < minResync || config.IsLong(d) {
		return fmt.Errorf("want a duration from %v to ten years", minResync)
	}
	return nil
}

func (a *app) watch(ctx context.Context, cmd *cli.Command) error {
	log := a.logger(cmd, "info")
	relaying, err := relayListening(cmd)
	if err != nil {
		return err
	}
	load := func() (*config.Config, error) {
		cfg, err := a.loadWatched(cmd)
		if err == nil {
			a.warnExposed(cfg.CredentialFiles(a.getenv), func(name string) {
				log.Warn("a file with a credential can be read by every user of this machine", "file", text.Escape(name))
			})
			for _, address := range cfg.PlainVaults(a.getenv) {
				log.Warn("the token goes to Vault in plain HTTP; use https://", "vault", text.Escape(address))
			}
		}
		return cfg, err
	}
	cfg, err := load()
	if err != nil {
		return err
	}
	if a.getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	// Before anything is asked or changed: an address may be taken.
	pages, err := listen(ctx, cmd)
	if err != nil {
		return err
	}
	defer stopListening(pages)
	if pages != nil {
		if address, ok := pages.Addr().(*net.TCPAddr); ok && !address.IP.IsLoopback() {
			log.Warn("-listen has no password, and other machines can reach it", "address", address.String())
		}
	}
	relays, err := listenForRelays(ctx, relaying, log)
	if err != nil {
		return err
	}
	defer stopListening(relays)
	call := a.call(cfg.File, 0)
	d := daemon.New(daemon.Options{
		Log: log, Now: a.now, Watch: vaultsync.WatchOptions{Resync: cmd.Duration("resync")}, Reading: reading(false), Getenv: a.getenv,
		Hint: func(err error) string { return call.Of(err, false) },
	})
	if err := d.Use(ctx, cfg); err != nil {
		return err
	}
	defer d.Stop()
	if pages != nil {
		host, _, _ := net.SplitHostPort(cmd.String("listen"))
		defer d.Serve(pages, host, monitoredBuild())()
	}
	if relays != nil {
		defer d.ServeRelays(relays)()
	}
	return d.Run(ctx, hangup, func() (*config.Config, error) {
		cfg, err := load()
		if misused, ok := errors.AsType[*usageError](err); ok {
			err = misused.err
		}
		return cfg, err
	})
}

// loadWatched is load for a watch, which serves no relays where there are none.
func (a *app) loadWatched(cmd *cli.Command) (*config.Config, error) {
	cfg, err := a.load(cmd, true)
	if err == nil && cmd.IsSet("relay-listen") && cfg.Relays() == 0 {
		return nil, usage(cmd, "-relay-listen, and the configuration has no relay block: add one, or leave -relay-listen out")
	}
	return cfg, err
}

// listen returns the listener of -listen; nil without that flag.
func listen(ctx context.Context, cmd *cli.Command) (net.Listener, error) {
	if !cmd.IsSet("listen") {
		return nil, nil
	}
	address, err := daemon.ListenAddress(cmd.String("listen"))
	if err != nil {
		return nil, usage(cmd, "-listen %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	return l, nil
}

// listenForRelays returns the listener of relays; nil where they aren't served.
func listenForRelays(ctx context.Context, relaying relay.Listening, log *slog.Logger) (net.Listener, error) {
	if relaying.Address == "" {
		return nil, nil
	}
	l, err := relaying.Listen(ctx, log)
	if errors.Is(err, relay.ErrPlaintext) {
		err = fmt.Errorf("%w; give -relay-cert and -relay-key, or -relay-allow-plaintext", err)
	}
	if err != nil {
		return nil, fmt.Errorf("-relay-listen: %w", err)
	}
	return l, nil
}

// stopListening closes a listener that the daemon hasn't closed.
func stopListening(l net.Listener) {
	if l != nil {
		_ = l.Close()
	}
}

// relayListening returns what the flags say of how relays are served.
func relayListening(cmd *cli.Command) (relay.Listening, error) {
	l := relay.Listening{
		Address: cmd.String("relay-listen"), Cert: cmd.String("relay-cert"), Key: cmd.String("relay-key"), AllowPlaintext: cmd.Bool("relay-allow-plaintext"),
	}
	for _, name := range []string{"relay-listen", "relay-cert", "relay-key"} {
		if cmd.IsSet(name) && cmd.String(name) == "" { // a variable that isn't set, say
			return l, usage(cmd, "-%s is empty: give it a value, or leave it out", name)
		}
	}
	if l.Address == "" {
		for _, name := range []string{"relay-cert", "relay-key", "relay-allow-plaintext"} {
			if cmd.IsSet(name) {
				return l, usage(cmd, "-%s without -relay-listen ADDRESS", name)
			}
		}
		return l, nil
	}
	var err error
	if l.Address, err = daemon.ListenAddress(l.Address); err != nil {
		return l, usage(cmd, "-relay-listen %w", err)
	}
	if l.Cert != "" && l.AllowPlaintext {
		return l, usage(cmd, "-relay-allow-plaintext has no meaning beside -relay-cert")
	}
	return l, nil
}

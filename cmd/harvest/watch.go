package main

import (
	"context"
	"errors"
	"fmt"
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
		Description: "It takes what sync takes, holds a query open at each cluster, and logs what it does to stderr. What fails is tried\n" +
			"again, for ever. SIGTERM and SIGINT end it within a second. Under systemd, use Type=notify or notify-reload.\n\n" +
			"SIGHUP reads the configuration again; one with a mistake leaves the old one in force. Mounts that share a cluster,\n" +
			"directly or through other mounts, are watched together: what changes in one of them, in their clusters, their Vaults\n" +
			"or in the size or time of a TLS file begins their watch and, for a Vault, its login anew. The others go on. Other flags\n" +
			"than -config stay as they are.\n\n" +
			"-listen serves a status page at /, /metrics for Prometheus, and three checks: /healthz is 200 while the process lives,\n" +
			"/readyz once every mount and cluster was tried, /insync while everything is in sync. There is no password to it: without a host it listens on 127.0.0.1 only, and on a\n" +
			"loopback address it answers only to a Host that is one.\n\n" +
			"-relay-listen serves the key sets of the relay blocks, at /relay/NAME/jwks.json, and nothing else. Off loopback it wants\n" +
			"-relay-cert and -relay-key, which are read again after they changed, or -relay-allow-plaintext.",
		Flags: slices.Concat(clusterFlags(), mountFlags(), ruleFlags(), []cli.Flag{configFlag()}, logFlags("info"), []cli.Flag{
			&cli.DurationFlag{Name: "resync", Category: inGeneral, Value: defaultResync, Usage: "sync each mount every `DURATION` too, whatever happens: others may have changed it"},
			&cli.StringFlag{Name: "relay-listen", Category: inGeneral, Usage: "serve the key sets of relays on `ADDRESS`, such as 0.0.0.0:8301; without a host on 127.0.0.1"},
			&cli.StringFlag{Name: "relay-cert", Category: inGeneral, TakesFile: true, Usage: "`FILE` with the certificate that -relay-listen shows"},
			&cli.StringFlag{Name: "relay-key", Category: inGeneral, TakesFile: true, Usage: "`FILE` with its key"},
			&cli.BoolFlag{Name: "relay-allow-plaintext", Category: inGeneral, Usage: "serve relays over plain http off loopback too: whoever is on that path chooses whom others trust"},
			&cli.StringFlag{Name: "listen", Category: inGeneral, Usage: "serve a status page, metrics and health on `ADDRESS`, such as :8300 (on 127.0.0.1)"},
		}),
		Action: a.watch,
	}
}

func (a *app) watch(ctx context.Context, cmd *cli.Command) error {
	log, err := a.logger(cmd, "info")
	if err != nil {
		return err
	}
	resync := cmd.Duration("resync")
	if resync < minResync || config.IsLong(resync) {
		return usage(cmd, "-resync %v: want a duration from %v to ten years", resync, minResync)
	}
	address := cmd.String("listen")
	if address != "" {
		if address, err = daemon.ListenAddress(address); err != nil {
			return usage(cmd, "-listen %w", err)
		}
	}
	listening, err := relayListening(cmd)
	if err != nil {
		return err
	}
	cfg, err := a.load(cmd, true)
	if err != nil {
		return err
	}
	if a.getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	var listener net.Listener
	if address != "" { // before anything is asked or changed: the address may be taken
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); err != nil {
			return fmt.Errorf("-listen: %w", err)
		}
		defer listener.Close() //nolint:errcheck // the daemon closes it, or nobody came
	}
	var relays net.Listener
	if listening.Address != "" {
		relays, err = listening.Listen(ctx, log)
		if errors.Is(err, relay.ErrPlaintext) {
			err = fmt.Errorf("%w; give -relay-cert and -relay-key, or -relay-allow-plaintext", err)
		}
		if err != nil {
			return fmt.Errorf("-relay-listen: %w", err)
		}
		defer relays.Close() //nolint:errcheck // as above
	}
	d := daemon.New(log, a.now, vaultsync.WatchOptions{Resync: resync})
	if err := d.Use(ctx, a.daemonConfig(cfg, log)); err != nil {
		return err
	}
	defer d.Stop()
	if listener != nil {
		host, _, _ := net.SplitHostPort(address)
		defer d.Serve(listener, host, monitoredBuild())()
	}
	if relays != nil {
		defer d.ServeRelays(relays)()
	}
	return d.Run(ctx, hangup, func() (*daemon.Config, error) {
		cfg, err := a.load(cmd, true)
		if misused, ok := errors.AsType[*usageError](err); ok {
			err = misused.err
		}
		if err != nil {
			return nil, err
		}
		return a.daemonConfig(cfg, log), nil
	})
}

// relayListening returns what the flags say of how relays are served.
func relayListening(cmd *cli.Command) (relay.Listening, error) {
	l := relay.Listening{
		Address: cmd.String("relay-listen"), Cert: cmd.String("relay-cert"), Key: cmd.String("relay-key"), AllowPlaintext: cmd.Bool("relay-allow-plaintext"),
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

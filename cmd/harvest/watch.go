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

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/urfave/cli/v3"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/vaultsync"
)

const (
	defaultResync = 5 * time.Minute
	minResync     = time.Second
	// slowStart is when systemd is told that the service is up although some mount had no
	// first sync yet: it would be killed for what a dead cluster does.
	slowStart = 30 * time.Second
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
			"-listen serves a status page at /, /metrics for Prometheus, /healthz while the process lives, and /readyz where every mount was in\n" +
			"sync within twice -resync. There is no password to it: without a host it listens on 127.0.0.1 only, and on a\n" +
			"loopback address it answers only to a Host that is one.",
		Flags: slices.Concat(clusterFlags(), mountFlags(), ruleFlags(), []cli.Flag{configFlag()}, logFlags("info"), []cli.Flag{
			&cli.DurationFlag{Name: "resync", Category: inGeneral, Value: defaultResync, Usage: "sync each mount every `DURATION` too, whatever happens: others may have changed it"},
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
	if resync < minResync || isLong(resync) {
		return usage(cmd, "-resync %v: want a duration from %v to ten years", resync, minResync)
	}
	address := cmd.String("listen")
	if address != "" {
		if address, err = listenAddress(address); err != nil {
			return usage(cmd, "-listen %w", err)
		}
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
		if listener, err = listen(ctx, address); err != nil {
			return err
		}
		defer listener.Close() //nolint:errcheck // serve closes it, or nobody came
	}
	w := a.newWatcher(log, resync)
	if err := w.use(ctx, cfg); err != nil {
		return err
	}
	defer w.stop()
	if listener != nil {
		registry := monitor.NewRegistry(w.board, monitoredBuild())
		registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		name, _, _ := net.SplitHostPort(address)
		defer serve(listener, hostChecked(listener.Addr(), name, pages(w.board, registry, a.now, 2*resync)), log)()
	}
	return w.loop(ctx, hangup, newNotifier(a.getenv, os.Getpid()), func() (*config, error) { return a.load(cmd, true) })
}

func (a *app) newWatcher(log *slog.Logger, resync time.Duration) *watcher {
	w := &watcher{
		app: a, log: log, options: vaultsync.WatchOptions{Resync: resync}, times: defaultKeeperTimes, ended: make(chan error, 1),
	}
	w.board = monitor.New(log, func(err error) string {
		return hints{w.cfg.Load(), a.args, 0, a.getenv}.of(err, mountConfig{})
	})
	return w
}

// loop serves signals and systemd until ctx ends. All else has goroutines of its own, so
// that nothing but the loop keeps the watchdog quiet.
func (w *watcher) loop(ctx context.Context, hangup <-chan os.Signal, systemd notifier, load func() (*config, error)) error {
	tell := func(state string) {
		if err := systemd.tell(state); err != nil {
			w.log.Warn("no word to systemd", "error", err)
		}
	}
	beat, stop := systemd.beat()
	defer stop()
	late := time.NewTimer(slowStart)
	defer late.Stop()
	settled, ready := w.board.Settled(), false
	for {
		select {
		case <-ctx.Done():
			tell("STOPPING=1")
			w.log.Info("stopping")
			return nil
		case err := <-w.ended:
			return fmt.Errorf("a watch ended: %w", err)
		case <-settled:
			settled = nil
			late.Reset(0)
		case <-late.C:
			if !ready {
				ready = true
				tell("READY=1")
				w.log.Info("watching", "mounts", len(w.cfg.Load().mounts), "clusters", len(w.cfg.Load().clusters))
			}
		case <-hangup:
			tell(reloading())
			w.reload(ctx, load)
			if ready {
				tell("READY=1")
			} // else it is still to come
		case <-beat:
			_ = w.board.Unready(w.app.now(), 0) // the board isn't stuck either
			tell("WATCHDOG=1")
		}
	}
}

// reload takes on another configuration, or says why the old one stays.
func (w *watcher) reload(ctx context.Context, load func() (*config, error)) {
	cfg, err := load()
	if err == nil {
		err = w.use(ctx, cfg)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	if misused, ok := errors.AsType[*usageError](err); ok {
		err = misused.err
	}
	for _, err := range terminal.Separate(err) {
		w.log.Error("the configuration was not reloaded; the old one stays in force", "error", printable(err.Error()))
	}
}

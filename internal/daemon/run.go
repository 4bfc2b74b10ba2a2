package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/wait"
)

// slowStart is when systemd is told that the service is up although some mount had no first sync
// yet: it would be killed for what a dead cluster does.
const slowStart = 30 * time.Second

// Run serves signals and systemd until ctx ends. After a hangup it uses what load returns; where
// that is an error, the old configuration stays. All else has goroutines of its own, so that
// nothing but this loop keeps the watchdog quiet.
func (d *Daemon) Run(ctx context.Context, hangup <-chan os.Signal, load func() (*config.Config, error)) error {
	beat, stop := beat()
	defer stop()
	late := time.NewTimer(slowStart)
	defer late.Stop()
	settled, ready := d.board.Settled(), false
	for {
		select {
		case <-ctx.Done():
			tell(d.Log, systemd.SdNotifyStopping)
			d.Log.Info("stopping")
			return nil
		case err := <-d.ended:
			return fmt.Errorf("a watch ended: %w", err)
		case <-settled:
			settled = nil
			late.Reset(0)
		case <-late.C:
			if !ready {
				ready = true
				tell(d.Log, systemd.SdNotifyReady)
				d.Log.Info("watching", "mounts", len(d.cfg.Mounts), "clusters", len(d.cfg.Clusters))
			}
		case <-hangup:
			tell(d.Log, reloading())
			d.reload(ctx, load)
			if ready {
				tell(d.Log, systemd.SdNotifyReady)
			} // else it is still to come
		case <-beat:
			_ = d.board.Untried() // the board isn't stuck either
			tell(d.Log, systemd.SdNotifyWatchdog)
		}
	}
}

// reload takes on another configuration, or says why the old one stays.
func (d *Daemon) reload(ctx context.Context, load func() (*config.Config, error)) {
	cfg, err := d.readWithin(ctx, load)
	if err == nil {
		err = d.Use(ctx, cfg)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	for _, err := range terminal.Separate(err) {
		d.Log.Error("the configuration was not reloaded; the old one stays in force", "error", text.Escape(err.Error()))
	}
}

// maxRead bounds the reading of another configuration. The watchdog hears nothing meanwhile.
const maxRead = 10 * time.Second

// readWithin reads a configuration that may be a pipe, or on a file server that is away: one at a
// time, since nothing ends such a reading.
func (d *Daemon) readWithin(ctx context.Context, load func() (*config.Config, error)) (*config.Config, error) {
	if !d.reading.TryLock() {
		return nil, errors.New("the configuration is still being read since the last time: is it a pipe that nobody writes to, or is its file server away?")
	}
	ctx, cancel := context.WithTimeout(ctx, maxRead)
	defer cancel()
	cfg, err := wait.Within(ctx, func() (*config.Config, error) {
		defer d.reading.Unlock()
		return load()
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the configuration was not read within %v: is it a pipe that nobody writes to, or is its file server away?", maxRead)
	}
	return cfg, err
}

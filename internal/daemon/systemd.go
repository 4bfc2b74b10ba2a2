package daemon

import (
	"log/slog"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// reloading is the state at the start of a reload, with the time that Type=notify-reload wants.
func reloading() string { return systemd.SdNotifyReloading + "\n" + systemd.SdNotifyMonotonicUsec() }

// tell tells systemd how the service is; without NOTIFY_SOCKET it does nothing.
func tell(log *slog.Logger, state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		log.Warn("no word to systemd", "error", err)
	}
}

// beat ticks at half the time of the watchdog, or never where there is none.
func beat() (<-chan time.Time, func()) {
	watchdog, err := systemd.SdWatchdogEnabled(false)
	if err != nil || watchdog <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(max(watchdog/2, time.Millisecond))
	return t.C, t.Stop
}

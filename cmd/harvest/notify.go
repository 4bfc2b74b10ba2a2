package main

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// notifier tells systemd how the service is, in the protocol of sd_notify(3). Without
// NOTIFY_SOCKET it says nothing.
type notifier struct {
	socket   string
	watchdog time.Duration // WATCHDOG_USEC; 0: nobody watches
}

func newNotifier(getenv func(string) string, pid int) notifier {
	n := notifier{socket: getenv("NOTIFY_SOCKET")}
	if owner := getenv("WATCHDOG_PID"); owner != "" && owner != strconv.Itoa(pid) {
		return n
	}
	if usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 && usec < 1<<50 {
		n.watchdog = time.Duration(usec) * time.Microsecond
	}
	return n
}

// tell sends a state, such as "READY=1". A name that begins with @ is one of Linux's
// abstract sockets, which Go knows by the same sign.
func (n notifier) tell(state string) error {
	if n.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling systemd: %w", err)
	}
	defer conn.Close() //nolint:errcheck // what was written was written
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("telling systemd: %w", err)
	}
	return nil
}

// beat ticks at half the watchdog's time; it never does where nobody watches.
func (n notifier) beat() (<-chan time.Time, func()) {
	if n.socket == "" || n.watchdog <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(max(n.watchdog/2, time.Millisecond))
	return t.C, t.Stop
}

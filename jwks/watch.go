package jwks

import "time"

// WatchOptions say how often a source is asked. The zero value is ready for use.
type WatchOptions struct {
	// Wait is how long Nomad may hold a query until something changes, and at most a sixteenth
	// longer. Zero is 45 s, which is less than most proxies wait.
	Wait time.Duration
	// Interval is the time between two requests to a source without an index to wait on, and
	// between two reads of a federation's list of regions. Zero is 60 s. Jittered by ±10 %.
	Interval time.Duration
}

const (
	defaultWait     = 45 * time.Second
	defaultInterval = 60 * time.Second
)

func (o WatchOptions) wait() time.Duration     { return orDefault(o.Wait, defaultWait) }
func (o WatchOptions) interval() time.Duration { return orDefault(o.Interval, defaultInterval) }

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

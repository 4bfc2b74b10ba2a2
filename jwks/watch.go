package jwks

import "time"

// WatchOptions are how often a source is asked. The zero value is ready for use.
type WatchOptions struct {
	// Wait is how long Nomad may hold a query until something changes, a sixteenth more
	// at most; zero is 45 s, less than most proxies wait.
	Wait time.Duration
	// Interval is the time between two questions where a source has no index to wait on,
	// and between two looks at a federation's list of regions; zero is 60 s. A tenth of
	// it, more or less, is by chance.
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

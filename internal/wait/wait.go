// Package wait waits, and spaces out tries.
package wait

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff returns the pause after a number of failed tries in a row, from 0. It doubles from low up
// to high; up to a quarter of it is taken off at random, which spreads out those who failed
// together.
func Backoff(low, high time.Duration, tries int) time.Duration {
	d := high
	if tries < 63 && low < high>>tries {
		d = low << tries
	}
	return d - UpTo(d/4)
}

// About returns d, give or take a tenth at random.
func About(d time.Duration) time.Duration {
	return d - d/10 + UpTo(d/5)
}

// UpTo returns a random time from zero to d, and zero for less.
func UpTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d + 1) //nolint:gosec // keeps no secret
}

// Sleep waits d, and reports whether ctx is still alive then.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

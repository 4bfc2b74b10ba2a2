// Package wait waits, and spaces out tries.
package wait

import (
	"math/rand/v2"
	"time"
)

// Backoff returns the pause after a number of failed tries in a row, from 0. It doubles from low up
// to high; a random half of it spreads out those who failed together.
func Backoff(low, high time.Duration, tries int) time.Duration {
	d := high
	if tries < 63 && low < high>>tries {
		d = low << tries
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // keeps no secret
}

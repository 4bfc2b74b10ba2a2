package wait_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/internal/wait"
)

func TestBackoff(t *testing.T) {
	for tries, most := range map[int]time.Duration{
		0: time.Second, 1: 2 * time.Second, 5: 32 * time.Second, 6: time.Minute, 62: time.Minute, 63: time.Minute, 1 << 30: time.Minute,
	} {
		for range 100 {
			d := wait.Backoff(time.Second, time.Minute, tries)
			assert.GreaterOrEqual(t, d, most/2, tries)
			assert.LessOrEqual(t, d, most, tries)
		}
	}
	assert.Zero(t, wait.Backoff(0, 0, 3))
}

package fakeclock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestStepped(t *testing.T) {
	now := time.Now()
	for _, d := range []time.Duration{3 * time.Hour, -3 * time.Hour, 0} {
		got := Stepped(now, d)
		assert.Zero(t, got.Sub(now), "the same monotonic reading")
		assert.Equal(t, d, got.Round(0).Sub(now.Round(0)), "another time of day")
	}
	assert.Panics(t, func() { Stepped(now.Round(0), time.Hour) })
}

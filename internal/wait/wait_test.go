package wait_test

import (
	"context"
	"testing"
	"testing/synctest"
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
			assert.GreaterOrEqual(t, d, most*3/4, tries)
			assert.LessOrEqual(t, d, most, tries)
		}
	}
	assert.Zero(t, wait.Backoff(0, 0, 3))
}

func TestUpTo(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 1000 {
		seen[wait.UpTo(2)] = true
	}
	assert.Equal(t, map[time.Duration]bool{0: true, 1: true, 2: true}, seen)
	assert.Zero(t, wait.UpTo(0))
	assert.Zero(t, wait.UpTo(-time.Second))
}

func TestAbout(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		d := wait.About(time.Minute)
		least, most = min(least, d), max(most, d)
	}
	assert.InDelta(t, 54, least.Seconds(), 1)
	assert.InDelta(t, 66, most.Seconds(), 1)
	assert.LessOrEqual(t, most, 66*time.Second)
	assert.GreaterOrEqual(t, least, 54*time.Second)
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		assert.True(t, wait.Sleep(ctx, 0))
		assert.True(t, wait.Sleep(ctx, 59*time.Second))
		assert.Equal(t, 59*time.Second, time.Since(began))
		assert.False(t, wait.Sleep(ctx, time.Hour))
		assert.Equal(t, time.Minute, time.Since(began))
		assert.False(t, wait.Sleep(ctx, 0))
	})
}

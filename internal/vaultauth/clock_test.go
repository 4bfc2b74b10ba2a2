package vaultauth

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/jwksharvest/harvest/internal/fakeclock"
)

// steps are ways in which a machine's clock is set.
var steps = map[string]time.Duration{"forward": 5 * time.Hour, "back": -5 * time.Hour}

// TestKeeperClockSteps: how long new tokens are waited for has nothing to do with the time
// of day.
func TestKeeperClockSteps(t *testing.T) {
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			k := &Keeper{times: keeperTimes{retryMin: time.Hour, retryMax: time.Hour, refusedMax: 2 * time.Hour}}
			assert.Zero(t, k.refusal())
			k.refusedAt = fakeclock.Stepped(k.refusedAt, step)
			k.honours.Store(true) // another mount's sync was honoured
			assert.NotZero(t, k.refusal(), "the second refusal in a row waits")
			k.refusedAt = fakeclock.Stepped(time.Now().Add(-3*time.Hour), step)
			k.honours.Store(true)
			assert.Zero(t, k.refusal(), "long after, it is the first again")
		})
	}
}

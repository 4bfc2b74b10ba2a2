package vaultsync

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/history"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// What may happen on the way. The promise holds on the first three: no write arrives later
// than half of the settle time after it was sent.
var (
	// Ten clusters rotate in a moment; two in a hundred are held up before the write.
	usual = line{spread: 1500 * time.Millisecond, latency: 40 * time.Millisecond, stalled: 0.02, stall: 3 * time.Second, lost: 0.02}
	// Nearly everybody is held up, by as much as may be.
	storm = line{
		spread: 1500 * time.Millisecond, latency: 5 * time.Millisecond,
		stalled: 0.7, stall: defaultSettle / 2, delayed: 0.7, delay: defaultSettle/2 - 5*time.Millisecond,
	}
	// A third of the writes isn't answered.
	flaky = line{spread: 4 * time.Second, latency: 40 * time.Millisecond, lost: 0.3}
	// What the promise leaves out: writes that arrive too late.
	tooLate = line{spread: 1500 * time.Millisecond, latency: 40 * time.Millisecond, delayed: 0.05, delay: 3 * time.Second}
)

// tally is what came of several trials.
type tally struct {
	outcome
	trials, lost, unhealed int // lost: trials that ended wrong; unhealed: after the next sync too
	first                  uint64
	refuted                []history.Loss // what the histories show that the protocol rules out
}

func (s tally) String() string {
	text := fmt.Sprintf("%d of %d trials ended wrong", s.lost, s.trials)
	if s.lost > 0 {
		text += fmt.Sprintf(", the first with HARVEST_SEED=%d: %v; %d after one more sync", s.first, s.wrong, s.unhealed)
	}
	text += fmt.Sprintf("; %d writes, %d undone as the writers saw it; ", s.writes, s.conflicts)
	if n := len(s.heals); n > 0 {
		text += fmt.Sprintf("keys lost and healed %d times, the half of them within %v, the longest after %v; ", n, s.median(), s.heals[n-1])
	}
	return text + fmt.Sprintf("removed keys came back for a while %d times; gave up %d times", s.back, s.gaveUp)
}

func (s tally) median() time.Duration { return s.heals[len(s.heals)/2] }

// try makes trials with seeds from 1 on, until enough says so.
func try(t *testing.T, trials int, l line, w without, enough func(tally) bool) (s tally) {
	t.Helper()
	from, to := 1, trials
	if seed, err := strconv.Atoi(os.Getenv("HARVEST_SEED")); err == nil {
		from, to = seed, seed
	}
	for seed := from; seed <= to && !enough(s); seed++ {
		out := trial(t, uint64(seed), l, w)
		s.trials++
		if len(out.wrong) > 0 {
			if s.lost == 0 {
				s.first, s.wrong = uint64(seed), out.wrong
			}
			s.lost++
		}
		if len(out.resynced) > 0 {
			s.unhealed++
		}
		s.heals = append(s.heals, out.heals...)
		s.refuted = append(s.refuted, out.verdict.Kept()...)
		assert.Empty(t, out.verdict.Wrong, "seed %d", seed)
		s.back, s.writes, s.conflicts, s.gaveUp = s.back+out.back, s.writes+out.writes, s.conflicts+out.conflicts, s.gaveUp+out.gaveUp
	}
	slices.Sort(s.heals)
	t.Logf("seeds %d to %d: %v", from, from+s.trials-1, s)
	return s
}

// rounds is how many trials are made: few with every run of the tests, many with
//
//	HARVEST_ROUNDS=1500 go test -run TestModel -v ./vaultsync
func rounds(otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv("HARVEST_ROUNDS")); err == nil {
		return n
	}
	return otherwise
}

func never(tally) bool { return false }

// found ends a short run at the first lost update; a long one counts them.
func found(s tally) bool { return s.lost > 0 && os.Getenv("HARVEST_ROUNDS") == "" }

// With the whole protocol nothing is lost, however the requests of ten writers mix.
func TestModel(t *testing.T) {
	for name, l := range map[string]line{"usual": usual, "storm": storm, "flaky": flaky} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := try(t, rounds(6), l, without{}, never)
			assert.Zero(t, s.lost)
			assert.Empty(t, s.refuted, "by their history")
			assert.NotEmpty(t, s.heals, "nobody was undone: that proves nothing")
		})
	}
}

// Each part is needed: without it an update is lost for good.
func TestModelWithout(t *testing.T) {
	for name, test := range map[string]struct {
		line
		without
	}{
		"the look after the settle time": {usual, without{look: true}},
		"waiting for the list to stand":  {storm, without{stillness: true}},
		"the guard against old reads":    {usual, without{guard: true}},
		"writes being sent once":         {flaky, without{once: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := try(t, rounds(100), test.line, test.without, found)
			if os.Getenv("HARVEST_SEED") == "" {
				assert.Positive(t, s.lost, "no lost update was found")
				assert.NotEmpty(t, s.refuted, "their history doesn't show it")
			}
			assert.Zero(t, s.unhealed)
		})
	}
}

// The read back loses nothing where it is left out: what it would show, the look after the
// settle time shows too. It is there for speed.
func TestModelReadBack(t *testing.T) {
	t.Parallel()
	with := try(t, rounds(6), usual, without{}, never)
	without := try(t, rounds(6), usual, without{readBack: true}, never)
	assert.Zero(t, without.lost)
	assert.Less(t, with.median(), defaultSettle/2)
	assert.Greater(t, without.median(), defaultSettle)
}

// Where writes arrive too late for the promise, the next sync of the one that was undone heals it.
func TestModelBeyondThePromise(t *testing.T) {
	t.Parallel()
	s := try(t, rounds(100), tooLate, without{}, found)
	if os.Getenv("HARVEST_SEED") == "" {
		assert.Positive(t, s.lost, "if this can't be lost, the promise is too modest")
	}
	assert.Zero(t, s.unhealed)
}

// A seed repeats its trial.
func TestModelRepeats(t *testing.T) {
	first := trial(t, 7, usual, without{})
	assert.NotEmpty(t, first.heals)
	assert.Equal(t, first, trial(t, 7, usual, without{}))
}

// A machine that was suspended between the read and the write sends no write that stands on that
// read, though the monotonic clock stood still.
func TestSyncAfterSuspension(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		var log record
		asleep := 0
		how := conduct{age: func(read time.Time) time.Duration {
			now := time.Now()
			if asleep++; asleep == 1 {
				return elapsed(read, now, now.Round(0).Add(time.Hour))
			}
			return elapsed(read, now, now.Round(0).Add(-time.Hour)) // and set back: that alone holds up nothing
		}}
		want := plan.Desired{Clusters: []string{"a"}, Results: []jwks.Result{publish("a", "k1")}}
		report := s.target("only-a").Mount.sync(t.Context(), want, Options{Logger: log.logger()}, how)
		require.NoError(t, report.Err)
		assert.Equal(t, 1, report.Written)
		assert.Equal(t, 1, s.writes("only-a"))
		assert.Contains(t, log.String(), "not written: 1h0m0s passed since the read")
	})
}

package vaultsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// convergence makes one mount hold what is wanted. Vault has no check-and-set, and others may
// write the mount at any time. The protocol:
//
//  1. Read the mount, and plan on what it holds.
//  2. If nothing is to be done and nothing was written, the sync ends: one read, no write.
//  3. If something is to be done, write it once. The write isn't sent if the read that it stands
//     on is older than half of the settle time, by the monotonic or by the wall clock; then go
//     back to 1. Options.Review is asked before, once for the same changes. A watch that has
//     written often lately pauses before its first write, and goes back to 1 after it.
//  4. Read back at once. If another writer undid the write, that is a conflict: back off and go
//     back to 1. Settings that were undone three times are left to the other writer, so that
//     keys don't wait for the end of that quarrel. After Options.Writes tries, give up.
//  5. If nothing is left to do, wait a settle time and read again, until two reads in a row show
//     the same list, or five found nothing to do. A conflict that such a read shows is written
//     at once, without backing off.
//
// Nobody can write over a list that stood still for a settle time. A writer who acts later has
// read the list as it is: by 3, its read is at most half a settle time older than its write was
// sent, and the other half is enough for a write to arrive. One look after the settle time would
// not do: a writer who read before our write undoes it, one who read after it undoes that, and a
// third, who read in between, undoes what the look found.
type convergence struct {
	*session
	o      Options
	how    conduct
	want   plan.Desired
	given  circumstances
	until  time.Time // keys are judged; zero: until all are
	report *MountReport

	// What the last read showed, and when it was asked for: the answer may be as old as that.
	config mountconfig.Config
	plan   *plan.Plan
	readAt time.Time

	last    attempt
	cause   error      // why, where it is undone or unsent
	tries   int        // writes, and plans that were too late to be written
	paused  bool       // for the watch's pace, so that want may be old
	unknown *plan.Plan // may have been written: the next read shows it; else nil

	askedAgain bool // sources whose answers lack keys

	unsettled bool     // nobody has looked at a write for a settle time
	looks     int      // reads since the last try that found nothing left to do
	looked    []string // the list, as the last of these showed it

	approved *plan.Plan // by Options.Review

	undoneSettings int   // conflicts about settings alone
	left           error // why the settings are left to another writer; nil: they aren't
	superseded     bool  // something newer is to be written: the caller sees to another sync
}

// attempt is what is known of the last try.
type attempt int

const (
	untried attempt = iota // nothing was tried
	taken                  // Vault took the write, or a read showed that nothing is left to do
	undone                 // another writer undid it
	unsent                 // not written, or not for all that is known
)

const (
	// mostUndone is after how many conflicts settings are left to the other writer.
	mostUndone = 3
	// mostLooks bounds the looks after a write, for a mount that never stands still.
	mostLooks = 5
)

// converge runs the protocol of [convergence].
func (s *session) converge(ctx context.Context, want plan.Desired, o Options, how conduct, report *MountReport) error {
	how = how.or()
	c := &convergence{
		session: s, o: o, how: how, want: want, report: report, unsettled: how.unsettled, until: judgeUntil(ctx, how.pace),
		given: circumstances{early: how.early, history: how.history, verdicts: how.verdicts},
	}
	for !c.superseded {
		err := c.observe(ctx)
		switch {
		case err != nil:
			return err
		case c.stable():
			return c.left
		case !c.plan.Changed:
			err = c.lookAgain(ctx)
		case c.last == taken:
			err = c.contest(ctx)
		case c.pauseLeft() > 0:
			err = c.pause(ctx)
		default:
			err = c.write(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// observe reads the mount and plans. Keys are judged before the read, not between it and the
// write, which would come too late then.
func (c *convergence) observe(ctx context.Context) error {
	if again := c.last == undone || c.last == unsent || c.paused; again && c.how.latest != nil {
		c.want, c.until = c.how.latest(), judgeUntil(ctx, c.how.pace)
	}
	c.given.verdicts.JudgePublished(c.want.Results, c.stopJudging())
	c.readAt = time.Now()
	config, err := c.read(ctx)
	if err != nil {
		return err
	}
	c.how.history.readAt(time.Now())
	if !c.until.IsZero() && !c.given.verdicts.OnTrusted() {
		// What is left is judged by a later sync: a write after half a settle time would come too
		// late.
		c.given.verdicts.JudgeTrusted(config.Annotated(), past(time.Now().Add(c.o.settle()/4)))
	}
	if c.how.plan != nil {
		c.plan, err = c.how.plan(config, c.o.at(c.readAt), c.report.Written > 0)
	} else {
		c.plan, err = newPlan(config, c.want, c.o.at(c.readAt), c.given)
	}
	if err != nil {
		return err
	}
	if c.plan.Changed && ctx.Err() != nil { // Vault would be blamed for the write
		return fmt.Errorf("stopped after planning, before a write: %w", context.Cause(ctx))
	}
	if len(c.plan.Doubtful) > 0 && c.how.again != nil && !c.askedAgain {
		c.askedAgain = true
		c.want = c.how.again(ctx, c.plan.Doubtful)
		return c.observe(ctx) // what was read is old by now
	}
	c.plan.Store = c.mount.String()
	c.record(config)
	if c.mount.Store != nil {
		return c.mount.Store.Planned(ctx, c.plan)
	}
	return nil
}

// record notes what a read has shown: for the report and the history, and of a write that may have
// been carried out.
func (c *convergence) record(config mountconfig.Config) {
	c.how.history.planned(c.plan)
	c.config = config
	c.report.Last, c.report.Done = c.plan, !c.plan.Changed
	if c.report.Plan == nil {
		c.report.Config, c.report.Plan = config, c.plan
		if !c.how.early {
			c.o.warnNotRead(c.mount, c.plan)
		}
	}
	if c.unknown != nil {
		c.o.announce(c.mount, landed(c.unknown, config))
		c.unknown = nil
	}
}

// stopJudging reports whether there is no time left to judge. In a watch the time begins when it is
// first called: to get ready for it takes long too, where a federation publishes very many keys.
func (c *convergence) stopJudging() func() bool {
	stop := past(c.until)
	if c.how.pace == nil || !time.Now().Before(c.until) {
		return stop
	}
	var end time.Time
	return func() bool {
		if end.IsZero() {
			end = time.Now().Add(watchJudges)
		}
		return !time.Now().Before(end)
	}
}

// stable reports whether nothing is left to do, and nobody can still write over it.
func (c *convergence) stable() bool {
	stood := c.looks > 0 && slices.Equal(c.looked, c.config.Keys())
	return !c.plan.Changed && (!c.unsettled || stood || c.looks == mostLooks)
}

// lookAgain waits until a writer who read before our write has written.
func (c *convergence) lookAgain(ctx context.Context) (err error) {
	if c.last != untried {
		c.last = taken
	}
	c.looks++
	c.looked = c.config.Keys()
	c.superseded, err = c.how.rest(ctx, c.o.settle()+c.how.jitter(c.o.settle()/4))
	return err
}

// contest goes on after another writer undid a write: after a while, since others are at it, or
// at once where only a look showed it.
func (c *convergence) contest(ctx context.Context) error {
	c.last = undone
	c.cause = fmt.Errorf("%w: %s; is the mount managed by Terraform, another tool, or by hand as well?", ErrConflict, contested(c.plan))
	c.report.Conflicts++
	c.o.emit(c.mount, Event{Kind: EventConflict, Err: c.cause})
	if keepsKeys(c.config, c.plan) {
		c.undoneSettings++
	}
	switch {
	case c.undoneSettings == mostUndone && c.left == nil:
		c.left = fmt.Errorf("settings are left to another writer until the next sync: %w", c.cause)
		c.given.leaveSettings, c.last = true, taken
		return nil
	case c.looks > 0:
		return c.write(ctx)
	case c.spent():
		return c.giveUp()
	}
	return c.backOff(ctx)
}

// spent reports whether the sync may not try again. Conflicts about settings don't count, so
// that they cost the keys no try.
func (c *convergence) spent() bool { return c.tries-c.undoneSettings >= c.o.writes() }

func (c *convergence) giveUp() error {
	return fmt.Errorf("gave up after %d tries: %w", c.tries, c.cause)
}

// pauseLeft returns how long the first write has to wait for the pace of a watch.
func (c *convergence) pauseLeft() time.Duration {
	if c.tries > 0 {
		return 0
	}
	return c.how.pace.pause(c.config, c.plan, time.Now())
}

// pause waits for that, a settle time at most: then the mount is read again, which shows what
// another writer did.
func (c *convergence) pause(ctx context.Context) error {
	c.paused = true
	return c.how.pause(ctx, min(c.pauseLeft(), c.o.settle()))
}

// write sends the plan, unless it stands on a read that is too old.
func (c *convergence) write(ctx context.Context) error {
	if c.spent() {
		return c.giveUp()
	}
	if c.tries > 0 {
		c.o.logger().Warn("trying again", "mount", c.mount.String(), "try", c.tries+1, "cause", c.cause)
	}
	if asked, err := c.review(ctx); err != nil {
		return err
	} else if asked && c.late() > 0 { // anyone who was asked took their time, which is no try
		c.last, c.cause = unsent, errors.New("not written: the review took longer than half the settle time")
		return nil
	}
	c.tries, c.looks = c.tries+1, 0
	body, err := c.config.With(c.plan)
	if err != nil {
		return err
	}
	if late := c.late(); late > 0 {
		c.last = unsent
		c.cause = fmt.Errorf("not written: %v passed since the read, over half the settle time of %v (raise it if Vault is that slow)",
			late, c.o.settle())
		return nil
	}
	return c.send(ctx, body)
}

// late returns how long ago the read was that the plan stands on, where that is too long to write;
// else zero.
func (c *convergence) late() time.Duration {
	if age := c.how.age(c.readAt); age > c.o.settle()/2 {
		return age.Round(time.Millisecond)
	}
	return 0
}

// send writes the body once. What went wrong on the way is tried again, after a read.
func (c *convergence) send(ctx context.Context, body map[string]any) error {
	sentAt := time.Now()
	err := c.session.write(ctx, c.plan, body)
	switch {
	case vaultapi.IsForbidden(err):
		return c.explainWrite(ctx, err)
	case errors.Is(err, vaultapi.ErrHeld):
		return err
	}
	c.unsettled = true
	c.how.pace.wrote(c.plan, sentAt)
	c.report.Written++
	c.report.WriteTimes = append(c.report.WriteTimes, time.Since(sentAt))
	if err == nil {
		c.last, c.report.Done = taken, true
		c.o.announce(c.mount, c.plan)
		return nil
	}
	if c.mount.Store != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("stopped during a write, which may have been carried out: %w", context.Cause(ctx))
	}
	c.cause = c.Explain(err, c.mount.configPath(), "update")
	if !vaultapi.Transient(err) {
		return c.cause
	}
	c.last, c.unknown = unsent, c.plan
	return c.backOff(ctx)
}

// backOff waits between a sixteenth of the settle time, after the first try, and twice that
// time. A random half of it spreads writers out.
func (c *convergence) backOff(ctx context.Context) error {
	pause := c.o.settle() / 8 << min(c.tries-1, 4)
	return sleep(ctx, pause/2+c.how.jitter(pause/2))
}

// contested names what of a plan is open, by the first key of each list.
func contested(p *plan.Plan) string {
	for _, list := range []struct {
		what string
		keys []plan.Key
	}{{"to be trusted", p.Add}, {"to be annotated", p.Adopt}, {"to be removed", p.Remove}} {
		if n := len(list.keys); n > 0 {
			return fmt.Sprintf("%d %s (%s)", n, list.what, list.keys[0].Fingerprint.Short())
		}
	}
	if len(p.Settings) > 0 {
		c := p.Settings[0]
		return fmt.Sprintf("%s is %s, and stated as %s", c.Field, cmp.Or(c.Before, "empty"), cmp.Or(c.After, "empty"))
	}
	return "something to change"
}

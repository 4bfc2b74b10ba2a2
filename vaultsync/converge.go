package vaultsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// MountReport is what became of one mount.
type MountReport struct {
	Vault, Namespace, Path string
	Plan                   *Plan           // what the sync set out to do; nil where there could be no plan
	Written                int             // writes sent that Vault didn't refuse (403); 0: nothing was to be done, or the sync was a dry run
	WriteTimes             []time.Duration // how long each of these took to be answered, or to fail
	Conflicts              int             // times that another writer undid a write
	Err                    error           // a *MountError; nil: the mount holds what the plan says

	synced   bool     // by Mount.Sync, without an error
	clusters []string // of the Harvester's target
	last     *Plan
	done     bool // Vault took last's write, or there was nothing to write
}

// InSync says whether the mount trusts just what its clusters publish: all were read, and
// nothing is left to do.
func (r *MountReport) InSync() bool {
	plan, _ := r.Last()
	return r.Err == nil && plan != nil && len(plan.Failed) == 0 && (r.synced || !plan.Changed)
}

func (m *Mount) report() *MountReport {
	return &MountReport{Vault: m.Vault(), Namespace: m.namespace(), Path: m.Path}
}

// Plan reads the mount and returns what a sync would do, writing nothing. Where Vault says
// that the token may not write, the plan has a warning ([Mount.Capabilities]), changes or
// none. The report's Err is also the error.
func (m *Mount) Plan(ctx context.Context, want Desired, o Options) (*MountReport, error) {
	report := m.report()
	report.Err = m.Wrap(m.contained(o, func() error {
		s, err := m.open()
		if err == nil {
			report.Plan, err = s.plan(ctx, want, o)
		}
		return err
	}))
	return report, report.Err
}

func (s *session) plan(ctx context.Context, want Desired, o Options) (*Plan, error) {
	config, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := NewPlan(config, want, o.at(time.Now()))
	if err != nil {
		return nil, err
	}
	if err := s.mayUpdate(ctx); err != nil {
		plan.Warnings = slices.Insert(plan.Warnings, 0, err.Error())
	}
	return plan, nil
}

// Sync makes the mount trust what want holds: it reads, plans, writes once and reads back.
// Vault has no check-and-set, and another harvester may write at the same time: so it looks
// again each o.Settle, until the keys stood still for one, five times at the most. What
// another writer undid is planned and written anew, o.Writes times at the most; then the
// error wraps [ErrConflict], or what else kept it from writing. A mount that is in sync
// costs one read and no write. Where Vault refuses a write with 403, it is asked whether the
// token may write at all ([Mount.Capabilities]), and the error says so where it may not.
//
// The promise is conditional: while each write of each harvester reaches Vault within half
// of o.Settle after it was sent, and they all have that settle time, no change is lost for
// good. A write that stands on a read older than the other half is not sent. Past that, or
// on a mount that never stands still, a lost change is made good by its writer's next sync.
//
// The error is a *MountError. Clusters that could not be read are no error here: they are
// on the plan.
func (m *Mount) Sync(ctx context.Context, want Desired, o Options) (*MountReport, error) {
	report := m.sync(ctx, want, o)
	o.lament(m, report)
	return report, report.Err
}

// sync is Sync, telling nobody of an error.
func (m *Mount) sync(ctx context.Context, want Desired, o Options) *MountReport {
	report := m.report()
	err := m.contained(o, func() error {
		s, err := m.open()
		if err == nil {
			err = s.converge(ctx, want, o, report)
		}
		return err
	})
	report.Err = m.Wrap(err)
	report.synced = err == nil
	return report
}

// converge repeats read, plan and write until nothing is left to do and nobody else can still
// write over it. A single look after the settle time would not show that: a writer who read
// before our write undoes it, one who read after it undoes that, and what the look finds in
// its place is undone in turn by a third, who read in between. But where the list stood still
// for a settle time, whoever writes later has read it as it is: no writer's read is older by
// then, while half of the settle time is enough for a write to arrive (see the guard).
func (s *session) converge(ctx context.Context, want Desired, o Options, report *MountReport) error {
	var unsure *Plan        // the last write, where its outcome isn't known
	var cause error         // why the last try didn't do
	var last *Config        // what the last read showed, where nothing was left to do after a write
	settled := !o.unsettled // whether there is no write to look after
	paced := false          // whether the write waited, so that what is to be written may be old
	undoneSettings := 0     // times that another writer undid settings alone
	var left error          // why the settings are left to another writer
	for try, looks := 0, 0; ; {
		if (cause != nil || paced) && o.latest != nil {
			want = o.latest() // what is to be tried again may be old by now
		}
		o.verdicts = want.judge(o.verdicts)
		readAt := time.Now() // what the answer shows may be as old as the question
		config, err := s.read(ctx)
		if err != nil {
			return err
		}
		o.seen.look(time.Now())
		plan, err := NewPlan(config, want, o.at(readAt))
		if err != nil {
			return err
		}
		report.last, report.done = plan, !plan.Changed
		o.seen.planned(plan)
		if report.Plan == nil {
			report.Plan = plan
			if !o.early {
				o.complain(s.mount, plan)
			}
		}
		if unsure != nil {
			o.announce(s.mount, unsure.landed(config))
			unsure = nil
		}
		if !plan.Changed {
			if settled || looks == mostLooks || last != nil && slices.Equal(last.Keys(), config.Keys()) {
				return left
			}
			last, cause = &config, nil
			looks++
			if err := s.settle(ctx, o); err != nil {
				return unlessSuperseded(err)
			}
			continue
		}
		if try > 0 {
			undone := cause == nil
			if undone {
				report.Conflicts++
				cause = fmt.Errorf("%w: %s; is the mount managed by Terraform, another tool, or by hand as well?",
					ErrConflict, contested(plan))
				o.emit(Event{Kind: EventConflict, Mount: s.mount, Err: cause})
				if plan.keepsKeys() {
					undoneSettings++
				}
				if undoneSettings == mostUndone && left == nil { // keys are not to wait for the end of that
					left = fmt.Errorf("settings are left to another writer until the next sync: %w", cause)
					o.leaveSettings, cause = true, nil
					continue
				}
			}
			if try-undoneSettings >= o.writes() {
				return fmt.Errorf("gave up after %d tries: %w", try, cause)
			}
			if undone && last == nil { // at once: others are at it
				if err := sleep(ctx, o.backoff(try)); err != nil {
					return err
				}
				continue
			}
			o.logger().Warn("trying again", "mount", s.mount.String(), "try", try+1, "cause", cause)
		}
		if pause := o.pace.pause(plan, time.Now()); pause > 0 && try == 0 {
			paced = true
			// A look each settle time, as after any write, shows what another writer did.
			if err := o.waitForPace(ctx, min(pause, o.settle())); err != nil {
				return err
			}
			continue
		}
		last, looks = nil, 0
		if try == 0 {
			if err := s.HasNamespaces(ctx); err != nil {
				return err
			}
		}
		try++
		body, err := plan.Body()
		if err != nil {
			return err
		}
		if late := o.since(readAt); late > o.settle()/2 && !o.unguarded {
			cause = fmt.Errorf("not written: %v passed since the read, over half the settle time of %v (raise it if Vault is that slow)",
				late.Round(time.Millisecond), o.settle())
			continue
		}
		sentAt := time.Now()
		err = s.write(ctx, body)
		if forbidden(err) {
			return s.explainWrite(ctx, err)
		}
		report.Written++
		o.pace.wrote(plan, sentAt)
		cause, settled = nil, false
		report.WriteTimes = append(report.WriteTimes, time.Since(sentAt))
		if err == nil {
			report.done = true
			o.announce(s.mount, plan)
			continue // which reads it back
		}
		if ctx.Err() != nil {
			return fmt.Errorf("stopped during a write, which may have been carried out: %w", context.Cause(ctx))
		}
		cause = s.Explain(err, s.mount.configPath(), "update")
		if !vaultapi.Transient(err) {
			return cause
		}
		unsure = plan
		if err := sleep(ctx, o.backoff(try)); err != nil {
			return err
		}
	}
}

// since returns how long ago t was, by the clock that says more: the monotonic one stands still
// while the machine is suspended, and the wall clock may be set back.
func (o Options) since(t time.Time) time.Duration {
	now := time.Now()
	wall := now.Round(0)
	if o.wall != nil {
		wall = o.wall()
	}
	return max(now.Sub(t), wall.Sub(t.Round(0)))
}

// mostUndone is after how many times a sync leaves settings to whoever sets them otherwise.
const mostUndone = 3

// mostLooks bounds how often a sync looks after a write, on a mount that never stands still.
// Each of these looks found nothing left to do.
const mostLooks = 5

// settle waits until a writer who read before our write has written.
func (s *session) settle(ctx context.Context, o Options) error {
	d := o.settle() + o.jitter(o.settle()/4)
	if o.rest != nil {
		return o.rest(ctx, d)
	}
	return sleep(ctx, d)
}

// errSuperseded ends a settle time: the mount holds what was to be written, and something
// newer is to be written by now. Whoever gives it sees to the looks that are left out.
var errSuperseded = errors.New("superseded")

func unlessSuperseded(err error) error {
	if errors.Is(err, errSuperseded) {
		return nil
	}
	return err
}

// backoff grows from an eighth of the settle time, after the first try, to twice it; half of
// it is by chance.
func (o Options) backoff(try int) time.Duration {
	pause := o.settle() / 8 << min(try-1, 4)
	return pause/2 + o.jitter(pause/2)
}

// contested says what of a plan is open, by the first key of each list.
func contested(p *Plan) string {
	for _, list := range []struct {
		what string
		keys []Key
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

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error { return sleepUntil(ctx, d, nil) }

// sleepUntil is sleep, until done is closed at the most.
func sleepUntil(ctx context.Context, d time.Duration, done <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopped while waiting to look again: %w", context.Cause(ctx))
	}
}

func (o Options) jitter(d time.Duration) time.Duration {
	if o.random != nil {
		return o.random(d)
	}
	return jitter(d)
}

func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d) //nolint:gosec // spreads writers out, keeps no secret
}

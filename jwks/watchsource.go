package jwks

import (
	"context"
	"crypto/sha256"
	"reflect"
	"time"

	"github.com/jwksharvest/harvest/internal/contain"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/wait"
)

// Bounds on how often a source is asked.
const (
	burst      = 10               // questions in a row, so that a change is seen at once
	leastGap   = time.Second      // between two questions after these
	leastPause = time.Second      // after a first error
	mostPause  = 60 * time.Second // after many
)

// news is something that a watch has to tell.
type news struct {
	set       *Set
	err       error
	asked     time.Time
	took      time.Duration
	unchanged bool // set was told before
}

// watch is one source being watched, in one goroutine.
type watch struct {
	source prober
	tell   func(news) bool // false: the consumer stops
	floor  floor

	// What was made of what was published last.
	set *Set
	err error

	told     bool   // anything at all
	toldText string // of the error told last; "": a set was

	failures int // to get an answer, in a row
	refused  int // answers in a row that are no key set
}

// prober asks a source once.
type prober interface {
	// probe returns the answer and the time to leave until the next question. A nil
	// answer without an error says nothing.
	probe(ctx context.Context) (*answer, time.Duration, error)
}

// answer is an Answer, and how it came.
type answer struct {
	set   *Set
	err   error // why what is published is refused
	index uint64
	asked time.Time
	same  bool // what is published is what the last answer had
	known bool // by a digest: the set needn't be compared
	held  bool // the question was held for it
}

func newWatch(s Source, o WatchOptions, tell func(news) bool) *watch {
	w := &watch{tell: tell, source: &fetchProbe{source: s, options: o}}
	if p, ok := s.(Poller); ok {
		w.source = &pollProbe{source: p, options: o}
	}
	return w
}

// run asks and tells until ctx ends or the consumer stops.
func (w *watch) run(ctx context.Context) {
	for w.floor.wait(ctx) {
		asked := time.Now()
		a, pause, err := w.probe(ctx)
		took := time.Since(asked)
		if ctx.Err() != nil {
			return
		}
		goOn := true
		switch {
		case err != nil:
			w.failures++
			pause = backoff(w.failures)
			goOn = w.fail(err, asked, took)
		case a != nil:
			w.failures = 0
			if a.held {
				took = 0
			}
			goOn = w.learn(ctx, a, took)
			if w.err == nil {
				w.refused = 0
			} else if w.refused++; pause > 0 { // where the answer isn't held, ask soon
				pause = min(pause, backoff(w.refused))
			}
		}
		if !goOn || !wait.Sleep(ctx, pause) {
			return
		}
	}
}

// probe asks the source. One that panics, which may be of the caller's making, has failed.
func (w *watch) probe(ctx context.Context) (a *answer, pause time.Duration, err error) {
	err = contain.Panics(func() (err error) {
		a, pause, err = w.source.probe(ctx)
		return err
	})
	return a, pause, err
}

// learn tells what an answer holds, if that is news.
func (w *watch) learn(ctx context.Context, a *answer, took time.Duration) bool {
	same := a.same || w.same(a)
	if !same {
		w.set, w.err = a.set, a.err
	}
	if w.set == nil && w.err == nil { // a Poller that breaks its promise
		w.err = new(NoKeysError)
	}
	if w.err != nil {
		return w.fail(w.err, a.asked, took)
	}
	if !same {
		judgeAhead(ctx, w.set)
	}
	if w.set.Index != a.index {
		set := *w.set // the consumer has the other one
		set.Index = a.index
		w.set = &set
	}
	known := same && w.told && w.toldText == ""
	w.told, w.toldText = true, ""
	return w.tell(news{set: w.set, asked: a.asked, took: took, unchanged: known})
}

// same reports whether an answer is what was learned last.
func (w *watch) same(a *answer) bool {
	if a.known || w.set == nil || a.set == nil {
		return false
	}
	before, after := *w.set, *a.set
	before.Index, after.Index = 0, 0
	return reflect.DeepEqual(before, after)
}

// fail tells an error, if it is news.
func (w *watch) fail(err error, asked time.Time, took time.Duration) bool {
	text := localAddress().ReplaceAllString(err.Error(), "")
	if w.told && w.toldText == text {
		return true
	}
	w.told, w.toldText = true, text
	return w.tell(news{err: err, asked: asked, took: took})
}

// localAddress is what differs between two errors that are otherwise the same: our side of
// a connection, in "read tcp 10.0.0.1:54321->10.0.0.2:4646: …".
var localAddress = text.Pattern(`\S+->`)

// pollProbe asks a Poller, with what its last answer had.
type pollProbe struct {
	source  Poller
	options WatchOptions
	query   Query // its Index is 0 where the question isn't to be held
	cuts    int   // held questions in a row that were cut off early
}

func (p *pollProbe) probe(ctx context.Context) (*answer, time.Duration, error) {
	p.query.Wait = p.options.wait()
	held, asked := p.query.Index > 0, time.Now()
	a, err := p.source.Poll(ctx, p.query)
	switch {
	case err != nil && held:
		// Whether anything is wrong, a question that isn't held will tell.
		p.query.Index = 0
		p.cuts++
		if time.Since(asked) >= p.query.Wait/2 {
			p.cuts = 0
		}
		return nil, 0, nil
	case err != nil:
		return nil, 0, err
	}
	var pause time.Duration
	switch {
	case a.Index == 0: // not Nomad, or a proxy that drops its header
		pause = wait.About(orDefault(a.Next, p.options.interval()))
	case !held && p.cuts > 1: // held questions don't get through
		pause = backoff(p.cuts - 1)
	case held:
		p.cuts = 0
	}
	if a.Asked.After(asked) {
		asked = a.Asked
	}
	same := a.Set == nil && a.Err == nil
	p.query.Digest = a.Digest
	if a.Index < p.query.Index {
		p.query.Index = 0
	} else {
		p.query.Index = a.Index
	}
	return &answer{
		set: a.Set, err: a.Err, index: a.Index, asked: asked,
		same: same, known: a.Digest != [sha256.Size]byte{}, held: held,
	}, pause, nil
}

// fetchProbe asks a source that is no Poller.
type fetchProbe struct {
	source  Source
	options WatchOptions
}

func (p *fetchProbe) probe(ctx context.Context) (*answer, time.Duration, error) {
	asked := time.Now()
	set, err := p.source.Fetch(ctx)
	if err == nil && (set == nil || len(set.Keys) == 0) {
		err = new(NoKeysError)
	}
	if err != nil {
		return nil, 0, err
	}
	return &answer{set: set, index: set.Index, asked: asked}, wait.About(p.options.interval()), nil
}

// floor keeps questions apart: a token bucket, as the time when it will be full again.
type floor struct{ full time.Time }

// wait takes a token, and reports whether ctx is still alive then.
func (f *floor) wait(ctx context.Context) bool {
	if over := time.Until(f.full.Add(-(burst - 1) * leastGap)); over > 0 && !wait.Sleep(ctx, over) {
		return false
	}
	if now := time.Now(); f.full.Before(now) {
		f.full = now
	}
	f.full = f.full.Add(leastGap)
	return ctx.Err() == nil
}

// backoff returns the pause after that many failures in a row.
func backoff(failures int) time.Duration { return wait.Backoff(leastPause, mostPause, failures-1) }

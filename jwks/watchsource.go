package jwks

import (
	"context"
	"crypto/sha256"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/jwksharvest/harvest/internal/contain"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/wait"
)

// Bounds on how often a source is asked.
const (
	burst       = 10               // questions in a row, so that a change is seen at once
	leastGap    = time.Second      // between two questions after these
	leastPause  = time.Second      // after a first error
	mostPause   = 60 * time.Second // after many
	replyTravel = time.Second      // see Result.Asked
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

	// What was published last, and what was made of it. Of a document its digest is kept.
	body [sha256.Size]byte
	set  *Set
	err  error

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

// answer is what a source published: a body to be parsed, or the set of a source that
// parses by itself.
type answer struct {
	body  []byte
	set   *Set
	index uint64
	asked time.Time
	same  bool // the body is known to be that of the last answer, which nobody had to read
	held  bool // the question was held for it
	parse func() (*Set, error)
}

func newWatch(s Source, o WatchOptions, tell func(news) bool) *watch {
	w := &watch{tell: tell}
	switch s := s.(type) {
	case Nomad:
		w.source = &nomadProbe{nomad: s, options: o}
	case *Nomad:
		w.source = &nomadProbe{nomad: *s, options: o}
	case File:
		w.source = &fileProbe{file: s, options: o}
	case *File:
		w.source = &fileProbe{file: *s, options: o}
	case URL:
		w.source = &urlProbe{client: s.Client.orZero(), find: s.locate, options: o}
	case *URL:
		w.source = &urlProbe{client: s.Client.orZero(), find: s.locate, options: o}
	case Issuer:
		w.source = &urlProbe{client: s.Client.orZero(), find: s.discoverKeys, options: o}
	case *Issuer:
		w.source = &urlProbe{client: s.Client.orZero(), find: s.discoverKeys, options: o}
	default:
		w.source = &anyProbe{source: s, options: o}
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
			if a.held || a.same {
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
		w.set, w.err = a.set, nil
		if a.parse != nil {
			w.body = sha256.Sum256(a.body)
			w.err = contain.Panics(func() (err error) {
				w.set, err = a.parse()
				return err
			})
		}
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

// same says whether an answer is what was learned last.
func (w *watch) same(a *answer) bool {
	if a.parse != nil {
		return w.body == sha256.Sum256(a.body)
	}
	if w.set == nil {
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

// nomadProbe asks a region of Nomad, which holds the question until something changes.
type nomadProbe struct {
	nomad   Nomad
	options WatchOptions
	index   uint64 // of the last reply; 0: not to be held
	cuts    int    // blocked queries in a row that were cut off early
}

func (p *nomadProbe) probe(ctx context.Context) (*answer, time.Duration, error) {
	plain, err := p.nomad.endpoint(pathKeys, p.nomad.Region)
	if err != nil {
		return nil, 0, err
	}
	var hold time.Duration
	u, longest := plain, p.options.wait()
	if p.index > 0 {
		query := plain.Query()
		query.Set("index", strconv.FormatUint(p.index, 10))
		query.Set("wait", longest.String())
		u = new(*plain)
		u.RawQuery = query.Encode()
		hold = longest + longest/16
	}
	held, asked := p.index > 0, time.Now()
	reply, err := p.nomad.Client.orZero().send(ctx, u, acceptSet, hold, 0)
	switch {
	case err != nil && p.index > 0:
		// Whether anything is wrong, a question that isn't held will tell.
		p.index = 0
		p.cuts++
		if time.Since(asked) >= longest/2 {
			p.cuts = 0
		}
		return nil, 0, nil
	case err != nil:
		return nil, 0, err
	}
	var pause time.Duration
	switch {
	case reply.index == 0: // not Nomad, or a proxy that drops its header
		pause = wait.About(p.options.interval())
	case p.index == 0 && p.cuts > 1: // held queries don't get through
		pause = backoff(p.cuts - 1)
	case p.index > 0:
		p.cuts = 0
		if early := reply.at.Add(-replyTravel); early.After(asked) {
			asked = early
		}
	}
	if reply.index < p.index {
		p.index = 0
	} else {
		p.index = reply.index
	}
	return &answer{
		body: reply.body, index: reply.index, asked: asked, held: held,
		parse: func() (*Set, error) { return reply.parse(plain) },
	}, pause, nil
}

// urlProbe asks for a document at an address that is given, or found by discovery.
type urlProbe struct {
	client  *Client
	find    func(context.Context) (*url.URL, error)
	options WatchOptions
}

func (p *urlProbe) probe(ctx context.Context) (*answer, time.Duration, error) {
	asked := time.Now()
	u, err := p.find(ctx)
	if err != nil {
		return nil, 0, err
	}
	reply, err := p.client.get(ctx, u, acceptSet)
	if err != nil {
		return nil, 0, err
	}
	return &answer{
		body: reply.body, index: reply.index, asked: asked,
		parse: func() (*Set, error) { return reply.parse(u) },
	}, wait.About(p.options.interval()), nil
}

// locate is the find of a URL.
func (u URL) locate(context.Context) (*url.URL, error) { return parseAddress(u.Address) }

// anyProbe asks a source of the caller's making.
type anyProbe struct {
	source  Source
	options WatchOptions
}

func (p *anyProbe) probe(ctx context.Context) (*answer, time.Duration, error) {
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

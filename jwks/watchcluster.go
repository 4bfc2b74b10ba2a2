package jwks

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/internal/contain"
	"github.com/jwksharvest/harvest/internal/wait"
)

// allRegions is the Region of a Result that stands for the list of regions.
const allRegions = "*"

// ErrRegionGone: a region is no longer on its federation's list. Its last server failed, or it
// left. Nobody can tell which, so it counts as failed, not as removed.
var ErrRegionGone = errors.New("region is gone from the federation's list")

// Watch yields what a cluster publishes: for each source first what is there now, then each change
// and each new error. An error ends nothing. The same error is yielded once, until another error
// follows or the source recovers; then the set is yielded again, changed or not. A refused
// document, such as an empty set, is such an error. It doesn't withdraw what was yielded before.
// Each further answer with the same set is yielded too, as Unchanged. The sequence ends when ctx
// does or the consumer stops, and leaves nothing running.
//
// A [Nomad] region is asked with the index of its last reply, and answers as soon as something
// changes (Nomad: blocking queries). If a proxy or a time limit cuts such a query short, that means
// nothing: a request without an index follows, and its outcome counts. An index that goes
// backwards, as after a restore, is forgotten. A [File], which must be a regular file, is read
// every two seconds. Every other source is asked every Interval, or as often as it says as a
// [Poller].
//
// The list of a Federation's regions is asked for every Interval. A region that joins is watched
// from then on. A region that is gone yields a last Result, with an Err that wraps [ErrRegionGone].
// A region that Sources names is watched only as that source. A list that can't be read yields a
// Result with Region "*" and an Err, and ends no watch. A list that was read yields a Result with
// Region "*" and a Set without keys: once when every region on it has answered or failed for the
// first time, and once after each such Err.
//
// No source is asked more than ten times in a row without a pause, and then once a second. After an
// error, which a refused document is too, the pause grows from one second to a minute. A Nomad
// agent takes 100 connections from one address by default (limits, http_max_conns_per_client), and
// each region that is asked through it holds one. Watch keeps the digest of each source's last
// document, and doesn't parse the same bytes again.
//
// Errors are *ClusterErrors.
func Watch(ctx context.Context, c Cluster, o WatchOptions) iter.Seq[Result] {
	if len(c.Sources) == 1 && c.Federation == nil {
		return watchOnly(ctx, c, o)
	}
	return func(yield func(Result) bool) {
		ctx, cancel := context.WithCancel(ctx)
		w := &clusterWatch{cluster: c, options: o, merged: make(chan Result)}
		defer w.running.Wait()
		defer cancel()
		for _, s := range c.Sources {
			w.running.Go(func() { w.watch(ctx, s, func() {}) })
		}
		if c.Federation != nil {
			w.running.Go(func() { w.follow(ctx) })
		}
		for {
			select {
			case r := <-w.merged:
				if ctx.Err() != nil || !yield(r) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// watchOnly is Watch where there is nothing to merge: the source is asked where the
// sequence is consumed, which saves each of many clusters a goroutine.
func watchOnly(ctx context.Context, c Cluster, o WatchOptions) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		w, region := clusterWatch{cluster: c}, c.Sources[0].RegionName()
		newWatch(c.Sources[0], o, func(n news) bool {
			return yield(w.result(region, n))
		}).run(ctx)
	}
}

// clusterWatch is one run of Watch.
type clusterWatch struct {
	cluster Cluster
	options WatchOptions
	merged  chan Result
	running sync.WaitGroup
}

// watch sends on what one source tells, and calls heard after each.
func (w *clusterWatch) watch(ctx context.Context, s Source, heard func()) {
	region := s.RegionName()
	newWatch(s, w.options, func(n news) bool {
		sent := w.send(ctx, w.result(region, n))
		heard()
		return sent
	}).run(ctx)
}

func (w *clusterWatch) result(region string, n news) Result {
	err := n.err
	if err != nil {
		err = &ClusterError{Cluster: w.cluster.Name, Region: region, Err: err}
	}
	return Result{Cluster: w.cluster.Name, Region: region, Set: n.set, Err: err, Unchanged: n.unchanged, Asked: n.asked, Took: n.took}
}

func (w *clusterWatch) send(ctx context.Context, r Result) bool {
	select {
	case w.merged <- r:
		return true
	case <-ctx.Done():
		return false
	}
}

// regionWatch is the watch of one region of the federation.
type regionWatch struct {
	cancel context.CancelFunc
	heard  chan struct{} // closed when it told something
	ended  chan struct{}
}

// follow keeps a watch for each region on the federation's list.
func (w *clusterWatch) follow(ctx context.Context) {
	regions := map[string]*regionWatch{}
	known := &watch{tell: func(n news) bool { // remembers what was told of the list
		return w.send(ctx, w.result(allRegions, n))
	}}
	for {
		asked, pause := time.Now(), wait.About(w.options.interval())
		var sources []Source
		err := contain.Panics(func() (err error) {
			sources, err = w.cluster.federated(ctx)
			return err
		})
		took := time.Since(asked)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			known.failures++
			pause = backoff(known.failures)
			known.fail(err, asked, took)
		} else {
			known.failures = 0
			if !w.update(ctx, regions, sources) {
				return
			}
			if !known.told || known.toldText != "" {
				known.told, known.toldText = true, ""
				known.tell(news{set: new(Set), asked: asked, took: took})
			}
		}
		if !wait.Sleep(ctx, pause) {
			return
		}
	}
}

// update starts and ends watches, and waits, as long as a first question may take, until
// the new ones were heard of.
func (w *clusterWatch) update(ctx context.Context, regions map[string]*regionWatch, sources []Source) bool {
	for name, r := range regions {
		if slices.ContainsFunc(sources, func(s Source) bool { return s.RegionName() == name }) {
			continue
		}
		r.cancel()
		<-r.ended // what it told comes before its end
		delete(regions, name)
		gone := fmt.Errorf("%w: its servers failed or it left; its keys stay until it is retired", ErrRegionGone)
		if !w.send(ctx, w.result(name, news{err: gone, asked: time.Now()})) {
			return false
		}
	}
	var started []*regionWatch
	for _, source := range sources {
		name := source.RegionName()
		if regions[name] != nil {
			continue
		}
		r := &regionWatch{heard: make(chan struct{}), ended: make(chan struct{})}
		var once sync.Once
		var regionCtx context.Context
		regionCtx, r.cancel = context.WithCancel(ctx)
		regions[name] = r
		started = append(started, r)
		w.running.Go(func() {
			defer close(r.ended)
			w.watch(regionCtx, source, func() { once.Do(func() { close(r.heard) }) })
		})
	}
	timer := time.NewTimer(defaultLimits.total)
	defer timer.Stop()
	for _, r := range started {
		select {
		case <-r.heard:
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	return true
}

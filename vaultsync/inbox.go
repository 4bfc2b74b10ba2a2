package vaultsync

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// inbox holds what was heard of one cluster. A Sync or a Watch fills it, and the mounts that
// trust the cluster are told.
type inbox struct {
	cluster jwks.Cluster
	mounts  []*subscriber
	again   chan struct{} // room for one: the cluster is to be asked again

	mu       sync.Mutex
	results  []jwks.Result // one for each region; a slice that was handed out isn't changed
	complete bool          // each source was heard of, once at least

	asking sync.Mutex           // of a second question to a source
	twice  map[string]*jwks.Set // by region: both answers to the last one

	recent map[string]*recentSets // by region; for the one goroutine of a Watch
}

// newInbox returns an inbox in which everything is awaited.
func newInbox(c jwks.Cluster) *inbox {
	b := &inbox{cluster: c, again: make(chan struct{}, 1)}
	for _, s := range c.Sources {
		b.results = append(b.results, awaited(c.Name, s.RegionName()))
	}
	if c.Federation != nil {
		b.results = append(b.results, awaited(c.Name, plan.AllRegions))
	}
	return b
}

func awaited(cluster, region string) jwks.Result {
	return jwks.Result{
		Cluster: cluster, Region: region,
		Err: &jwks.ClusterError{Cluster: cluster, Region: region, Err: errSilent},
	}
}

// errSilent: a source was asked, and has not answered in time, well or badly.
var errSilent = silentError{}

type silentError struct{}

func (silentError) Error() string { return "no answer yet" }
func (silentError) Is(target error) bool {
	return target == context.DeadlineExceeded || target == jwks.ErrPending
}

// known returns what was heard last of each region.
func (b *inbox) known() []jwks.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.results
}

// learn takes in all that a Sync knows of the cluster by now. A mount that is synced already,
// with a part of its clusters, is to be synced again when all are complete.
func (b *inbox) learn(results []jwks.Result) {
	b.fill(func([]jwks.Result) []jwks.Result { return results }, func(complete bool) bool { return complete })
}

// put takes in what a Watch heard of one region. A new set is to be written at once; the rest is
// to be looked at in due time.
func (b *inbox) put(r jwks.Result) {
	r.Set = b.noteReturn(r.Region, r.Set, true)
	b.fill(func(all []jwks.Result) []jwks.Result {
		all = slices.DeleteFunc(slices.Clone(all), func(old jwks.Result) bool { return old.Region == r.Region })
		switch {
		case r.Region == plan.AllRegions && r.Err == nil, // the list can be read, which is no result of a source
			errors.Is(r.Err, jwks.ErrRegionGone): // as if it had never been: its keys stay (ErrNotRead)
			return all
		}
		return append(all, r)
	}, func(bool) bool { return r.Set != nil && len(r.Set.Keys) > 0 })
}

// fill changes the results and tells each mount. Whether that is urgent may depend on whether the
// mount's clusters are complete.
func (b *inbox) fill(change func([]jwks.Result) []jwks.Result, urgent func(complete bool) bool) {
	b.mu.Lock()
	b.results = change(b.results)
	pending := func(r jwks.Result) bool { return errors.Is(r.Err, jwks.ErrPending) }
	completes := !b.complete && !slices.ContainsFunc(b.results, pending)
	b.complete = b.complete || completes
	read := slices.ContainsFunc(b.results, func(r jwks.Result) bool { return r.Err == nil })
	b.mu.Unlock()
	for _, m := range b.mounts {
		m.hear(read, completes, urgent)
	}
}

// confirm takes in that a set is still published. Only what was kept for want of that is news to
// a mount.
func (b *inbox) confirm(r jwks.Result) {
	r.Set, r.Unchanged = b.noteReturn(r.Region, r.Set, false), false
	b.mu.Lock()
	at := slices.IndexFunc(b.results, func(old jwks.Result) bool { return old.Region == r.Region && old.Err == nil })
	if at >= 0 {
		b.results = slices.Clone(b.results)
		b.results[at] = r
	}
	b.mu.Unlock()
	for _, m := range b.mounts {
		if m.unconfirmed.Load() {
			signal(m.notice)
		}
	}
}

// signal leaves word on a channel with room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // there is word already
	}
}

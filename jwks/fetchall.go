package jwks

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/internal/contain"
)

// Bounds on how many sources FetchAll asks at once. A cluster has a bound of its own, so
// that one of many regions, none of which answers, doesn't keep the others waiting.
const (
	maxFetches        = 512
	maxClusterFetches = 8
)

// ErrPending is the error of a source that has neither answered nor failed yet.
var ErrPending = errors.New("no answer yet")

// FetchAll asks every source of every cluster, each once, up to 512 at a time and 8 of one cluster.
// When all have answered or failed it returns a Result for each, in the order of clusters, then of
// their Sources, then the regions of their Federation by name.
//
// If a source or the list of a federation's regions fails, that is a Result too, and stops nothing.
// A Result's error is a *ClusterError. When ctx ends, the sources that are left fail with its
// error.
//
// If each isn't nil, it is called with a cluster's index in clusters and its Results so far: once
// for every cluster at the beginning, and again whenever one of its sources has answered or failed.
// A source that has done neither has a Result whose error wraps [ErrPending]; for the list of a
// federation's regions its Region is "*". A cluster without a pending Result is complete. The calls
// come one at a time and hold up the answers, so each should return soon.
func FetchAll(ctx context.Context, clusters []Cluster, each func(cluster int, results []Result)) []Result {
	f := &fetcher{ctx: ctx, all: make(slots, maxFetches), each: each}
	gathered := make([]*gathering, len(clusters))
	for i, cluster := range clusters {
		gathered[i] = newGathering(i, cluster)
		f.tell(gathered[i], nil)
	}
	for i, cluster := range clusters {
		own := make(slots, maxClusterFetches)
		for j, source := range cluster.Sources {
			f.pending.Go(func() {
				r := f.fetch(cluster.Name, source, own)
				f.tell(gathered[i], func() { gathered[i].named[j] = r })
			})
		}
		if cluster.Federation != nil {
			f.pending.Go(func() { f.federation(cluster, own, gathered[i]) })
		}
	}
	f.pending.Wait()

	var results []Result
	for _, g := range gathered {
		results = append(results, g.results()...)
	}
	return results
}

// gathering is what is known of one cluster.
type gathering struct {
	place            int
	named, federated []Result
}

func newGathering(place int, c Cluster) *gathering {
	g := &gathering{place: place, named: make([]Result, len(c.Sources))}
	for i, s := range c.Sources {
		g.named[i] = pending(c.Name, s.RegionName())
	}
	if c.Federation != nil {
		g.federated = []Result{pending(c.Name, "*")}
	}
	return g
}

func pending(cluster, region string) Result {
	return Result{Cluster: cluster, Region: region, Err: &ClusterError{Cluster: cluster, Region: region, Err: ErrPending}}
}

func (g *gathering) results() []Result { return slices.Concat(g.named, g.federated) }

// fetcher is one run of FetchAll.
type fetcher struct {
	ctx     context.Context
	all     slots
	pending sync.WaitGroup

	mu   sync.Mutex // one call of each at a time, and what is gathered until all is
	each func(cluster int, results []Result)
}

// tell takes in what learned does to a gathering, and tells who asked for it.
func (f *fetcher) tell(g *gathering, learned func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if learned != nil {
		learned()
	}
	if f.each != nil {
		f.each(g.place, g.results())
	}
}

// fetch asks one source when there is a slot for it.
func (f *fetcher) fetch(cluster string, source Source, own slots) Result {
	result := Result{Cluster: cluster, Region: source.RegionName()}
	err := f.limited(own, func() (err error) {
		result.Asked = time.Now()
		result.Set, err = source.Fetch(f.ctx)
		result.Took = time.Since(result.Asked)
		return err
	})
	if err == nil && (result.Set == nil || len(result.Set.Keys) == 0) {
		err = new(NoKeysError) // anyone who reads the result may take its keys for granted
	}
	if err != nil {
		result.Set, result.Err = nil, &ClusterError{Cluster: cluster, Region: result.Region, Err: err}
		return result
	}
	judgeAhead(f.ctx, result.Set)
	return result
}

// federation asks for the regions of a cluster, and then each that isn't among its sources.
func (f *fetcher) federation(cluster Cluster, own slots, g *gathering) {
	var sources []Source
	var asked time.Time
	var took time.Duration
	err := f.limited(own, func() (err error) {
		asked = time.Now()
		sources, err = cluster.federated(f.ctx)
		took = time.Since(asked)
		return err
	})
	if err != nil {
		err = &ClusterError{Cluster: cluster.Name, Region: "*", Err: err}
		f.tell(g, func() {
			g.federated = []Result{{Cluster: cluster.Name, Region: "*", Err: err, Asked: asked, Took: took}}
		})
		return
	}
	f.tell(g, func() {
		g.federated = make([]Result, len(sources))
		for i, source := range sources {
			g.federated[i] = pending(cluster.Name, source.RegionName())
		}
	})
	for i, source := range sources {
		f.pending.Go(func() {
			r := f.fetch(cluster.Name, source, own)
			f.tell(g, func() { g.federated[i] = r })
		})
	}
}

// federated asks for the regions of the federation, and returns the sources of those that aren't
// among the cluster's own.
func (c Cluster) federated(ctx context.Context) ([]Source, error) {
	names, err := c.Federation.Regions(ctx)
	if err != nil {
		return nil, err
	}
	var sources []Source
	for _, name := range names {
		if !slices.ContainsFunc(c.Sources, func(s Source) bool { return s.RegionName() == name }) {
			sources = append(sources, c.Federation.Source(name))
		}
	}
	return sources, nil
}

// limited calls do when the cluster and the whole have a slot for it.
func (f *fetcher) limited(own slots, do func() error) error {
	if err := own.acquire(f.ctx); err != nil {
		return err
	}
	defer own.release()
	if err := f.all.acquire(f.ctx); err != nil {
		return err
	}
	defer f.all.release()
	return contain.Panics(do) // a source may be of the caller's making
}

// slots is a semaphore.
type slots chan struct{}

func (s slots) acquire(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) release() { <-s }

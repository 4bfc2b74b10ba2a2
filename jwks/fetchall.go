package jwks

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Bounds on how many sources FetchAll asks at once. A cluster has a bound of its own, so
// that one of many regions, none of which answers, doesn't keep the others waiting.
const (
	MaxConcurrentFetches        = 64
	MaxConcurrentClusterFetches = 8
)

// FetchAll asks every source of every cluster, each once, up to MaxConcurrentFetches at a
// time and MaxConcurrentClusterFetches of one cluster. It returns a Result for each when
// all have answered or failed: in the order of clusters, then of their Sources, then the
// regions of their Federation by name.
//
// A failure, of a source or of the list of a federation's regions, is a Result like the
// others and stops nothing: one cluster out of reach must not cost the rest its harvest. A
// Result's error is a *ClusterError. When ctx ends, what is left fails with its error.
func FetchAll(ctx context.Context, clusters []Cluster) []Result {
	f := &fetcher{ctx: ctx, all: make(slots, MaxConcurrentFetches)}
	named := make([][]Result, len(clusters))
	federated := make([][]Result, len(clusters))
	for i, cluster := range clusters {
		own := make(slots, MaxConcurrentClusterFetches)
		named[i] = make([]Result, len(cluster.Sources))
		for j, source := range cluster.Sources {
			f.pending.Go(func() { named[i][j] = f.fetch(cluster.Name, source, own) })
		}
		if cluster.Federation != nil {
			f.pending.Go(func() { federated[i] = f.federation(cluster, own) })
		}
	}
	f.pending.Wait()

	var results []Result
	for i := range clusters {
		results = append(results, named[i]...)
		results = append(results, federated[i]...)
	}
	return results
}

// fetcher is one run of FetchAll.
type fetcher struct {
	ctx     context.Context
	all     slots
	pending sync.WaitGroup
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
		err = new(NoKeysError) // whoever reads the result may take its keys for granted
	}
	if err != nil {
		result.Set, result.Err = nil, &ClusterError{Cluster: cluster, Region: result.Region, Err: err}
	}
	return result
}

// federation asks for the regions of a cluster, and then each that isn't among its sources.
func (f *fetcher) federation(cluster Cluster, own slots) []Result {
	var regions []string
	var asked time.Time
	var took time.Duration
	err := f.limited(own, func() (err error) {
		asked = time.Now()
		regions, err = cluster.Federation.Regions(f.ctx)
		took = time.Since(asked)
		return err
	})
	if err != nil {
		err = &ClusterError{Cluster: cluster.Name, Region: "*", Err: err}
		return []Result{{Cluster: cluster.Name, Region: "*", Err: err, Asked: asked, Took: took}}
	}
	agents := cluster.federated(regions)
	results := make([]Result, len(agents))
	var pending sync.WaitGroup
	for i, agent := range agents {
		pending.Go(func() { results[i] = f.fetch(cluster.Name, agent, own) })
	}
	pending.Wait()
	return results
}

// federated returns the regions of a federation that aren't among the cluster's sources.
func (c Cluster) federated(regions []string) []Nomad {
	var agents []Nomad
	for _, region := range regions {
		if !slices.ContainsFunc(c.Sources, func(s Source) bool { return s.RegionName() == region }) {
			agent := *c.Federation
			agent.Region = region
			agents = append(agents, agent)
		}
	}
	return agents
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
	return do()
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

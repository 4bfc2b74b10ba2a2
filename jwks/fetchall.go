package jwks

import (
	"context"
	"slices"
	"sync"
)

// MaxConcurrentFetches is how many sources FetchAll asks at once.
const MaxConcurrentFetches = 64

// FetchAll asks every source of every cluster, each once and up to MaxConcurrentFetches
// at a time, and returns a Result for each: in the order of clusters, then of their Sources,
// then the regions of their Federation by name. It returns when all have answered or failed.
//
// A failure, of a source or of the list of a federation's regions, is a Result like the
// others and stops nothing: one cluster out of reach must not cost the rest its harvest. A
// Result's error is a *ClusterError. When ctx ends, what is left fails with its error.
func FetchAll(ctx context.Context, clusters []Cluster) []Result {
	f := &fetcher{ctx: ctx, slots: make(chan struct{}, MaxConcurrentFetches)}
	named := make([][]Result, len(clusters))
	federated := make([][]Result, len(clusters))
	for i, cluster := range clusters {
		named[i] = make([]Result, len(cluster.Sources))
		for j, source := range cluster.Sources {
			f.pending.Go(func() { named[i][j] = f.fetch(cluster.Name, source) })
		}
		if cluster.Federation != nil {
			f.pending.Go(func() { federated[i] = f.federation(cluster) })
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
	slots   chan struct{}
	pending sync.WaitGroup
}

// fetch asks one source when there is a slot for it.
func (f *fetcher) fetch(cluster string, source Source) Result {
	result := Result{Cluster: cluster, Region: source.RegionName()}
	var err error
	if err = f.acquire(); err == nil {
		result.Set, err = source.Fetch(f.ctx)
		f.release()
	}
	if err == nil && (result.Set == nil || len(result.Set.Keys) == 0) {
		err = new(NoKeysError) // whoever reads the result may take its keys for granted
	}
	if err != nil {
		result.Set, result.Err = nil, &ClusterError{Cluster: cluster, Region: result.Region, Err: err}
	}
	return result
}

// federation asks for the regions of a cluster, and then each that isn't among its sources.
func (f *fetcher) federation(cluster Cluster) []Result {
	regions, err := f.regions(*cluster.Federation)
	if err != nil {
		return []Result{{Cluster: cluster.Name, Region: "*", Err: &ClusterError{Cluster: cluster.Name, Region: "*", Err: err}}}
	}
	regions = slices.DeleteFunc(regions, func(region string) bool {
		return slices.ContainsFunc(cluster.Sources, func(s Source) bool { return s.RegionName() == region })
	})
	results := make([]Result, len(regions))
	var pending sync.WaitGroup
	for i, region := range regions {
		source := *cluster.Federation
		source.Region = region
		pending.Go(func() { results[i] = f.fetch(cluster.Name, source) })
	}
	pending.Wait()
	return results
}

func (f *fetcher) regions(agent Nomad) ([]string, error) {
	if err := f.acquire(); err != nil {
		return nil, err
	}
	defer f.release()
	return agent.Regions(f.ctx)
}

func (f *fetcher) acquire() error {
	select {
	case f.slots <- struct{}{}:
		return nil
	case <-f.ctx.Done():
		return f.ctx.Err()
	}
}

func (f *fetcher) release() { <-f.slots }

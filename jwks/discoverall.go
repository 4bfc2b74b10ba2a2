package jwks

import (
	"context"
	"crypto"
	"slices"
	"sync"
)

// Discovery is what one source says of the tokens that its keys sign.
type Discovery struct {
	Cluster string
	Region  string // as in Result
	// Nomad reports whether it is a region of a Nomad cluster.
	Nomad bool
	// RegionName is the region as Nomad calls it, with which the "sub" of its tokens begins;
	// "" where it isn't known: no Nomad, or an agent's own region among several of which no other
	// than one publishes the same keys.
	RegionName string
	Metadata   Metadata
	Err        error // a *ClusterError; Metadata is zero then
}

// DiscoverAll asks every source of every cluster that has a discovery document (Nomads and
// issuers; not URLs and files) for it, with the bounds of [FetchAll] and in its order. A
// failure is a Discovery like the others.
func DiscoverAll(ctx context.Context, clusters []Cluster) []Discovery {
	f := &fetcher{ctx: ctx, all: make(slots, maxFetches)}
	found := make([][]Discovery, len(clusters))
	for i, cluster := range clusters {
		f.pending.Go(func() { found[i] = f.discoverCluster(cluster) })
	}
	f.pending.Wait()
	var all []Discovery
	for i := range found {
		all = append(all, found[i]...)
	}
	return all
}

// discoverCluster asks the sources of one cluster.
func (f *fetcher) discoverCluster(cluster Cluster) []Discovery {
	own := make(slots, maxClusterFetches)
	sources := slices.Clone(cluster.Sources)
	if cluster.Federation != nil {
		var federated []Source
		err := f.limited(own, func() (err error) {
			federated, err = cluster.federated(f.ctx)
			return err
		})
		if err != nil {
			err = &ClusterError{Cluster: cluster.Name, Region: "*", Err: err}
			return []Discovery{{Cluster: cluster.Name, Region: "*", Nomad: true, Err: err}}
		}
		sources = append(sources, federated...)
	}
	found := make([]*Discovery, len(sources))
	var pending sync.WaitGroup
	for i, source := range sources {
		pending.Go(func() { found[i] = f.discover(cluster.Name, source, own) })
	}
	pending.Wait()
	var all []Discovery
	for _, d := range found {
		if d != nil {
			all = append(all, *d)
		}
	}
	return all
}

// discover asks one source; nil where it has no discovery document.
func (f *fetcher) discover(cluster string, source Source, own slots) *Discovery {
	discoverer, ok := source.(Discoverer)
	if !ok {
		return nil
	}
	d := &Discovery{Cluster: cluster, Region: source.RegionName(), RegionName: source.RegionName()}
	err := f.limited(own, func() (err error) {
		d.Metadata, err = discoverer.Discover(f.ctx)
		return err
	})
	d.Nomad = d.Metadata.Nomad
	if err != nil {
		d.Metadata, d.Err = Metadata{}, &ClusterError{Cluster: cluster, Region: d.Region, Err: err}
	} else {
		d.RegionName = d.Metadata.Region
	}
	return d
}

// maxNameless is how many regions are asked at most to find out which one is the agent's.
const maxNameless = 64

// name returns what the region is called, or "". An agent doesn't tell without a token which
// region is its own; among several it is the one that publishes the same keys, as each region
// has a keyring of its own.
func (n Nomad) name(ctx context.Context) string {
	if n.Region != "" {
		return n.Region
	}
	regions, err := n.Regions(ctx)
	if err != nil || len(regions) > maxNameless {
		return ""
	}
	if len(regions) == 1 {
		return regions[0]
	}
	own, err := n.Fetch(ctx)
	if err != nil {
		return ""
	}
	var pending sync.WaitGroup
	var mu sync.Mutex
	var same []string
	slots := make(slots, maxClusterFetches)
	for _, region := range regions {
		pending.Go(func() {
			if slots.acquire(ctx) != nil {
				return
			}
			defer slots.release()
			other := n
			other.Region = region
			set, err := other.Fetch(ctx)
			if err != nil || !sameKeys(own, set) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			same = append(same, region)
		})
	}
	pending.Wait()
	if len(same) != 1 { // none, as during a rotation, or a proxy that drops the region
		return ""
	}
	return same[0]
}

// sameKeys reports whether two sets have the same key IDs and keys, in any order.
func sameKeys(a, b *Set) bool {
	within := func(s *Set, k Key) bool {
		public, ok := k.Public.(interface{ Equal(crypto.PublicKey) bool })
		return ok && slices.ContainsFunc(s.Keys, func(other Key) bool { return other.KeyID == k.KeyID && public.Equal(other.Public) })
	}
	lacks := func(s, other *Set) bool {
		return slices.ContainsFunc(other.Keys, func(k Key) bool { return !within(s, k) })
	}
	return !lacks(a, b) && !lacks(b, a)
}

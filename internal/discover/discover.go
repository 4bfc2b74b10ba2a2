// Package discover asks many clusters what their tokens say of themselves.
package discover

import (
	"context"
	"slices"
	"sync"

	"github.com/jwksharvest/harvest/internal/contain"
	"github.com/jwksharvest/harvest/jwks"
)

// Discovery is what one source says of the tokens that its keys sign.
type Discovery struct {
	Cluster string
	Region  string // as in jwks.Result
	// Nomad reports whether it is a region of a Nomad cluster.
	Nomad bool
	// RegionName is the region as Nomad calls it: see jwks.Metadata. Where the source could not be
	// asked, it is Region.
	RegionName string
	Metadata   jwks.Metadata
	Err        error // a *jwks.ClusterError; Metadata is zero then
}

// Bounds on how many sources are asked at once, in all and of one cluster.
const (
	maxAsked        = 64
	maxClusterAsked = 8
)

// All asks every source of every cluster that is a jwks.Discoverer, in the order of
// jwks.FetchAll. A failure is a Discovery like the others.
func All(ctx context.Context, clusters []jwks.Cluster) []Discovery {
	a := &asker{ctx: ctx, all: make(chan struct{}, maxAsked)}
	found := make([][]Discovery, len(clusters))
	var pending sync.WaitGroup
	for i, c := range clusters {
		pending.Go(func() { found[i] = a.cluster(c) })
	}
	pending.Wait()
	return slices.Concat(found...)
}

// asker is one run of All.
type asker struct {
	ctx context.Context
	all chan struct{}
}

// cluster asks the sources of one cluster.
func (a *asker) cluster(c jwks.Cluster) []Discovery {
	own := make(chan struct{}, maxClusterAsked)
	sources := slices.Clone(c.Sources)
	if c.Federation != nil {
		err := a.limited(own, func() error {
			names, err := c.Federation.Regions(a.ctx)
			for _, name := range names {
				if !slices.ContainsFunc(c.Sources, func(s jwks.Source) bool { return s.RegionName() == name }) {
					sources = append(sources, c.Federation.Source(name))
				}
			}
			return err
		})
		if err != nil {
			err = &jwks.ClusterError{Cluster: c.Name, Region: "*", Err: err}
			return []Discovery{{Cluster: c.Name, Region: "*", Nomad: true, Err: err}}
		}
	}
	found := make([]*Discovery, len(sources))
	var pending sync.WaitGroup
	for i, s := range sources {
		if d, ok := s.(jwks.Discoverer); ok {
			pending.Go(func() { found[i] = a.source(c.Name, s.RegionName(), d, own) })
		}
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

// source asks one source.
func (a *asker) source(cluster, region string, source jwks.Discoverer, own chan struct{}) *Discovery {
	d := &Discovery{Cluster: cluster, Region: region}
	err := a.limited(own, func() (err error) {
		d.Metadata, err = source.Discover(a.ctx)
		return err
	})
	d.Nomad, d.RegionName = d.Metadata.Nomad, d.Metadata.Region
	if err != nil {
		d.Metadata, d.RegionName = jwks.Metadata{}, region
		d.Err = &jwks.ClusterError{Cluster: cluster, Region: region, Err: err}
	}
	return d
}

// limited calls do when the cluster and the whole have room for it.
func (a *asker) limited(own chan struct{}, do func() error) error {
	for _, room := range []chan struct{}{own, a.all} {
		select {
		case room <- struct{}{}:
			defer func() { <-room }()
		case <-a.ctx.Done():
			return a.ctx.Err()
		}
	}
	return contain.Panics(do) // a source may be of the caller's making
}

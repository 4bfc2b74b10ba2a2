package main

import (
	"slices"

	"github.com/jwksharvest/harvest/jwks"
)

// warnUndiscovered names the clusters that could not be asked what they sign with: a new mount
// is made without it, and takes the algorithms of the keys alone.
func (a *app) warnUndiscovered(discovered []jwks.Discovery, j *job) {
	say := func(err error) {
		a.says.warn("%v: what it signs with could not be asked, and a new mount takes the algorithms of its present keys alone", err)
	}
	for _, d := range discovered {
		if d.Err != nil {
			say(d.Err)
		}
	}
	for _, c := range j.harvester.Clusters {
		used := slices.ContainsFunc(j.cfg.mounts, func(m mountConfig) bool { return slices.Contains(m.clusters, c.Name) })
		for _, source := range c.Sources {
			if b, ok := source.(broken); ok && used {
				say(&jwks.ClusterError{Cluster: c.Name, Region: b.region, Err: b.err})
			}
		}
	}
}

// onlyRegions returns the names of the regions of those clusters that have one.
func onlyRegions(discovered []jwks.Discovery) map[string]string {
	regions, seen := map[string]string{}, map[string]bool{}
	for _, d := range discovered {
		if d.Nomad && d.RegionName != "" && !seen[d.Cluster] {
			regions[d.Cluster] = d.RegionName
		} else {
			delete(regions, d.Cluster)
		}
		seen[d.Cluster] = true
	}
	return regions
}

// announced returns the algorithms that clusters say they may sign with, so that a mount is
// ready for a cluster that rotates to another one. Where a document can't be read, the keys tell.
func announced(discovered []jwks.Discovery, clusters []string) []string {
	var algorithms []string
	for _, d := range discovered {
		if slices.Contains(clusters, d.Cluster) {
			algorithms = append(algorithms, d.Metadata.Algorithms...)
		}
	}
	return algorithms
}

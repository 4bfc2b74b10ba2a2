package main

import "github.com/jwksharvest/harvest/jwks"

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

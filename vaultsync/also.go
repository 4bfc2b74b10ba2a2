package vaultsync

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/pem"
)

// maxAlso is how many bytes the further owners of a key may take in its annotation: a
// federation may have a thousand regions that all publish one set of keys.
const maxAlso = 512

// named returns those owners of a key that its annotation names: the first, and of the others as
// many as fit in maxAlso.
func (p *planner) named(f pem.Fingerprint, owners []pem.Owner) []pem.Owner {
	n, size := 1, 0
	for ; n < len(owners); n++ {
		if size += alsoSize(owners[n]); size > maxAlso {
			break
		}
	}
	if left := owners[n:]; len(left) > 0 {
		p.unnamed[f] = left
	}
	return owners[:n]
}

func alsoSize(o pem.Owner) int { return len(o.Cluster) + len("/") + len(o.Region) + len(" ") }

// mayBeUnnamed reports whether an annotation may have had no room for all owners.
func mayBeUnnamed(also []pem.Owner) bool {
	size := alsoSize(pem.Owner{Cluster: strings.Repeat("x", maxName), Region: strings.Repeat("x", maxName)})
	for _, o := range also {
		size += alsoSize(o)
	}
	return size > maxAlso
}

// warnUnnamed tells of owners that annotations don't name.
func (p *planner) warnUnnamed() {
	var all []string
	for f, owners := range p.unnamed {
		all = append(all, fmt.Sprintf("key %s: its annotation has no room for %d of its owners (%s): where these drop the key, "+
			"can't be read, or replace all their keys, that goes unnoticed", f.Short(), len(owners), someOwners(owners)))
	}
	slices.Sort(all)
	p.plan.Warnings = append(p.plan.Warnings, all...)
}

func someOwners(owners []pem.Owner) string {
	const most = 3
	var names []string
	for _, o := range owners[:min(len(owners), most)] {
		names = append(names, o.String())
	}
	if more := len(owners) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/rule"
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

// overlong reports whether an annotation has more further owners than harvest writes.
func overlong(also []pem.Owner) bool {
	size := 0
	for _, o := range also {
		size += alsoSize(o)
	}
	return size > maxAlso
}

func alsoSize(o pem.Owner) int { return len(o.Cluster) + len("/") + len(o.Region) + len(" ") }

// mayBeUnnamed reports whether an annotation may have had no room for all owners.
func mayBeUnnamed(also []pem.Owner) bool {
	another := pem.Owner{Cluster: strings.Repeat("x", rule.MaxName), Region: strings.Repeat("x", rule.MaxName)}
	return overlong(append(slices.Clone(also), another))
}

// remarkOnUnnamed tells of owners that annotations don't name, once for keys that leave out the
// same.
func (p *planner) remarkOnUnnamed() {
	keys := map[string][]string{}
	for f, owners := range p.unnamed {
		said := fmt.Sprintf("no room for %d of its owners (%s)", len(owners), someOwners(owners))
		keys[said] = append(keys[said], f.Short())
	}
	for _, said := range slices.Sorted(maps.Keys(keys)) {
		slices.Sort(keys[said])
		p.plan.Remarks = append(p.plan.Remarks, fmt.Sprintf(
			"key %s: the annotation has %s: where these drop the key, can't be read, or replace all their keys, that goes unnoticed",
			some(keys[said]), said))
	}
}

// some returns the first words of a list, and how many more there are.
func some(words []string) string {
	if more := len(words) - mostNamed; more > 0 {
		words = append(words[:mostNamed:mostNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

func someOwners(owners []pem.Owner) string {
	names := make([]string, len(owners))
	for i, o := range owners[:min(len(owners), mostNamed)] {
		names[i] = o.String()
	}
	return some(names)
}

// Package rule has what the rules of a plan say of one cluster or key, for those who ask without a
// plan.
package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/pem"
)

// MaxName is how many bytes the name of a cluster or a region may have.
const MaxName = 128

// IsRegion reports whether a region may be called so: the name stands in annotations, where blanks
// and slashes separate names.
func IsRegion(s string) bool {
	return len(s) <= MaxName && !strings.ContainsFunc(s, func(c rune) bool { return !isAlphanumeric(c) && !strings.ContainsRune("._-", c) })
}

func isAlphanumeric(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// CheckCluster refuses a cluster's name that annotations can't carry: letters, digits, ".", "_"
// and "-", beginning with a letter or digit, 128 bytes at most.
func CheckCluster(name string) error {
	if name == "" || !IsRegion(name) || !isAlphanumeric(rune(name[0])) {
		return fmt.Errorf("cluster name %q: use letters, digits, '.', '_' and '-', beginning with a letter or digit, 128 at most", name)
	}
	return nil
}

// Names reports whether a list of clusters and regions has owner's cluster or that very region of
// it.
func Names(list []string, owner pem.Owner) bool {
	return slices.Contains(list, owner.Cluster) || slices.Contains(list, owner.Cluster+"/"+owner.Region)
}

// Pins reports whether a key may be trusted from a cluster, as far as pins go.
func Pins(pins map[string][]pem.Fingerprint, cluster string, f pem.Fingerprint) bool {
	all, limited := pins[cluster]
	return !limited || slices.Contains(all, f)
}

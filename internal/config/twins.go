package config

import (
	"net/url"
	"slices"
	"strings"
)

// twin returns the index of a cluster before the i-th that is read from the same place: one
// cluster under two names, of which each is trusted for itself.
func twin(clusters []Cluster, i int) (int, bool) {
	for j, other := range clusters[:i] {
		if sourceOf(other) == sourceOf(clusters[i]) && shareRegion(other.Regions, clusters[i].Regions) {
			return j, true
		}
	}
	return 0, false
}

// sourceOf returns where a cluster's keys are read, as URLs and file names are compared.
func sourceOf(c Cluster) [2]string {
	kind, place := c.Source()
	return [2]string{kind, NormalAddress(place)}
}

// NormalAddress returns an address without what makes no difference: letters' case in scheme and
// host, a usual port, a slash at the end. What has no host stays as it is.
func NormalAddress(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" {
		return address
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[strings.ToLower(u.Scheme)]
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	return strings.ToLower(u.Scheme) + "://" + strings.ToLower(u.Hostname()) + ":" + port + path + "?" + u.RawQuery
}

// shareRegion reports whether two lists of regions have one in common. The agent's own may be
// any, and "*" is all.
func shareRegion(a, b []string) bool {
	whole := func(list []string) bool {
		return len(list) == 0 || slices.Contains(list, allRegions) || slices.Contains(list, "")
	}
	return whole(a) || whole(b) || slices.ContainsFunc(a, func(name string) bool { return slices.Contains(b, name) })
}

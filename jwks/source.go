package jwks

import (
	"context"
	"fmt"
	"time"
)

// Source is one place that publishes keys: a region of a Nomad cluster ([Nomad]), a [URL], an
// [Issuer], a [Kubernetes], a [File], or one of the caller's own ([Static], [SourceFunc]).
//
// A Source may be used by several goroutines at once. What is asked of one:
//
//   - Fetch ends soon after ctx does, with an error that wraps that of ctx.
//   - It returns a set of at least one key or an error, never both. The set is the receiver's to
//     read, and nobody changes it afterwards, the Source neither: another answer is another Set.
//   - The order of the keys has no meaning, but the same keys come in the same order: a watch takes
//     two sets for the same if they are equal one by one.
//   - The keys of [Parse] and [NewSet] are fit to be trusted as far as each of them tells. Others
//     are judged ([Set.Judge]) before they are trusted, wherever they come from.
//   - An error names the place that was asked, and holds neither credentials nor unprintable text.
//     A watch tells an error again only when its text changes, so it has no time or count in it.
type Source interface {
	// RegionName is the Nomad region that the keys belong to, or "" for the agent's
	// own region and for what has no regions. It is always the same.
	RegionName() string
	// Fetch returns the keys published now.
	Fetch(ctx context.Context) (*Set, error)
}

// Cluster is a name that the operator gives to one or more sources.
type Cluster struct {
	// Name stands in annotations, plans and errors.
	Name string
	// Sources are asked side by side; each RegionName may occur once.
	Sources []Source
	// Federation, where set, has a list of regions that is fetched each time; every region on
	// it is a source too. A region that Sources names already is not added again. A [Nomad] is
	// one: any agent of the federation (Nomad: regions API), whose Region is not used.
	Federation Federation
}

// Federation is a list of regions, each of which is a source.
type Federation interface {
	// Regions returns the names of the regions there are now, each once.
	Regions(ctx context.Context) ([]string, error)
	// Source returns the source of a region. Its RegionName is that name.
	Source(region string) Source
}

// Result is what one source gave: a Set or an Err, never both.
type Result struct {
	Cluster string
	Region  string // "*" where the list of regions itself could not be fetched
	Set     *Set
	Err     error // a *ClusterError
	// Unchanged reports whether a [Watch] yielded the same Set of this source before.
	Unchanged bool
	// Asked is a time from which Set is, if it isn't newer: when the question went out.
	// A query that Nomad held until something changed is answered with what is there at
	// the end of it: there it is a second before the reply arrived, which is what the
	// reply may have spent on its way. Zero: no question went out.
	Asked time.Time
	// Took is how long the source then took to answer, well or badly, with what had to be
	// asked for on the way (discovery, another try). Zero where nothing can be said of it:
	// no question went out, Nomad held the query, or a file was only looked at.
	Took time.Duration
}

// ClusterError says which cluster and region an error belongs to.
type ClusterError struct {
	Cluster string
	Region  string // may be ""
	Err     error
}

// Error implements error.
func (e *ClusterError) Error() string {
	if e.Region == "" {
		return fmt.Sprintf("cluster %q: %v", e.Cluster, e.Err)
	}
	return fmt.Sprintf("cluster %q region %q: %v", e.Cluster, e.Region, e.Err)
}

// Unwrap returns Err.
func (e *ClusterError) Unwrap() error { return e.Err }

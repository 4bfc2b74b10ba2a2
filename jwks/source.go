package jwks

import (
	"context"
	"fmt"
	"time"
)

// Source is one place that publishes keys: a region of a Nomad cluster ([Nomad]), a [URL], an
// [Issuer], a [Kubernetes], a [File], or one of the caller's own ([Static], [SourceFunc]).
//
// A Source may be used by several goroutines at once. It keeps these rules:
//
//   - Fetch ends soon after ctx does, with an error that wraps that of ctx.
//   - It returns a set of at least one key or an error, never both. Nobody changes the set
//     afterwards, not even the Source: another answer is another Set.
//   - The order of the keys has no meaning, but the same keys come in the same order: a watch
//     compares two sets key by key.
//   - The keys of [Parse] and [NewSet] are judged as far as each of them does that. All others are
//     judged ([Set.Judge]) before they are trusted, wherever they come from.
//   - An error names the place that was asked, and holds neither credentials nor unprintable text.
//     A watch yields an error again only if its text changes, so the text holds no time or count.
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
	// Federation, if set, lists regions; the list is fetched each time, and every region on it is a
	// source too. A region that Sources names already is not added again. A [Nomad] is a
	// Federation: any agent of it will do (Nomad: regions API), and its Region is not used.
	Federation Federation
}

// Federation is a list of regions, each of which is a source.
type Federation interface {
	// Regions returns the names of the regions there are now, each once.
	Regions(ctx context.Context) ([]string, error)
	// Source returns the source of a region. Its RegionName is that name.
	Source(region string) Source
}

// Result is what one source returned: a Set or an Err, never both.
type Result struct {
	Cluster string
	Region  string // "*" where the list of regions itself could not be fetched
	Set     *Set
	Err     error // a *ClusterError
	// Unchanged reports whether a [Watch] yielded the same Set of this source before.
	Unchanged bool
	// The Set is at least as recent as Asked, which is when the request was sent. Nomad answers a
	// query that it held with what is there at the end; then Asked is a second before the reply
	// arrived, which is how long the reply may have been on its way. Zero: no request was sent.
	Asked time.Time
	// Took is how long the source then took to answer or to fail, including discovery and retries.
	// Zero: no request was sent, Nomad held the query, or a file had not changed.
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

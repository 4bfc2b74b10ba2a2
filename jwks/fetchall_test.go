package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeSource is a Source that answers what the test says.
type fakeSource struct {
	region string
	fetch  func(context.Context) (*Set, error)
}

func (f fakeSource) RegionName() string                      { return f.region }
func (f fakeSource) Fetch(ctx context.Context) (*Set, error) { return f.fetch(ctx) }

func publishes(kid string) func(context.Context) (*Set, error) {
	return func(context.Context) (*Set, error) {
		return &Set{Keys: []Key{{KeyID: kid, Public: &testKeys()[0].PublicKey}}}, nil
	}
}

// outcomes are results in short: cluster, region, and the first kid or the error.
func outcomes(results []Result) []string {
	var list []string
	for _, r := range results {
		what := fmt.Sprint(r.Err)
		if r.Err == nil {
			what = r.Set.Keys[0].KeyID
		}
		list = append(list, fmt.Sprintf("%s/%s: %s", r.Cluster, r.Region, what))
	}
	return list
}

// federation is a Nomad that counts what it is asked for.
type federation struct {
	mu      sync.Mutex
	asked   map[string]int
	regions string
}

func newFederation(t *testing.T, regions string) (*federation, *httptest.Server) {
	f := &federation{asked: make(map[string]int), regions: regions}
	return f, newServer(t, f.serve)
}

func (f *federation) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked[r.URL.String()]++
	f.mu.Unlock()
	switch region := r.URL.Query().Get("region"); {
	case r.URL.Path == "/v1/regions":
		io.WriteString(w, f.regions)
	case region == "down":
		http.Error(w, "No path to region", http.StatusInternalServerError)
	default:
		io.WriteString(w, keySet(rsaMember(0, fields{"kid": "key of " + region})))
	}
}

func TestFetchAll(t *testing.T) {
	nomad, server := newFederation(t, `["us", "down", "eu", "ap"]`)
	agent := Nomad{Address: server.URL}
	eu := agent
	eu.Region = "eu"
	failure := errors.New("out of reach")

	results := FetchAll(t.Context(), []Cluster{
		{Name: "z", Sources: []Source{
			fakeSource{"b", publishes("zb")},
			fakeSource{"a", func(context.Context) (*Set, error) { return nil, failure }},
			fakeSource{"", publishes("z")},
		}},
		{Name: "fed", Sources: []Source{eu}, Federation: &agent},
		{Name: "empty"},
		{Name: "a", Sources: []Source{
			fakeSource{"", func(context.Context) (*Set, error) { return nil, failure }},
			fakeSource{"nil", func(context.Context) (*Set, error) { return nil, nil }},
			fakeSource{"none", func(context.Context) (*Set, error) { return new(Set), nil }},
		}},
	}, nil)
	empty := (&NoKeysError{}).Error()
	assert.Equal(t, []string{
		`z/b: zb`,
		`z/a: cluster "z" region "a": out of reach`,
		`z/: z`,
		`fed/eu: key of eu`,
		`fed/ap: key of ap`,
		`fed/down: cluster "fed" region "down": GET ` + server.URL + `/.well-known/jwks.json?region=down: 500 Internal Server Error: No path to region (the cluster knows no such region, or no server of it is alive)`,
		`fed/us: key of us`,
		`a/: cluster "a": out of reach`,
		`a/nil: cluster "a" region "nil": ` + empty,
		`a/none: cluster "a" region "none": ` + empty,
	}, outcomes(results))
	for _, r := range results {
		assert.NotEqual(t, r.Set == nil, r.Err == nil, "a set or an error")
		if r.Err != nil {
			var clusterError *ClusterError
			require.ErrorAs(t, r.Err, &clusterError)
			assert.Equal(t, r.Cluster, clusterError.Cluster)
			assert.Equal(t, r.Region, clusterError.Region)
		}
	}
	assert.ErrorIs(t, results[1].Err, failure)
	assert.ErrorIs(t, results[8].Err, ErrNoKeys)

	assert.Len(t, nomad.asked, 5)
	for request, times := range nomad.asked {
		assert.Equal(t, 1, times, request)
	}
}

func TestFetchAllListOfRegionsFails(t *testing.T) {
	_, server := newFederation(t, `["..", "eu"]`)
	agent := Nomad{Address: server.URL}
	results := FetchAll(t.Context(), []Cluster{
		{Name: "fed", Sources: []Source{fakeSource{"eu", publishes("eu")}}, Federation: &agent},
		{Name: "other", Sources: []Source{fakeSource{"", publishes("o")}}},
	}, nil)
	require.Len(t, results, 3)
	assert.NoError(t, results[0].Err)
	assert.Equal(t, "*", results[1].Region)
	assert.ErrorContains(t, results[1].Err, `cluster "fed" region "*": GET http://`)
	assert.NoError(t, results[2].Err)
}

func TestFetchAllBounded(t *testing.T) {
	var running, most, total atomic.Int32
	full := make(chan struct{})
	source := fakeSource{"", func(ctx context.Context) (*Set, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for {
			seen := most.Load()
			if n <= seen || most.CompareAndSwap(seen, n) {
				break
			}
		}
		if total.Add(1) == maxFetches {
			time.AfterFunc(20*time.Millisecond, func() { close(full) }) // for one too many to show
		}
		select {
		case <-full:
		case <-time.After(5 * time.Second):
			return nil, errors.New("not side by side")
		}
		return publishes("k")(ctx)
	}}
	clusters := make([]Cluster, maxFetches/maxClusterFetches+8)
	for i := range clusters {
		for range 2 * maxClusterFetches {
			clusters[i].Sources = append(clusters[i].Sources, source)
		}
	}
	results := FetchAll(t.Context(), clusters, nil)
	require.Len(t, results, 2*maxClusterFetches*len(clusters))
	for _, r := range results {
		require.NoError(t, r.Err)
	}
	assert.EqualValues(t, maxFetches, most.Load())
}

// A cluster of many regions, none of which answers, keeps no other waiting.
func TestFetchAllFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		hangs := fakeSource{"", func(ctx context.Context) (*Set, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		hanging := Cluster{Name: "hanging", Sources: slices.Repeat([]Source{hangs}, 4*maxFetches)}
		var answered time.Time
		other := Cluster{Name: "other", Sources: []Source{fakeSource{"", func(ctx context.Context) (*Set, error) {
			answered = time.Now()
			return publishes("o")(ctx)
		}}}}

		results := FetchAll(ctx, []Cluster{hanging, other}, nil)
		last := len(results) - 1
		require.NoError(t, results[last].Err)
		assert.Equal(t, began, answered)
		for _, r := range results[:last] {
			require.ErrorIs(t, r.Err, context.DeadlineExceeded)
		}
		asked := slices.DeleteFunc(results[:last], func(r Result) bool { return r.Asked.IsZero() })
		assert.Len(t, asked, maxClusterFetches, "the others' turn never came")
	})
}

// Asked is when a source's turn came, which may be later than the call, and not when it
// answered.
func TestFetchAllAsked(t *testing.T) {
	const takes = 2 * time.Second
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		slow := fakeSource{"", func(ctx context.Context) (*Set, error) {
			time.Sleep(takes)
			return publishes("k")(ctx)
		}}
		sources := slices.Repeat([]Source{slow}, 2*maxClusterFetches)
		turns := make(map[time.Duration]int)
		for _, r := range FetchAll(t.Context(), []Cluster{{Name: "c", Sources: sources}}, nil) {
			turns[r.Asked.Sub(began)]++
			assert.Equal(t, takes, r.Took, "without the wait for its turn")
		}
		assert.Equal(t, map[time.Duration]int{0: maxClusterFetches, takes: maxClusterFetches}, turns)
	})
}

func TestFetchAllCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var started atomic.Int32
	stuck := fakeSource{"", func(ctx context.Context) (*Set, error) {
		if started.Add(1) == maxClusterFetches {
			cancel()
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	cluster := Cluster{Name: "c", Federation: &Nomad{Address: "http://127.0.0.1:1"}}
	for range 2 * maxClusterFetches {
		cluster.Sources = append(cluster.Sources, stuck)
	}
	for _, r := range FetchAll(ctx, []Cluster{cluster}, nil) {
		if r.Region != "*" { // refused before, perhaps
			require.ErrorIs(t, r.Err, context.Canceled)
		}
	}
}

// Each answer is told as it comes, with what is still out, and the order never changes.
func TestFetchAllTellsEach(t *testing.T) {
	_, server := newFederation(t, `["us", "eu", "down"]`)
	agent := Nomad{Address: server.URL}
	hold := make(chan struct{})
	var told [2][]string
	var calling atomic.Int32
	complete := false // the federation
	clusters := []Cluster{
		{Name: "slow", Sources: []Source{
			fakeSource{"held", func(ctx context.Context) (*Set, error) {
				<-hold
				return publishes("late")(ctx)
			}},
			fakeSource{"", publishes("soon")},
		}},
		{Name: "fed", Federation: &agent},
	}
	results := FetchAll(t.Context(), clusters, func(i int, results []Result) {
		assert.EqualValues(t, 1, calling.Add(1), "one call at a time")
		defer calling.Add(-1)
		var out []string
		waiting := 0
		for _, r := range results {
			assert.Equal(t, clusters[i].Name, r.Cluster)
			assert.NotEqual(t, r.Set == nil, r.Err == nil, "a set or an error")
			state := "failed"
			switch {
			case errors.Is(r.Err, ErrPending):
				state = "out"
				waiting++
			case r.Err == nil:
				state = "read"
			}
			out = append(out, r.Region+" "+state)
		}
		told[i] = append(told[i], strings.Join(out, ", "))
		complete = complete || i == 1 && waiting == 0
		if complete && len(told[0]) == 2 {
			close(hold)
		}
	})
	assert.Equal(t, []string{"held out,  out", "held out,  read", "held read,  read"}, told[0])
	fed := told[1]
	require.Len(t, fed, 5)
	assert.Equal(t, []string{"* out", "down out, eu out, us out"}, fed[:2])
	assert.Equal(t, "down failed, eu read, us read", fed[4])
	var regions []string
	for _, r := range results {
		require.NotErrorIs(t, r.Err, ErrPending)
		regions = append(regions, r.Cluster+"/"+r.Region)
	}
	assert.Equal(t, []string{"slow/held", "slow/", "fed/down", "fed/eu", "fed/us"}, regions)
}

// A cluster without sources is complete.
func TestFetchAllTellsNothing(t *testing.T) {
	none := 0
	assert.Empty(t, FetchAll(t.Context(), []Cluster{{Name: "empty"}}, func(i int, results []Result) {
		none++
		assert.Zero(t, i)
		assert.Empty(t, results)
	}))
	assert.Equal(t, 1, none)
}

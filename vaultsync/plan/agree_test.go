package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
)

// Harvesters of one mount that share some of their clusters come to rest, in whatever order they
// sync: neither undoes what another has written for a key that several clusters publish.
func TestHarvestersAgree(t *testing.T) {
	all := map[string]jwks.Result{"a": publish("a", "k1", "x"), "b": publish("b", "k2", "x"), "c": publish("c", "k3", "x")}
	wanting := func(clusters []string, owners ...string) Desired {
		want := Desired{Clusters: clusters}
		for _, o := range owners {
			want.Results = append(want.Results, all[o])
		}
		return want
	}
	ab, b := wanting([]string{"a", "b"}, "a", "b"), wanting([]string{"b"}, "b")
	for name, harvesters := range map[string][]Desired{
		"{a,b} and {b}":                  {ab, b},
		"{b} and {a,b}":                  {b, ab},
		"{b,a} and {b}":                  {wanting([]string{"b", "a"}, "a", "b"), b},
		"{a,b} and {b,c}":                {ab, wanting([]string{"b", "c"}, "b", "c")},
		"{a,b} and {c,b}":                {ab, wanting([]string{"c", "b"}, "b", "c")},
		"{a}, {b} and {a,b}":             {wanting([]string{"a"}, "a"), b, ab},
		"{a,b}, {b,c} and {c,a}":         {ab, wanting([]string{"b", "c"}, "b", "c"), wanting([]string{"c", "a"}, "c", "a")},
		"{a} and {b}, who share nothing": {wanting([]string{"a"}, "a"), b},
	} {
		t.Run(name, func(t *testing.T) {
			current := elements()
			for range 4 {
				for _, want := range harvesters {
					plan := planOf(t, current, want, Rules{Now: now})
					current = elements(plan.Next...)
				}
			}
			for i, want := range harvesters {
				plan := planOf(t, current, want, Rules{Now: now})
				assert.False(t, plan.Changed, "harvester %d still writes: %v", i, describe(plan, allNames...))
			}
		})
	}
}

// The key that another harvester's element held for this cluster too is trusted again by itself
// when that element goes.
func TestSharedKeyOutlivesTheOther(t *testing.T) {
	shared := trust("a", "x", also("b"))
	want := Desired{Clusters: []string{"b"}, Results: []jwks.Result{publish("b", "x", "k2")}}
	plan := planOf(t, elements(shared, trust("b", "k2")), want, Rules{Now: now})
	assert.False(t, plan.Changed)
	plan = planOf(t, elements(trust("b", "k2")), want, Rules{Now: now})
	require.Len(t, plan.Add, 1)
}

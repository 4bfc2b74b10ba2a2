package vaultsync

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// choices turns fuzzed bytes into decisions; when they run out, every choice is the first.
type choices []byte

func (c *choices) pick(n int) int {
	if len(*c) == 0 {
		return 0
	}
	b := (*c)[0]
	*c = (*c)[1:]
	return int(b) % n
}

func (c *choices) name() string { return allNames[c.pick(len(allNames))] }

func (c *choices) owner() string { return []string{"a", "a/r1", "a/r2", "b", "old", "z"}[c.pick(6)] }

func (c *choices) element() string {
	switch c.pick(8) {
	case 0:
		return paste(c.name())
	case 1:
		return "harvest/2 x\n" + paste(c.name())
	case 2:
		return trust(c.owner(), c.name(), missing(now.Add(-time.Duration(c.pick(3))*time.Hour)))
	case 3:
		return trust(c.owner(), c.name(), also(c.owner()))
	case 4:
		return "junk"
	default:
		return trust(c.owner(), c.name())
	}
}

// FuzzNewPlan plans over arbitrary lists and sets and checks what must hold of any plan.
func FuzzNewPlan(f *testing.F) {
	f.Add([]byte{3, 5, 0, 1, 5, 1, 2, 3, 3, 1, 4, 1, 2, 1, 2, 3, 4, 5})
	f.Add([]byte("a longer seed, so that there are choices enough for every part of the scene"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := choices(data)
		var elements []string
		for range c.pick(7) {
			elements = append(elements, c.element())
		}
		want := Desired{Clusters: []string{"a", "b"}}
		for _, owner := range []string{"a", "a/r1", "a/r2", "b", "z"} {
			switch c.pick(4) {
			case 0:
			case 1:
				want.Results = append(want.Results, down(owner))
			default:
				var names []string
				for range c.pick(4) {
					if n := c.name(); !slices.Contains(names, n) {
						names = append(names, n)
					}
				}
				want.Results = append(want.Results, publish(owner, names...))
			}
		}
		o := Options{Now: now}
		o.Foreign = []Foreign{"", ForeignKeep, ForeignRemove}[c.pick(3)]
		if c.pick(2) == 1 {
			o.Retired = []string{[]string{"old", "a/r2", "z"}[c.pick(3)]}
		}
		if c.pick(3) == 1 {
			o.Deny = []pem.Fingerprint{fingerprint(c.name())}
		}
		if c.pick(3) == 1 {
			o.Pin = map[string][]pem.Fingerprint{"a": {fingerprint(c.name())}}
		}
		if c.pick(3) == 1 {
			o.AllowTurnover = []string{"*"}
		}
		o.Retain = []time.Duration{0, time.Hour, 90 * time.Minute}[c.pick(3)]
		o.AllowEmpty = c.pick(4) == 1

		current := config(elements...)
		p, err := NewPlan(current, want, o)
		if err != nil {
			require.ErrorIs(t, err, ErrLastKey)
			return
		}
		requireLawful(t, current, p, want, o)
		requireApplied(t, p, want, o)
		same, err := NewPlan(current, want, o)
		require.NoError(t, err)
		require.Equal(t, p.next, same.next, "the same input gives the same bytes")
		slices.Reverse(elements)
		other, err := NewPlan(config(elements...), want, o)
		require.NoError(t, err)
		require.ElementsMatch(t, p.next, other.next, "the order of the list decides nothing")
	})
}

// requireLawful checks the promises about keys that aren't to be touched.
func requireLawful(t *testing.T, current Config, p *Plan, want Desired, o Options) {
	t.Helper()
	failed := func(owner pem.Owner) bool {
		return slices.ContainsFunc(p.Failed, func(f Failure) bool {
			return f.Cluster == owner.Cluster && f.Region == owner.Region
		})
	}
	for _, e := range current.parse() {
		a := e.block.Annotation
		stays := slices.Contains(p.next, e.raw)
		trustedStill := slices.ContainsFunc(NewConfig(map[string]any{keysField: p.next}).parse(), func(n trusted) bool {
			return n.fingerprint == e.fingerprint && !n.opaque
		})
		switch {
		case !e.opaque && o.denied(e.fingerprint):
			require.False(t, trustedStill, "a denied key stays")
		case e.foreign():
			require.True(t, stays || trustedStill || o.Foreign == ForeignRemove, "a foreign key went untold")
		case a.Newer(), !slices.Contains(want.Clusters, a.Cluster) && !o.retired(a.Owner()):
			require.True(t, stays, "a claimed key was touched")
		case slices.ContainsFunc(a.Owners(), func(o2 pem.Owner) bool { return failed(o2) && !o.retired(o2) }):
			require.True(t, trustedStill, "a key of a cluster that could not be read went")
		}
	}
	// What is new is published and neither denied nor unpinned.
	for _, k := range p.Add {
		require.True(t, slices.ContainsFunc(want.Results, func(r jwks.Result) bool {
			return r.Cluster == k.Cluster && r.Region == k.Region && r.Set != nil &&
				slices.ContainsFunc(r.Set.Keys, func(published jwks.Key) bool { return published.KeyID == k.KeyID })
		}))
		require.False(t, o.denied(k.Fingerprint))
		require.True(t, o.pinned(k.Cluster, k.Fingerprint))
	}
}

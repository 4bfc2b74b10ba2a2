//go:build unix

package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// requireLinear checks that for sixteen times as many things a plan takes no more than 128 times
// the processor time: what grows with the square takes 256 times as much. The best of some runs
// counts.
func requireLinear(t *testing.T, n int, prepare func(n int) (do func())) {
	t.Helper()
	const times, most = 16, 128
	doFew, doMany, few, many := prepare(n), prepare(times*n), time.Hour, time.Hour
	spent := func() time.Duration {
		var u syscall.Rusage
		require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	timed := func(do func()) time.Duration {
		began := spent()
		do()
		return spent() - began
	}
	for range 8 {
		few, many = min(few, max(timed(doFew), time.Microsecond)), min(many, timed(doMany))
		if many < most*few {
			return
		}
	}
	assert.Fail(t, "not linear", "%d take %v, %d take %v", n, few, times*n, many)
}

// regionsOf returns n regions of a cluster with short names.
func regionsOf(cluster string, from, n int) []pem.Owner {
	var all []pem.Owner
	for i := range n {
		all = append(all, pem.Owner{Cluster: cluster, Region: fmt.Sprintf("%05x", from+i)})
	}
	return all
}

func alsoFor(owners []pem.Owner) func(*pem.Block) {
	return func(b *pem.Block) { b.Annotation.Also = owners }
}

// Anyone who may write the mount may forge what is on it, so that a plan takes longer than a sync
// has. Then no denied key would go.
func TestPlanIsLinearInWhatIsForged(t *testing.T) {
	for name, test := range map[string]struct {
		n     int
		scene func(n int) ([]string, Desired)
	}{
		"owners of one element": {2_500, func(n int) ([]string, Desired) {
			return []string{trust("a", "k1", alsoFor(regionsOf("a", 0, n)))}, onlyA(down("a"))
		}},
		"owners of one element, of another cluster": {2_500, func(n int) ([]string, Desired) {
			return []string{trust("a", "k1", alsoFor(regionsOf("z", 0, n)))}, onlyA(publish("a", "k1"))
		}},
		"elements of one key, each with owners of its own": {40, func(n int) (list []string, want Desired) {
			for i := range n {
				list = append(list, trust("a", "k1", alsoFor(regionsOf("z", 100*i, 60))))
			}
			return list, onlyA(publish("a", "k1"))
		}},
		"elements of one key, of missing regions": {40, func(n int) (list []string, want Desired) {
			published := many("k", 10*n)
			for i := range n {
				list = append(list, trust("a", published[10*n-1], alsoFor(regionsOf("a", 100*i, 60))))
			}
			return list, onlyA(publish("a", published...))
		}},
		"keys of the same owners": {125, func(n int) ([]string, Desired) {
			return trustAll("a", many("k", n), alsoFor(regionsOf("a", 0, 60))), onlyA(down("a"))
		}},
		"keys that nobody publishes, beside missing regions": {60, func(n int) (list []string, want Desired) {
			for i, name := range many("k", n) {
				list = append(list, trust("a", "gone"+name), trust("a", name, alsoFor(regionsOf("a", 100*i, 60))))
			}
			return list, onlyA(publish("a", many("new", 1)...))
		}},
		"keys of other harvesters": {125, func(n int) ([]string, Desired) {
			return trustAll("z", many("z", n)), onlyA(publish("a", many("k", n)...))
		}},
		"algorithms of one key": {2_500, func(n int) ([]string, Desired) {
			return []string{trust("a", "k1", signs(many("A", n)...))}, onlyA(publish("a", "k1"))
		}},
		"fields of one key": {2_500, func(n int) ([]string, Desired) {
			return []string{trust("a", "k1", also("a/r1"), func(b *pem.Block) {
				for _, name := range many("x", n) {
					b.Annotation.Unknown = append(b.Annotation.Unknown, pem.Field{Name: name})
				}
			})}, onlyA(publish("a", "k1"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			requireLinear(t, test.n, func(n int) func() {
				list, want := test.scene(n)
				elements, known := Read(list), new(verdicts.Known)
				known.JudgePublished(want.Results, nil)
				known.JudgeTrusted(annotated(elements), nil)
				return func() {
					_, err := New(elements, want, Rules{Now: now, Verdicts: known, AllowTurnover: []string{"*"}})
					require.NoError(t, err)
				}
			})
		})
	}
}

func TestPlanIsLinearInDeniedKeys(t *testing.T) {
	requireLinear(t, 1000, func(n int) func() {
		want, names, known := onlyA(), many("k", n), new(verdicts.Known)
		want.Results = []jwks.Result{publish("a", names...)}
		known.JudgePublished(want.Results, nil)
		rules := Rules{Now: now, Verdicts: known, Deny: deny(names[1:]...), Pin: map[string][]pem.Fingerprint{"a": deny(names...)}}
		return func() { planOf(t, nil, want, rules) }
	})
}

// An element with more owners than harvest writes stays, and is none of ours.
func TestPlanLeavesAnElementOfTooManyOwners(t *testing.T) {
	all := regionsOf("z", 0, maxAlso/len("z/00000 "))
	fits, over := all, append(slices.Clip(all), pem.Owner{Cluster: "z", Region: "y"})
	require.False(t, overlong(fits))
	require.True(t, overlong(over))
	want := onlyA(publish("a", "k1", "k2"))

	p := planOf(t, elements(trust("a", "k1", alsoFor(fits))), want, Rules{Now: now})
	assert.Equal(t, []string{"+ a k2", "= a k1"}, describe(p, "k1", "k2"))

	list := elements(trust("a", "k1", alsoFor(over)), trust("a", "k3", alsoFor(over)), trust("a", "k2"))
	p = planOf(t, list, want, Rules{Now: now})
	assert.Equal(t, []string{"+ a k1", "= a k2", "claimed a k1", "claimed a k3"}, describe(p, "k1", "k2", "k3"))
	assert.Contains(t, p.Claimed[0].Reason, "more owners than harvest writes")

	again := planOf(t, Read(p.Next), want, Rules{Now: now})
	assert.False(t, again.Changed)

	p = planOf(t, list, want, Rules{Now: now, Deny: deny("k3")})
	assert.True(t, isOn(p.Remove, "k3"), "denied, no matter whose")
}

// A stored plan is measured before its keys are judged: to judge one may take a tenth of a second.
func TestStoredPlanIsMeasuredFirst(t *testing.T) {
	file := func(names ...string) *Plan {
		p := &Plan{Made: now, Clusters: []string{"a"}, Base: digest(nil), Changed: true, fresh: map[string]bool{}}
		for _, text := range trustAll("a", names) {
			p.Next, p.fresh[text] = append(p.Next, text), true
			p.Add = append(p.Add, Read([]string{text})[0].Key(""))
		}
		return p
	}
	requireLinear(t, 500, func(n int) func() {
		p := file(many("k", n)...)
		return func() {
			_, err := p.Check(nil, Rules{Now: now})
			require.ErrorIs(t, err, ErrNoRoom)
		}
	})
	weak := file("weak", "k1", "k2")
	_, err := weak.Check(nil, Rules{Now: now, MaxKeys: 2})
	require.ErrorIs(t, err, ErrNoRoom, "not that one of them is weak")
	_, err = weak.Check(nil, Rules{Now: now, MaxSize: sizeOf(weak.Next) - 1})
	require.ErrorIs(t, err, ErrNoRoom)
	_, err = weak.Check(nil, Rules{Now: now, MaxSize: sizeOf(weak.Next)})
	require.ErrorContains(t, err, "must not be trusted")
}

// What has more owners than harvest writes is written by nobody, and taken by nobody.
func TestStoredPlanWithTooManyOwners(t *testing.T) {
	over := trust("a", "k2", alsoFor(regionsOf("z", 0, maxAlso)))
	list := elements(trust("a", "k1"), over)
	p := planOf(t, list, onlyA(publish("a", "k1")), Rules{Now: now, Retain: NoRetain})
	p.Next, p.Claimed, p.Remove = without(p.Next, "k2"), nil, append(p.Remove, list[1].Key(""))
	_, err := p.Check(list, Rules{Now: now})
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "another harvester's")

	list = list[:1]
	p = planOf(t, list, onlyA(publish("a", "k1")), Rules{Now: now})
	long := strings.Replace(trust("a", "k1", alsoFor(regionsOf("z", 0, maxAlso))), `region=""`, `region=""`, 1)
	p.Next, p.Keep = []string{long}, nil
	p.Adopt = []Key{Read(p.Next)[0].Key("")}
	text, err := json.Marshal(p)
	require.NoError(t, err)
	require.NotContains(t, string(text), "z/1")
	_, err = p.Check(list, Rules{Now: now})
	require.ErrorContains(t, err, "more owners than harvest writes")
}

package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

func asked(r jwks.Result, at time.Time) jwks.Result {
	r.Asked = at
	return r
}

// describe writes a plan as one line a key: the sign, the owner, the key's name.
func describe(p *Plan, names ...string) []string {
	byFingerprint := map[pem.Fingerprint]string{}
	for _, n := range names {
		byFingerprint[fingerprint(n)] = n
	}
	var out []string
	for _, list := range []struct {
		sign string
		keys []Key
	}{
		{"+", p.Add}, {"~", p.Adopt}, {"=", p.Keep}, {"-", p.Remove}, {"claimed", p.Claimed}, {"?", p.Foreign}, {"skip", p.Skipped},
	} {
		for _, k := range list.keys {
			name := byFingerprint[k.Fingerprint]
			out = append(out, strings.Join(strings.Fields(list.sign+" "+k.Owner.String()+" "+name), " "))
		}
	}
	for _, f := range p.Failed {
		out = append(out, fmt.Sprintf("! %s kept %d", pem.Owner{Cluster: f.Cluster, Region: f.Region}, f.Kept))
	}
	return out
}

// planOf plans without an error.
func planOf(t *testing.T, list []Element, want Desired, rules Rules) *Plan {
	t.Helper()
	p, err := New(list, want, rules)
	require.NoError(t, err)
	return p
}

var allNames = []string{"k1", "k2", "k3", "k4", "k5", "x", "y", "weak"}

func TestNew(t *testing.T) {
	hour := func(h int) time.Time { return now.Add(time.Duration(h) * time.Hour) }
	newer := "harvest/2 whatever=\"it means\"\n" + paste("x")
	has := func(list ...string) []string { return list }
	told := func(results ...jwks.Result) []jwks.Result { return results }
	for name, test := range map[string]struct {
		clusters string
		list     []string
		results  []jwks.Result
		rules    Rules
		plan     string // as describe has it
	}{
		"first keys of a new mount": {"a b", nil, told(publish("a", "k1", "k2"), publish("b/r", "k3")), Rules{}, "+ a k1, + a k2, + b/r k3"},
		"in sync":                   {"a b", has(trust("a", "k1"), trust("b/r", "k3")), told(publish("a", "k1"), publish("b/r", "k3")), Rules{}, "unchanged: = a k1, = b/r k3"},
		"order and the day are no reason to write": {"a b", has(trust("a", "k1", added(hour(-9))), trust("a", "k2", added(hour(-1))), trust("b", "k3", added(time.Time{}))), told(publish("a", "k2", "k1"), publish("b", "k3")),
			Rules{}, "unchanged: = a k2, = a k1, = b k3"},
		"rotation":                               {"a", has(trust("a", "k1")), told(publish("a", "k1", "k2")), Rules{}, "+ a k2, = a k1"},
		"a key that is no longer published goes": {"a", has(trust("a", "k1"), trust("a", "k2")), told(publish("a", "k2")), Rules{}, "= a k2, - a k1"},
		"a cluster that can't be read keeps its keys, others go on": {"a b", has(trust("a", "k1"), trust("a", "k2"), trust("b", "k3")), told(down("a"), publish("b", "k3", "k4")),
			Rules{}, "+ b k4, = b k3, = a k1, = a k2, ! a kept 2"},
		"an empty set removes nothing":  {"a", has(trust("a", "k1")), told(publish("a")), Rules{}, "unchanged: = a k1, ! a kept 1"},
		"neither keys nor an error":     {"a", has(trust("a", "k1")), told(jwks.Result{Cluster: "a"}), Rules{}, "unchanged: = a k1, ! a kept 1"},
		"nothing was said of a cluster": {"a b", has(trust("a", "k1")), told(publish("a", "k1")), Rules{}, "unchanged: = a k1, ! b kept 0"},
		"a region that left the federation keeps its keys": {"a", has(trust("a/r1", "k1"), trust("a/r2", "k2")), told(publish("a/r1", "k1")),
			Rules{}, "unchanged: = a/r1 k1, = a/r2 k2, ! a/r2 kept 1"},
		"the list of regions can't be read": {"a", has(trust("a/r1", "k1"), trust("a/r2", "k2")), told(down("a/*")),
			Rules{}, "unchanged: = a/r1 k1, = a/r2 k2, ! a/* kept 0, ! a/r1 kept 1, ! a/r2 kept 1"},
		"the agent's own region gets its name": {"a", has(trust("a", "k1"), trust("a", "k2")), told(publish("a/r1", "k1", "k2")), Rules{}, "~ a/r1 k1, ~ a/r1 k2"},
		"the agent's own region gets its name, and has dropped a key": {"a", has(trust("a", "k1"), trust("a", "k2")), told(publish("a/r1", "k2", "k3")),
			Rules{}, "+ a/r1 k3, ~ a/r1 k2, - a k1"},
		"a key that was added after its cluster was asked stays": {"a", has(trust("a", "k1"), trust("a", "k2", added(now.Add(-time.Second/2)))), told(asked(publish("a", "k1"), now.Add(-time.Second/2))),
			Rules{}, "unchanged: = a k1, = a k2"},
		"a key that is said to be added tomorrow goes": {"a", has(trust("a", "k1"), trust("a", "k2", added(now.Add(24*time.Hour)))), told(asked(publish("a", "k1"), now.Add(-time.Second/2))),
			Rules{}, "= a k1, - a k2"},
		"a key that was added before its cluster was asked goes": {"a", has(trust("a", "k1"), trust("a", "k2", added(now.Add(-time.Second/2-time.Millisecond)))), told(asked(publish("a", "k1"), now.Add(-time.Second/2))),
			Rules{}, "= a k1, - a k2"},
		"results of other clusters are passed over": {"a", has(trust("a", "k1")), told(publish("z", "k2"), publish("a", "k1")), Rules{}, "unchanged: = a k1"},

		// Turnover.
		"turnover refused":                   {"a b", has(trust("a", "k1"), trust("b", "k3")), told(publish("a", "k2"), publish("b", "k3", "k4")), Rules{}, "+ b k4, = b k3, = a k1, ! a kept 1"},
		"turnover allowed":                   {"a", has(trust("a", "k1")), told(publish("a", "k2")), Rules{AllowTurnover: []string{"a"}}, "+ a k2, - a k1"},
		"turnover allowed for every cluster": {"a", has(trust("a", "k1")), told(publish("a", "k2")), Rules{AllowTurnover: []string{"*"}}, "+ a k2, - a k1"},
		"turnover is judged by region": {"a", has(trust("a/r1", "k1"), trust("a/r2", "k2")), told(publish("a/r1", "k1"), publish("a/r2", "k3")),
			Rules{AllowTurnover: []string{"a/r1"}}, "unchanged: = a/r1 k1, = a/r2 k2, ! a/r2 kept 1"},
		"no turnover from a key that is denied": {"a", has(trust("a", "k1")), told(publish("a", "k2")), Rules{Deny: deny("k1")}, "+ a k2, - a k1"},

		// Foreign keys.
		"a pasted key is adopted":            {"a", has(paste("k1"), paste("x")), told(publish("a", "k1")), Rules{}, "~ a k1, ? x"},
		"a key pasted twice is adopted once": {"a", has(paste("k1"), trust("a", "k1"), paste("k1")), told(publish("a", "k1")), Rules{}, "~ a k1"},
		"foreign keys stay":                  {"a", has(paste("x"), "not a key at all", trust("a", "k1")), told(publish("a", "k1", "k2")), Rules{}, "+ a k2, = a k1, ? x, ?"},
		"foreign keys go when told to":       {"a", has(paste("x"), "not a key at all", trust("a", "k1")), told(publish("a", "k1")), Rules{Foreign: ForeignRemove}, "= a k1, - x, -"},
		"a retired key that stays goes along when its region gets its name": {"a b", has(trust("old", "k1", also("a")), trust("a", "k2")), told(publish("a/r1", "k2"), down("b")),
			Rules{Retired: []string{"old"}}, "~ a/r1 k2, ~ old k1, ! b kept 0"},
		"foreign keys stay while a cluster without keys can't be read": {"a b", has(paste("x"), trust("a", "k1")), told(publish("a", "k1"), down("b")),
			Rules{Foreign: ForeignRemove}, "unchanged: = a k1, ? x, ! b kept 0"},
		"foreign keys go although a cluster with keys can't be read": {"a b", has(paste("x"), trust("a", "k1"), trust("b", "k2")), told(publish("a", "k1"), down("b")),
			Rules{Foreign: ForeignRemove}, "= a k1, = b k2, - x, ! b kept 1"},
		"foreign keys stay while only a retired region of a cluster is known": {"a", has(paste("x"), trust("a", "k1")), told(down("a")),
			Rules{Foreign: ForeignRemove, Retired: []string{"a/"}}, "unchanged: = a k1, ? x, ! a kept 0"},
		"foreign keys stay while a list of regions can't be read": {"a", has(paste("x"), trust("a/r1", "k1")), told(publish("a/r1", "k1"), down("a/*")),
			Rules{Foreign: ForeignRemove}, "unchanged: = a/r1 k1, ? x, ! a/* kept 0"},

		// Adopted keys that no cluster publishes any more.
		"an adopted key goes back to foreign where the mount has other foreign keys": {"a", has(trust("a", "k1", adopted), trust("a", "k2"), paste("x")), told(publish("a", "k2")),
			Rules{Foreign: ForeignKeep, Retain: time.Hour}, "= a k2, ? a k1, ? x"},
		"an adopted key goes back to foreign where the mount has another harvester's keys": {"a", has(trust("a", "k1", adopted), trust("a", "k2"), trust("z", "x")), told(publish("a", "k2")),
			Rules{}, "= a k2, claimed z x, ? a k1"},
		"an adopted key stays foreign": {"a", has(trust("a", "k1", adopted, missing(hour(-99))), trust("a", "k2"), paste("x")), told(publish("a", "k2")),
			Rules{}, "unchanged: = a k2, ? a k1, ? x"},
		"an adopted key goes where every trusted key is this configuration's": {"a", has(trust("a", "k1", adopted), trust("a", "k3", adopted), trust("a", "k2")), told(publish("a", "k2")),
			Rules{Foreign: ForeignKeep}, "= a k2, - a k1, - a k3"},
		"an adopted key goes when foreign keys do": {"a", has(trust("a", "k1", adopted), trust("a", "k2"), trust("z", "x")), told(publish("a", "k2")),
			Rules{Foreign: ForeignRemove}, "= a k2, - a k1, claimed z x"},
		"an adopted key goes when it is denied": {"a", has(trust("a", "k1", adopted, missing(hour(-1))), trust("a", "k2"), paste("x")), told(publish("a", "k2")),
			Rules{Deny: deny("k1")}, "= a k2, - a k1, ? x"},
		"an adopted key goes when it is not pinned": {"a", has(trust("a", "k1", adopted), trust("a", "k2"), paste("x")), told(publish("a", "k2")),
			Rules{Pin: map[string][]pem.Fingerprint{"a": deny("k2")}}, "= a k2, - a k1, ? x"},
		"an adopted key stays when its cluster is retired": {"a", has(trust("old", "k1", adopted), trust("a", "k2"), paste("x")), told(publish("a", "k2")),
			Rules{Retired: []string{"old"}}, "= a k2, ? old k1, ? x"},
		"an adopted key is published again": {"a", has(trust("a", "k1", adopted, missing(hour(-1))), trust("a", "k2"), paste("x")), told(publish("a", "k1", "k2")),
			Rules{}, "~ a k1, = a k2, ? x"},
		"an owned key that was pasted too is adopted": {"a", has(trust("a", "k1"), paste("k1"), trust("z", "x")), told(publish("a", "k1")), Rules{}, "~ a k1, claimed z x"},

		// Claimed keys.
		"another harvester's keys stay": {"a", has(trust("z", "x"), newer, trust("a", "k1")), told(publish("a", "k1")), Rules{}, "unchanged: = a k1, claimed z x, claimed x"},
		"another harvester's key that is published here too is no reason to do without one of ours": {"a", has(trust("z", "k1")), told(publish("a", "k1")),
			Rules{}, "+ a k1, claimed z k1"},
		"a newer harvest's key that is published here too suffices": {"a", has(newer), told(publish("a", "x")), Rules{}, "unchanged: claimed x"},
		"an annotation with a region that harvest doesn't write is another's": {"a", has(trust("a/r1", "k1", added(hour(-48))), trust("a/r r", "k1"), trust("a/*", "k2"), trust("a", "x", also("a/r/1"))), told(publish("a/r1", "k1")),
			Rules{}, "unchanged: = a/r1 k1, claimed a/r r k1, claimed a/* k2, claimed a x"},
		"a retired region that harvest doesn't write goes": {"a", has(trust("a", "k1"), trust("a/r r", "k2")), told(publish("a", "k1")),
			Rules{Retired: []string{"a/r r"}}, "= a k1, - a/r r k2"},

		// Two clusters with one key.
		"a new key of three owners":                    {"b a", nil, told(publish("a", "k1"), publish("b", "k1"), publish("b/r1", "k1")), Rules{}, "+ b k1"},
		"the first of two clusters owns a key of both": {"a b", nil, told(publish("b", "k1"), publish("a", "k1")), Rules{}, "+ a k1"},
		"a key of both stays for the second": {"a b", has(trust("a", "k1", also("b")), trust("a", "k2")), told(publish("a", "k2"), publish("b", "k1")),
			Rules{}, "~ b k1, = a k2"},
		"a key of both stays while one can't be read": {"a b", has(trust("a", "k1", also("b")), trust("a", "k2")), told(publish("a", "k2"), down("b")),
			Rules{}, "~ b k1, = a k2, ! b kept 1"},
		"a key of both goes when none publishes it": {"a b", has(trust("a", "k1", also("b")), trust("a", "k2"), trust("b", "k3")), told(publish("a", "k2"), publish("b", "k3")),
			Rules{}, "= a k2, = b k3, - a k1"},
		"the second owner being another harvester's, the key stays for it": {"a", has(trust("a", "k1", also("z")), trust("a", "k2")), told(publish("a", "k2")),
			Rules{}, "~ z k1, = a k2"},

		"an owner that still publishes keeps its key, whatever the order of the clusters": {"a b", has(trust("b", "k1", also("a"))), told(publish("a", "k1"), publish("b", "k1")),
			Rules{}, "unchanged: = b k1"},

		// Retired.
		"one of two owners retired, the other keeps its retention period": {"a", has(trust("old", "k1", also("a")), trust("a", "k2")), told(publish("a", "k2")),
			Rules{Retired: []string{"old"}, Retain: time.Hour}, "~ a k1, = a k2"},
		"a retired cluster's keys go": {"a", has(trust("old", "k1"), trust("old/r", "k2"), trust("a", "k3")), told(publish("a", "k3")),
			Rules{Retired: []string{"old"}}, "= a k3, - old k1, - old/r k2"},
		"a renamed cluster's keys move": {"a", has(trust("old", "k1"), trust("old", "k2")), told(publish("a", "k1", "k3")),
			Rules{Retired: []string{"old"}}, "+ a k3, ~ a k1, - old k2"},
		"a renamed cluster that can't be read loses nothing": {"a", has(trust("old", "k1")), told(down("a")),
			Rules{Retired: []string{"old"}}, "unchanged: = old k1, ! a kept 0"},
		"a retired region goes, its siblings stay": {"a", has(trust("a/r1", "k1"), trust("a/r2", "k2")), told(publish("a/r1", "k1"), publish("a/r2", "k2")),
			Rules{Retired: []string{"a/r2"}}, "= a/r1 k1, - a/r2 k2"},
		"the agent's own region retired": {"a", has(trust("a", "k1"), trust("a/r2", "k2")), told(publish("a/r2", "k2")), Rules{Retired: []string{"a/"}}, "= a/r2 k2, - a k1"},

		// Pin and deny.
		"pinned": {"a b", has(trust("a", "k1"), trust("a", "k2")), told(publish("a", "k1", "k2", "k3"), publish("b", "k4")),
			Rules{Retain: time.Hour, Pin: map[string][]pem.Fingerprint{"a": deny("k2")}}, "+ b k4, = a k2, - a k1, skip a k1, skip a k3"},
		"a pin ends at once what another cluster's set shows": {"a b", has(trust("a", "k1"), trust("b", "k3"), trust("a", "k2")), told(publish("a", "k2"), publish("b", "k3", "k1")),
			Rules{Retain: time.Hour, Pin: map[string][]pem.Fingerprint{"a": deny("k2"), "b": deny("k3")}}, "= a k2, = b k3, - a k1, skip b k1"},
		"a pin of one cluster doesn't end another's retention": {"a b", has(trust("b", "k1"), trust("b", "k3"), trust("a", "k2")), told(publish("a", "k2", "k1"), publish("b", "k3")),
			Rules{Retain: time.Hour, Pin: map[string][]pem.Fingerprint{"a": deny("k2")}}, "~ b k1, = a k2, = b k3, skip a k1"},
		"pins don't strip a cluster that can't be read": {"a", has(trust("a", "k1")), told(down("a")),
			Rules{Pin: map[string][]pem.Fingerprint{"a": deny("k2")}}, "unchanged: = a k1, ! a kept 1"},
		"denied everywhere": {"a b", has(trust("a", "k1"), paste("x"), trust("z", "y"), trust("b", "k3"), trust("b", "k4")), told(publish("a", "k1", "k2"), down("b")),
			Rules{Deny: deny("k1", "x", "y", "k3")}, "+ a k2, = b k4, - a k1, - x, - z y, - b k3, skip a k1, ! b kept 1"},
		"denied in a newer harvest's annotation": {"a", has(newer, trust("a", "k1")), told(publish("a", "k1")),
			Rules{Deny: deny("x")}, "= a k1, - x"},

		// Retention.
		"retention begins": {"a", has(trust("a", "k1"), trust("a", "k2")), told(publish("a", "k2")), Rules{Retain: time.Hour}, "~ a k1, = a k2"},
		"retention goes on": {"a", has(trust("a", "k1", missing(now.Add(-59*time.Minute))), trust("a", "k2")), told(publish("a", "k2")),
			Rules{Retain: time.Hour}, "unchanged: = a k2, = a k1"},
		"retention that began in the future begins now": {"a", has(trust("a", "k1", missing(hour(9))), trust("a", "k2")), told(publish("a", "k2")),
			Rules{Retain: time.Hour}, "~ a k1, = a k2"},
		"retention ends": {"a", has(trust("a", "k1", missing(hour(-1))), trust("a", "k2")), told(publish("a", "k2")), Rules{Retain: time.Hour}, "= a k2, - a k1"},
		"retention doesn't end while the cluster can't be read": {"a", has(trust("a", "k1", missing(hour(-9))), trust("a", "k2")), told(down("a")),
			Rules{Retain: time.Hour}, "unchanged: = a k1, = a k2, ! a kept 2"},
		"retention goes on under the region's name, and ends": {"a", has(trust("a", "k1", missing(now.Add(-59*time.Minute))), trust("a", "k3", missing(hour(-1))), trust("a", "k2")), told(publish("a/r1", "k2")),
			Rules{Retain: time.Hour}, "~ a/r1 k2, ~ a/r1 k1, - a k3"},
		"a retained key stays for those of its owners who may have it": {"a b", has(trust("b", "k1"), trust("b", "x"), trust("a", "x")), told(publish("a", "k1"), publish("b", "k1")),
			Rules{Retain: time.Hour, AllowTurnover: []string{"a"}, Pin: map[string][]pem.Fingerprint{"b": deny("k2")}}, "~ a k1, ~ a x, skip b k1"},
		"a retained key is published again": {"a", has(trust("a", "k1", missing(hour(-1)))), told(publish("a", "k1")), Rules{Retain: time.Hour}, "~ a k1"},
	} {
		t.Run(name, func(t *testing.T) {
			want := Desired{Clusters: strings.Fields(test.clusters), Results: test.results}
			test.rules.Now = now
			p := planOf(t, Read(test.list), want, test.rules)
			said := strings.Join(describe(p, allNames...), ", ")
			if !p.Changed {
				said = "unchanged: " + said
			}
			assert.Equal(t, test.plan, said)
			requireApplied(t, p, want, test.rules)
		})
	}
}

// A key that two clusters publish under different kids keeps its owner's, whichever of the
// clusters comes first: or harvesters of both would rewrite each other's annotation for ever.
func TestPlanKeyIDOfOwner(t *testing.T) {
	renamed := publish("b", "k1")
	renamed.Set.Keys[0].KeyID = "by b"
	results := []jwks.Result{publish("a", "k1"), renamed}
	for _, clusters := range [][]string{{"a", "b"}, {"b", "a"}} {
		p := planOf(t, elements(trust("a", "k1", also("b"))), Desired{Clusters: clusters, Results: results}, Rules{Now: now})
		assert.False(t, p.Changed, clusters)
	}
}

// Of two pasted elements with one key, the same one's comment is kept whatever their order.
func TestPlanPastedTwice(t *testing.T) {
	want := Desired{Clusters: []string{"a"}, Results: []jwks.Result{publish("a", "k1")}}
	var next [][]string
	for _, current := range [][]string{{"x\n" + paste("k1"), "y\n" + paste("k1")}, {"y\n" + paste("k1"), "x\n" + paste("k1")}} {
		p := planOf(t, elements(current...), want, Rules{Now: now})
		next = append(next, p.Next)
	}
	assert.Equal(t, next[0], next[1])
}

func TestPlanTellsWhoseAKeyIsToo(t *testing.T) {
	both, one := elements(trust("a", "k1", also("b")), trust("b", "k2")), elements(trust("a", "k1"), trust("b", "k2"))
	p := planOf(t, both, desired(publish("a", "k1"), publish("b", "k2")), Rules{Now: now})
	require.Len(t, p.Adopt, 1)
	assert.Equal(t, "no longer published by another cluster", p.Adopt[0].Reason)
	p = planOf(t, one, desired(publish("a", "k1"), publish("b", "k1", "k2")), Rules{Now: now})
	require.Len(t, p.Adopt, 1)
	assert.Equal(t, "published by b too", p.Adopt[0].Reason)
}

// A region that no result speaks of has another name now where one key tells so; and none where a
// stranger's region, or another one of the cluster, says something.
func TestPlanNoNewName(t *testing.T) {
	for name, other := range map[string]jwks.Result{"no key in common": publish("a/r1", "k2"), "another cluster's": publish("b", "k1", "k3")} {
		want := Desired{Clusters: []string{"a", "b"}, Results: []jwks.Result{other}}
		p := planOf(t, elements(trust("a", "k1"), trust("a/r1", "k2"), trust("b", "k3")), want, Rules{Now: now})
		assert.True(t, isOn(append(p.Keep, p.Adopt...), "k1"), name)
		assert.True(t, slices.ContainsFunc(p.Failed, func(f Failure) bool { return f.Owner == pem.Owner{Cluster: "a"} }), name)
	}
}

// A key of two elements was foreign before if either says so.
func TestPlanAdoptedByOneOfTwo(t *testing.T) {
	plain, marked := trust("a", "k1"), func(at time.Time) string { return trust("a", "k1", adopted, added(at)) }
	for _, other := range []string{marked(now.Add(-time.Hour)), marked(now.Add(-99 * time.Hour))} {
		p := planOf(t, elements(plain, other), onlyA(publish("a", "k1")), Rules{Now: now})
		assert.True(t, Read(p.Next)[0].Block.Annotation.Adopted)
	}
}

func TestPlanOrder(t *testing.T) {
	p, err := New(
		elements(paste("x"), trust("a", "k1", added(now.Add(-time.Hour))), "junk", trust("a", "k2", added(now.Add(-time.Minute)))),
		Desired{Clusters: []string{"a"}, Results: []jwks.Result{publish("a", "k1", "k2", "k3")}}, Rules{Now: now},
	)
	require.NoError(t, err)
	var got []string
	for _, k := range Read(p.Next) {
		got = append(got, k.Block.Annotation.KeyID)
	}
	assert.Equal(t, []string{"k3", "k2", "k1", "", ""}, got,
		"a login tries the keys in turn: newest first, those of unknown age last")
}

func TestPlanKeepsComment(t *testing.T) {
	current := elements("from the wiki, " + "2024\n" + paste("k1"))
	p := planOf(t, current, Desired{Clusters: []string{"a"}, Results: []jwks.Result{publish("a", "k1")}}, Rules{Now: now})
	require.Len(t, p.Next, 1)
	assert.Contains(t, p.Next[0], "\nfrom the wiki, 2024\n-----BEGIN")
	assert.True(t, strings.HasPrefix(p.Next[0], `harvest/1 cluster="a" region="" kid="k1" alg="EdDSA" adopted="true" added="2026-11-22T12:00:00Z"`), p.Next[0])
}

// Of two elements with one key the retention period that ends last holds, and begins where one of
// them knows of none.
func TestPlanRetainsOneOfTwoElements(t *testing.T) {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, test := range map[string]struct{ first, second, want time.Time }{
		"the later ends last":   {ago(2 * time.Hour), ago(time.Hour), ago(time.Hour)},
		"the earlier ends last": {ago(time.Hour), ago(2 * time.Hour), ago(time.Hour)},
		"the later has none":    {ago(time.Hour), time.Time{}, now},
		"the earlier has none":  {time.Time{}, ago(time.Hour), now},
	} {
		t.Run(name, func(t *testing.T) {
			current := elements(
				trust("a", "k1", added(ago(9*time.Hour)), missing(test.first)), trust("a", "k1", added(ago(8*time.Hour)), missing(test.second)), trust("a", "k2"),
			)
			p := planOf(t, current, onlyA(publish("a", "k2")), Rules{Now: now, Retain: 3 * time.Hour})
			assert.Equal(t, []string{"~ a k1", "= a k2"}, describe(p, allNames...))
			assert.Equal(t, test.want, Read(p.Next)[0].Block.Annotation.Missing)
		})
	}
}

// seen is a watch to which a key has been missing since then.
type seen struct{ since time.Time }

func (seen) NewerThan(pem.Fingerprint, time.Time) bool { return false }
func (s seen) Missing(pem.Fingerprint) (time.Duration, bool) {
	return now.Sub(s.since), !s.since.IsZero()
}

// A watch goes by the mark of the key of a source without an index, as a sync does: the watch
// before it may have written it. One that nobody looked at in time says nothing.
func TestPlanRetainsALooseKeyInAWatch(t *testing.T) {
	r := publish("a", "k2")
	r.Set.Unindexed = true
	for name, test := range map[string]struct {
		mark    time.Duration // how long ago
		history interface {
			NewerThan(f pem.Fingerprint, t time.Time) bool
			Missing(f pem.Fingerprint) (time.Duration, bool)
		}
		removed, changed bool
		begins           bool
	}{
		"none":                          {0, seen{}, false, true, true},
		"of a period that runs":         {59 * time.Minute, seen{}, false, false, false},
		"of one that is over":           {UnindexedRetain, seen{}, true, true, false},
		"of one that was over long ago": {2 * UnindexedRetain, seen{}, false, true, true},
		"long ago, seen from the first": {3 * UnindexedRetain, seen{now.Add(-3 * UnindexedRetain)}, true, true, false},
		"long ago, to a sync":           {2 * UnindexedRetain, nil, true, true, false},
		"by a clock that was set":       {UnindexedRetain, seen{now.Add(-time.Minute)}, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			gone := trust("a", "k1")
			if test.mark > 0 {
				gone = trust("a", "k1", missing(now.Add(-test.mark)))
			}
			p := planOf(t, elements(gone, trust("a", "k2")), onlyA(r), Rules{Now: now, History: test.history})
			assert.Equal(t, test.removed, isOn(p.Remove, "k1"))
			assert.Equal(t, test.changed, p.Changed)
			assert.Equal(t, test.begins, p.Retained[fingerprint("k1")])
		})
	}
}

// The mark of a key that comes and goes stays until it would cost the key.
func TestPlanKeepsTheMarkOfALooseKey(t *testing.T) {
	loose, indexed := publish("a", "k1"), publish("a", "k1")
	loose.Set.Unindexed = true
	for name, test := range map[string]struct {
		r       jwks.Result
		since   time.Duration
		cleared bool
	}{
		"in the first three quarters": {loose, -44 * time.Minute, false},
		"in the last quarter":         {loose, -46 * time.Minute, true},
		"of a clock that runs ahead":  {loose, time.Hour, true},
		"of an indexed source":        {indexed, -time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(t, elements(trust("a", "k1", missing(now.Add(test.since)))), onlyA(test.r), Rules{Now: now})
			assert.Equal(t, test.cleared, p.Changed)
		})
	}
	p := planOf(t, elements(trust("a", "k1")), onlyA(loose), Rules{Now: now})
	assert.False(t, p.Changed, "it has none")
	marked := elements(trust("a", "k1", missing(now.Add(-time.Minute))))
	p = planOf(t, marked, onlyA(loose), Rules{Now: now, History: seen{}})
	assert.True(t, p.Changed, "the next watch would go by it")
}

// A region with a name that nobody can have costs the others nothing.
func TestPlanRegionWithABadName(t *testing.T) {
	p := planOf(t, nil, onlyA(publish("a/r r", "k1"), publish("a/r", "k2")), Rules{Now: now})
	assert.Equal(t, []string{"+ a/r k2", "! a/r r kept 0"}, describe(p, allNames...))
	assert.ErrorContains(t, p.Failed[0].Err, "can't stand in an annotation")
}

// What a retired region publishes is passed over, and nothing else with it.
func TestPlanPassesOverARetiredRegion(t *testing.T) {
	p := planOf(t, nil, onlyA(publish("a/r1", "k1"), publish("a/r2", "k2")), Rules{Now: now, Retired: []string{"a/r1"}})
	assert.Equal(t, []string{"+ a/r2 k2"}, describe(p, allNames...))
	assert.Contains(t, p.Warnings[0], "a/r1 is retired")
}

// A region that has another name now is no reason to overlook one that is gone.
func TestPlanRegionsRenamedAndGone(t *testing.T) {
	current := elements(trust("a", "k1"), trust("b/r", "k3"))
	for range 20 { // whatever the order of a map
		p := planOf(t, current, desired(publish("a/r1", "k1"), publish("b/r2", "k4")), Rules{Now: now})
		assert.Equal(t, []string{"+ b/r2 k4", "~ a/r1 k1", "= b/r k3", "! b/r kept 1"}, describe(p, allNames...))
	}
}

// Another key under the ID of a trusted one is no rotation, and no rebuilt cluster either.
func TestTurnoverOfOneKeyID(t *testing.T) {
	for kid, same := range map[string]string{"k1": "k1", "k2": "", "": ""} {
		r := publish("a", "k2")
		r.Set.Keys[0].KeyID = kid
		unnamed := trust("a", "k3", func(b *pem.Block) { b.Annotation.KeyID = "" })
		p := planOf(t, elements(unnamed, trust("a", "k1")), onlyA(r), Rules{Now: now})
		turnover, ok := errors.AsType[*TurnoverError](p.Failed[0].Err)
		require.True(t, ok)
		assert.Equal(t, same, turnover.SameKeyID)
		assert.Equal(t, same != "", strings.Contains(turnover.Error(), `both sides have kid "k1"`))
	}
}

// A key ID counts only where both keys are one owner's: what else has it says nothing.
func TestTurnoverOfOneKeyIDAmongOthers(t *testing.T) {
	as := func(kid string) func(*pem.Block) { return func(b *pem.Block) { b.Annotation.KeyID = kid } }
	r := publish("a", "k2")
	r.Set.Keys[0].KeyID = "same"
	for name, test := range map[string]struct {
		list []string
		same string
	}{
		"another's key has it too":                      {[]string{trust("a", "k1", as("same")), trust("other", "k9", as("same"))}, "same"},
		"only the element of another's same key has it": {[]string{trust("a", "k1"), trust("b", "k1", as("same"))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			list, want := elements(test.list...), desired(r, publish("b", "k1"))
			var turnover *TurnoverError
			require.ErrorAs(t, planOf(t, list, want, Rules{Now: now}).Failed[0].Err, &turnover)
			assert.Equal(t, test.same, turnover.SameKeyID)

			p := planOf(t, list, want, Rules{Now: now, AllowTurnover: []string{"a"}})
			_, err := stored(t, p).Check(list, Rules{Now: now})
			require.ErrorAs(t, err, &turnover)
			assert.Equal(t, test.same, turnover.SameKeyID)
		})
	}
}

func TestTurnoverErrorIsShort(t *testing.T) {
	e := TurnoverError{Trusted: deny("k1", "k2", "k3", "k4"), Published: deny("k1", "k2", "k3", "k4", "k5")}
	assert.Equal(t, 1, strings.Count(e.Error(), " more"))
	assert.Contains(t, e.Error(), "and 1 more; ")
}

func TestTurnoverError(t *testing.T) {
	p := planOf(t, elements(trust("a", "k1")), Desired{Clusters: []string{"a"}, Results: []jwks.Result{publish("a", "k2")}}, Rules{Now: now})
	require.Len(t, p.Failed, 1)
	require.ErrorIs(t, p.Failed[0].Err, ErrTurnover)
	var turnover *TurnoverError
	require.ErrorAs(t, p.Failed[0].AsError(), &turnover)
	assert.Equal(t, deny("k1"), turnover.Trusted)
	assert.Equal(t, deny("k2"), turnover.Published)
	assert.Contains(t, turnover.Error(), fingerprint("k1").Short())
}

// requireApplied checks what holds of any plan: once applied nothing is left to do.
func requireApplied(t *testing.T, p *Plan, want Desired, rules Rules) {
	t.Helper()
	if p.Emptied {
		return
	}
	again := planOf(t, Read(p.Next), want, rules)
	require.False(t, again.Changed, "a plan that was applied leaves something to do: %v", describe(again, allNames...))
}

func TestRefusals(t *testing.T) {
	good := []jwks.Result{publish("a", "k1", "k2")}
	for name, test := range map[string]struct {
		list  []string
		rules Rules
		is    error
		says  string
	}{
		"last key denied":      {[]string{trust("a", "k1")}, Rules{Deny: deny("k1", "k2")}, ErrLastKey, "1 would go (denied)"},
		"both trusted retired": {nil, Rules{Retired: []string{"a"}}, nil, "both trusted and retired"},
		"retired":              {nil, Rules{Retired: []string{"a b/c"}}, nil, "retired: cluster name"},
		"foreign":              {nil, Rules{Foreign: "maybe"}, nil, "maybe"},
		"empty pins":           {nil, Rules{Pin: map[string][]pem.Fingerprint{"a": nil}}, nil, "pins"},
		"pins of nobody":       {nil, Rules{Pin: map[string][]pem.Fingerprint{"": deny("k1")}}, nil, "pin: cluster name"},
		"negative":             {nil, Rules{Retain: -2}, nil, "negative"},
		"negative number":      {nil, Rules{MaxKeys: -1}, nil, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			test.rules.Now = now
			p, err := New(Read(test.list), Desired{[]string{"a"}, good}, test.rules)
			assert.Nil(t, p)
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
			require.ErrorContains(t, err, test.says)
		})
	}
	for _, bad := range []string{"", "a b", "a/b", "-a", "a\n", strings.Repeat("a", 129)} {
		_, err := New(nil, Desired{Clusters: []string{bad}}, Rules{Now: now})
		require.Error(t, err, bad)
	}
	_, err := New(nil, Desired{Clusters: []string{"a", "a"}}, Rules{Now: now})
	require.ErrorContains(t, err, "twice")
	_, err = New(nil, Desired{}, Rules{Now: now})
	require.ErrorContains(t, err, "no clusters")
	_, err = New(nil, Desired{[]string{"a"}, []jwks.Result{publish("a", "k1"), publish("a", "k2")}}, Rules{Now: now})
	require.ErrorContains(t, err, "two results")
	_, err = New(nil, Desired{Clusters: []string{"a"}}, Rules{})
	require.ErrorContains(t, err, "Now is not set")
}

func TestEmptied(t *testing.T) {
	want := Desired{[]string{"a"}, []jwks.Result{publish("a", "k1")}}
	allowed := Rules{Now: now, AllowEmpty: true, Deny: deny("k1")}
	p := planOf(t, elements(trust("a", "k1")), want, allowed)
	assert.True(t, p.Emptied)
	assert.True(t, p.Changed)
	assert.Empty(t, p.Next)

	p = planOf(t, nil, want, allowed)
	assert.False(t, p.Emptied, "it was empty before")
	assert.False(t, p.Changed)

	standIn := trust("a", "x", func(b *pem.Block) { b.Annotation = pem.Annotation{Version: pem.Version, Placeholder: true} })
	for name, rules := range map[string]Rules{"allowed": allowed, "no longer allowed": {Now: now, Deny: deny("k1")}} {
		p = planOf(t, elements(standIn), want, rules)
		assert.False(t, p.Changed, name)
		assert.False(t, p.Emptied, name)
	}
	p = planOf(t, elements(standIn), want, Rules{Now: now})
	assert.Equal(t, []string{"+ a k1", "- x"}, describe(p, "k1", "x"))

	placeholder := func(b *pem.Block) { b.Annotation = pem.Annotation{Version: pem.Version, Placeholder: true} }
	p = planOf(t, elements(standIn, trust("a", "y", placeholder), trust("a", "k2", placeholder)), want, allowed)
	assert.ElementsMatch(t, []string{"= k2", "- y", "- x", "skip a k1"}, describe(p, allNames...), "one is enough")
}

// A region of a retired cluster, with a blank in its name, can't stand among the further owners
// of a key.
func TestPlanRetiredRegionWithBlank(t *testing.T) {
	odd, whole := trust("old/x y", "k1"), trust("a", "k1", added(now.Add(-48*time.Hour)))
	for name, list := range map[string][]string{"ours first": {whole, odd}, "theirs first": {odd, whole}, "alone": {odd}, "two odd ones": {odd, trust("old/y z", "k1")}} {
		t.Run(name, func(t *testing.T) {
			// b, which can't be read, may be whose key it is: so it stays.
			want := Desired{Clusters: []string{"a", "b"}, Results: []jwks.Result{publish("a", "k2"), down("b")}}
			o := Rules{Now: now, Retired: []string{"old"}, AllowTurnover: []string{"a"}}
			plan := planOf(t, Read(list), want, o)
			assert.Empty(t, plan.Remove)
			assert.Len(t, plan.Next, 2)
			again := planOf(t, Read(plan.Next), want, o)
			assert.False(t, again.Changed)
		})
	}
}

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

	"github.com/jwksharvest/harvest/internal/verdicts"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// maxSize is the room of a store, as a Vault mount has it.
const maxSize = 1<<20 - 4<<10

// sizeOf returns what elements take of that.
func sizeOf(list []string) (size int) {
	for _, text := range list {
		size += jsonSize(text)
	}
	return size
}

// budgeted plans and checks that the plan fits, and that nothing is left to do once it is applied.
func budgeted(t *testing.T, current []Element, want Desired, rules Rules) *Plan {
	t.Helper()
	rules.Now, rules.MaxSize, rules.Verdicts = now, maxSize, new(verdicts.Known)
	rules.Verdicts.JudgePublished(want.Results, nil)
	p := planOf(t, current, want, rules)
	before := rules.Size
	for _, e := range current {
		before += jsonSize(e.Text)
	}
	require.LessOrEqual(t, rules.Size+sizeOf(p.Next), max(maxSize, before))
	requireApplied(t, p, want, rules)
	return p
}

// many returns n names.
func many(prefix string, n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%s%d", prefix, i))
	}
	return names
}

func trustAll(owner string, names []string, changes ...func(*pem.Block)) []string {
	var elements []string
	for _, name := range names {
		elements = append(elements, trust(owner, name, changes...))
	}
	return elements
}

// room returns what a plan says of a cluster without room.
func room(t *testing.T, p *Plan, cluster string) *RoomError {
	t.Helper()
	for _, f := range p.Failed {
		var full *RoomError
		if f.Cluster == cluster && errors.As(f.Err, &full) {
			require.ErrorIs(t, f.Err, ErrNoRoom)
			return full
		}
	}
	require.Fail(t, "no room error", "%s: %v", cluster, p.Failed)
	return nil
}

func onlyA(results ...jwks.Result) Desired { return Desired{Clusters: []string{"a"}, Results: results} }

func isOn(list []Key, name string) bool {
	return slices.ContainsFunc(list, func(k Key) bool { return k.Fingerprint == fingerprint(name) })
}

func deny(names ...string) []pem.Fingerprint {
	var all []pem.Fingerprint
	for _, name := range names {
		all = append(all, fingerprint(name))
	}
	return all
}

func longKeyIDs(r jwks.Result) jwks.Result {
	for i := range r.Set.Keys {
		r.Set.Keys[i].KeyID = fmt.Sprintf("%04d%s", i, strings.Repeat("<", 252)) // as JSON six bytes each
	}
	return r
}

// Forty regions of three keys rotate all at once: with every key of before in its retention
// period, all that they publish is trusted.
func TestBudgetFortyRegions(t *testing.T) {
	var current []string
	var results []jwks.Result
	for i := range 40 {
		owner := fmt.Sprintf("a/r%d", i)
		current = append(current, trustAll(owner, many(owner+" old", 3))...)
		results = append(results, publish(owner, many(owner+" new", 3)...))
	}
	p := budgeted(t, elements(current...), onlyA(results...), Rules{
		Retain: time.Hour, AllowTurnover: []string{"*"}, Deny: deny("a/r7 old1"),
	})
	assert.Len(t, p.Add, 120)
	assert.Len(t, p.Adopt, 119, "retained")
	assert.Len(t, p.Remove, 1, "denied")
	assert.Empty(t, p.Failed)
	assert.Empty(t, p.Skipped)
}

func TestBudgetLongKeyIDs(t *testing.T) {
	current := elements(trust("b", "k1"), trust("b", "k2"))
	hostile := longKeyIDs(publish("a", many("h", 999)...))
	want := Desired{Clusters: []string{"a", "b"}, Results: []jwks.Result{hostile, publish("b", "k1", "k2", "k3")}}
	for most, takes := range map[int]int{0: 256, 5000: 0} {
		p := budgeted(t, current, want, Rules{MaxKeys: most, Deny: deny("k2")})
		assert.True(t, isOn(p.Add, "k3"), "the other cluster's key")
		assert.True(t, isOn(p.Remove, "k2"), "denied")
		full := room(t, p, "a")
		assert.Equal(t, 999-(len(p.Add)-1), full.Waiting)
		assert.Len(t, p.Failed, 1)
		if takes > 0 {
			assert.Len(t, p.Add, takes+1)
			assert.Contains(t, full.Error(), "takes 256 keys of a cluster")
		} else {
			assert.Greater(t, len(p.Add), 400)
			assert.Contains(t, full.Error(), "give the cluster a mount of its own")
		}
		var order []string // what is in comes first as published
		for _, k := range p.Skipped {
			if k.Reason == ReasonNoRoom {
				order = append(order, k.KeyID)
			}
		}
		assert.Contains(t, order, hostile.Set.Keys[998].KeyID)
		assert.NotContains(t, order, hostile.Set.Keys[0].KeyID)
	}
}

func TestBudgetManyRegions(t *testing.T) {
	region := func(i int) string { return fmt.Sprintf("a/region-%03d", i) }
	t.Run("of three keys each", func(t *testing.T) {
		var results []jwks.Result
		for i := range 300 {
			results = append(results, publish(region(i), many(region(i)+" ", 3)...))
		}
		p := budgeted(t, elements(trustAll(region(0), many(region(0)+" ", 3))...), onlyA(results...), Rules{Deny: deny(region(0) + " 1")})
		assert.True(t, isOn(p.Remove, region(0)+" 1"))
		require.Len(t, p.Add, 254, "256 of the cluster")
		assert.Equal(t, 897-254, room(t, p, "a").Waiting)
		regions := map[string]int{}
		for _, k := range p.Add {
			regions[k.Region]++
		}
		assert.Len(t, regions, 254, "a region without a key comes before the second key of another")
	})
	t.Run("that share their keys", func(t *testing.T) {
		var results []jwks.Result
		for i := range 1000 {
			results = append(results, publish(region(i), many("shared", 20)...))
		}
		results = append(results, publish("b", "k2"))
		want := Desired{Clusters: []string{"a", "b"}, Results: results}
		p := budgeted(t, elements(trust("b", "k1"), trust("b", "k2")), want, Rules{Deny: deny("k1"), Size: 300})
		assert.Len(t, p.Add, 20)
		assert.Empty(t, p.Failed)
		assert.True(t, isOn(p.Remove, "k1"))
		require.Len(t, p.Remarks, 1)
		assert.Contains(t, p.Remarks[0], "and 17 more: the annotation has no room for 960 of its owners (a/region-040, a/region-041, a/region-042, and 957 more)")
	})
}

// A key whose annotation has no room for all its owners stays while one that can't be read may
// still publish it.
func TestBudgetOwnersWithoutRoom(t *testing.T) {
	var owners []string
	for i := range 30 {
		owners = append(owners, fmt.Sprintf("a/region-%03d", i))
	}
	current := elements(trust("a", "k1", also(owners...)), trust("a", "k2", also(owners...)))
	results := []jwks.Result{publish("a", "k2")}
	for _, o := range owners {
		results = append(results, publish(o, "k2"))
	}
	away := append(slices.Clone(results), down("a/region-900"))
	p := budgeted(t, current, onlyA(away...), Rules{})
	assert.False(t, isOn(p.Remove, "k1"))
	p = budgeted(t, current, onlyA(results...), Rules{})
	assert.True(t, isOn(p.Remove, "k1"))
}

// An annotation that has room for any owner left out none: its key goes, no matter who can't
// be read.
func TestBudgetOwnersWithRoom(t *testing.T) {
	for left, removed := range map[int]bool{258: true, 257: false} {
		takes := maxAlso - left // of two owners, each "a/", its name and a blank
		current := elements(trust("a", "k1", also("a/"+strings.Repeat("x", takes/2-3), "a/"+strings.Repeat("y", takes-takes/2-3))), trust("a", "k2"))
		results := []jwks.Result{publish("a", "k2"), down("a/r")}
		for _, o := range current[0].Block.Annotation.Also {
			results = append(results, publish(o.String(), "k2"))
		}
		p := budgeted(t, current, onlyA(results...), Rules{AllowTurnover: []string{"a"}})
		assert.Equal(t, removed, isOn(p.Remove, "k1"), left)
	}
}

// An annotation names as many owners as it has room for, to the last byte.
func TestBudgetOwnersToTheLastByte(t *testing.T) {
	for size, named := range map[int]int{125: 4, 126: 3} {
		results := []jwks.Result{publish("a", "k1")}
		for i := range 5 {
			results = append(results, publish(fmt.Sprintf("a/%d%s", i, strings.Repeat("x", size-1)), "k1"))
		}
		p := budgeted(t, nil, onlyA(results...), Rules{})
		assert.Len(t, Read(p.Next)[0].Block.Annotation.Also, named)
	}
}

// What fills a store to the last byte has room.
func TestBudgetToTheLastByte(t *testing.T) {
	want := desired(publish("a", "k1", "k2"))
	whole := budgeted(t, nil, want, Rules{})
	for spare, added := range map[int]int{0: 2, -1: 1} {
		p := budgeted(t, nil, want, Rules{Size: maxSize - sizeOf(whole.Next) - spare})
		assert.Len(t, p.Add, added)
	}
}

// An annotation that gets no longer waits for no room.
func TestBudgetSameLength(t *testing.T) {
	r := publish("a", "k1")
	r.Set.Keys[0].KeyID = "zz"
	p := budgeted(t, elements(trust("a", "k1")), desired(r), Rules{Size: maxSize})
	assert.True(t, isOn(p.Adopt, "k1"))
	assert.Empty(t, p.Warnings)
}

// The region with the fewest keys has its turn first.
func TestBudgetRegionsTakeTurns(t *testing.T) {
	p := budgeted(t, elements(trust("a/r1", "k1")), onlyA(publish("a/r1", "k1", "k2"), publish("a/r2", "k3", "k4", "k5")), Rules{MaxKeys: 2})
	assert.True(t, isOn(p.Add, "k3"))
	assert.Equal(t, 3, room(t, p, "a").Waiting)
}

func TestRoomErrorNamesWhatFillsTheStore(t *testing.T) {
	for says, e := range map[string]RoomError{
		"the next sync goes on":                        {Waiting: 2, Unjudged: 2, MaxKeys: 1},
		"1 of them to be judged":                       {Waiting: 2, Unjudged: 1, MaxKeys: 1},
		"the mount takes 1 key of":                     {Waiting: 1, MaxKeys: 1, MaxSize: 9},
		"foreign keys take 3 of them":                  {Foreign: 3, Claimed: 2, Bytes: 2},
		"keys of other harvesters take 3 of them":      {Foreign: 3, Claimed: 3, Bytes: 2},
		"its keys take 3: give the cluster a mount of": {Foreign: 3, Claimed: 3, Bytes: 3},
	} {
		assert.Contains(t, e.Error(), says)
	}
}

// A cluster that changes all its keys again and again, under retain: what it has now is trusted,
// and the longest missing of the others give way.
func TestBudgetChurnUnderRetain(t *testing.T) {
	var current []string
	for i, name := range many("old", 300) {
		current = append(current, trust("a", name, missing(now.Add(-time.Duration(i+1)*time.Second))))
	}
	current = append(current, trust("b", "k1"), trust("b", "k2"))
	want := Desired{Clusters: []string{"a", "b"}, Results: []jwks.Result{publish("a", many("new", 100)...), publish("b", "k2")}}
	p := budgeted(t, elements(current...), want, Rules{Retain: time.Hour, AllowTurnover: []string{"a"}, Deny: deny("k1")})
	assert.Len(t, p.Add, 100)
	assert.Empty(t, p.Failed)
	assert.True(t, isOn(p.Remove, "k1"))
	require.Len(t, p.Remove, 1+300-156)
	assert.Equal(t, ReasonDenied, p.Remove[0].Reason, "denials first")
	assert.True(t, isOn(p.Keep, "old0"))
	assert.Contains(t, p.Retained, fingerprint("old155"))
	assert.True(t, isOn(p.Remove, "old156"), "the longest missing go first")
	assert.NotContains(t, p.Retained, fingerprint("old156"))
}

// Of retained keys of all clusters the longest missing go where the whole has no room.
func TestBudgetRetainedGiveWayToBytes(t *testing.T) {
	list := []string{trust("a", "k1"), trust("b", "old", missing(now.Add(-time.Minute))), trust("b", "older", missing(now.Add(-2*time.Minute))), trust("b", "k4")}
	want := Desired{Clusters: []string{"a", "b"}, Results: []jwks.Result{publish("a", "k1", "k2"), publish("b", "k4")}}
	p := budgeted(t, Read(list), want, Rules{Retain: time.Hour, Size: maxSize - sizeOf(list) - 100})
	assert.True(t, isOn(p.Add, "k2"))
	assert.True(t, isOn(p.Keep, "old"))
	assert.True(t, isOn(p.Remove, "older"))
	assert.Empty(t, p.Failed)
}

// A mount that others have filled is named as that; a denial is written all the same, also where
// the configuration is larger than harvest would make it.
func TestBudgetFilledByOthers(t *testing.T) {
	for name, test := range map[string]struct {
		filling string
		says    string
	}{
		"foreign":  {paste("x") + "\n" + strings.Repeat("y", maxSize-1000), "foreign keys take "},
		"claimed":  {trust("z", "x", func(b *pem.Block) { b.Comment = strings.Repeat("y", maxSize-1000) }), "keys of other harvesters take "},
		"too much": {strings.Repeat("y", maxSize), "foreign keys take "},
	} {
		t.Run(name, func(t *testing.T) {
			current := elements(test.filling, trust("a", "k1"), trust("a", "k2"))
			p := budgeted(t, current, desired(publish("a", "k1", "k2", "k3", "k4", "k5")), Rules{Deny: deny("k1"), Size: 300})
			assert.True(t, isOn(p.Remove, "k1"))
			assert.True(t, isOn(p.Keep, "k2"))
			assert.True(t, p.Changed)
			assert.Contains(t, room(t, p, "a").Error(), test.says)
		})
	}
}

// A key that doesn't fit holds up none that does.
func TestBudgetOfWhatFits(t *testing.T) {
	list := []string{trust("a", "k1")}
	for long := range 2 {
		r := publish("a", "k1", "k2", "k3")
		r.Set.Keys[1+long].KeyID = strings.Repeat("y", 200)
		p := budgeted(t, Read(list), onlyA(r), Rules{Size: maxSize - sizeOf(list) - len(list[0]) - 100})
		require.Len(t, p.Add, 1)
		assert.True(t, isOn(p.Add, []string{"k3", "k2"}[long]))
	}
}

// A cluster that publishes another's keys holds none of them up: neither by its number of keys
// nor by its bytes.
func TestBudgetSharedKeys(t *testing.T) {
	mine := many("b", 40)
	both := longKeyIDs(publish("a", many("h", 999)...))
	both.Set.Keys = append(both.Set.Keys, publish("", mine...).Set.Keys...)
	for _, most := range []int{0, 5000} {
		for _, clusters := range [][]string{{"a", "b"}, {"b", "a"}} {
			want := Desired{Clusters: clusters, Results: []jwks.Result{both, publish("b", mine...)}}
			p := budgeted(t, elements(trust("b", "b0")), want, Rules{MaxKeys: most})
			for _, name := range mine[1:] {
				require.True(t, isOn(p.Add, name), "%s under %d of %v", name, most, clusters)
			}
			room(t, p, "a")
			assert.Len(t, p.Failed, 1)
		}
	}
}

// What is trusted and still published stays, though it is more than there is room for, and
// longer annotations wait.
func TestBudgetTrustedStays(t *testing.T) {
	names := many("k", 300)
	p := budgeted(t, elements(trustAll("a", names)...), desired(publish("a", append(names, "new")...)), Rules{})
	assert.Len(t, p.Keep, 300)
	assert.Equal(t, 1, room(t, p, "a").Waiting)

	list := []string{paste("x"), trust("a", "k1")}
	p = budgeted(t, Read(list), desired(publish("a", "k1", "x")), Rules{Size: maxSize - sizeOf(list) - 20})
	assert.True(t, isOn(p.Keep, "x"))
	assert.False(t, p.Changed)
	assert.Contains(t, strings.Join(p.Warnings, "\n"), "no room for the annotation of 1 trusted key")
	assert.Empty(t, p.Failed)
}

// A key that is nobody's again takes no cluster's room, also while two elements of it become one.
func TestBudgetGivenBack(t *testing.T) {
	list := elements(trust("a", "k1"), trust("a", "x", adopted), trust("a", "x", adopted, added(now)), paste("y"))
	p := budgeted(t, list, onlyA(publish("a", "k1", "k2")), Rules{MaxKeys: 2})
	assert.True(t, isOn(p.Add, "k2"))
	assert.True(t, isOn(p.GivenBack, "x"))
	assert.Empty(t, p.Failed)
}

// A key that only waits for the last answer to be removed takes no room.
func TestBudgetBeforeAllHaveAnswered(t *testing.T) {
	want := Desired{Clusters: []string{"a", "b"}, Results: []jwks.Result{publish("a", "k1", "k2")}}
	p := budgeted(t, elements(trust("a", "k1"), trust("a", "k9")), want, Rules{MaxKeys: 2, Partial: true})
	assert.True(t, isOn(p.Add, "k2"))
	assert.True(t, isOn(p.Keep, "k9"))
}

// A cluster whose agent's own region can't be read, and whose others have no room, says both.
func TestBudgetBesideAFailure(t *testing.T) {
	p := budgeted(t, elements(trust("a", "k1")), onlyA(down("a"), publish("a/r", "k2", "k3")), Rules{MaxKeys: 2})
	require.Len(t, p.Failed, 1)
	require.ErrorIs(t, p.Failed[0].Err, errDown)
	require.ErrorIs(t, p.Failed[0].Err, ErrNoRoom)
	assert.Equal(t, 1, p.Failed[0].Kept)
}

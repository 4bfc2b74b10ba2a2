package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A cluster that publishes a foreign key for a while doesn't take it away from the one who
// pasted it: the plans that follow one another leave it trusted, and say since when it is nobody's.
func TestAdoptedKeyIsGivenBack(t *testing.T) {
	current := []string{paste("k1"), paste("x"), trust("a", "k2")}
	plan := func(day int, names ...string) *Plan {
		o := Rules{Foreign: ForeignKeep, Now: now.Add(time.Duration(day) * 24 * time.Hour)}
		p := planOf(t, Read(current), onlyA(publish("a", names...)), o)
		current = p.Next
		return p
	}
	p := plan(0, "k1", "k2")
	assert.Equal(t, []string{"~ a k1", "= a k2", "? x"}, describe(p, allNames...))
	assert.Empty(t, p.GivenBack)

	for day := 1; day < 3; day++ {
		p = plan(day, "k2")
		assert.Equal(t, day == 1, p.Changed, "since when is written once")
		assert.Equal(t, []string{"= a k2", "? a k1", "? x"}, describe(p, allNames...))
		require.Len(t, p.GivenBack, 1)
		assert.Equal(t, fingerprint("k1"), p.GivenBack[0].Fingerprint)
		require.Len(t, p.Warnings, 1)
		for _, part := range []string{fingerprint("k1").String(), "since 2026-11-23T12:00:00Z", "deny it"} {
			assert.Contains(t, p.Warnings[0], part)
		}
	}
}

// What harvest wrote before it knew "adopted" and "algs" has kept these fields in their place:
// testdata/older.txt is what it made of an element that has them, when its key got another id.
func TestOlderHarvestKeepsFields(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "older.txt"))
	require.NoError(t, err)
	before, after, ok := strings.Cut(string(text), "\n=> ")
	require.True(t, ok)
	read := elements(strings.TrimSpace(before), strings.TrimSpace(after))
	require.Len(t, read, 2)
	a, b := read[0].Block.Annotation, read[1].Block.Annotation
	assert.Equal(t, read[0].Fingerprint, read[1].Fingerprint)
	assert.NotEqual(t, a.KeyID, b.KeyID)
	for _, annotation := range []struct{ was, is any }{{a.Adopted, b.Adopted}, {a.Algorithms, b.Algorithms}, {a.Added, b.Added}} {
		assert.NotZero(t, annotation.was)
		assert.Equal(t, annotation.was, annotation.is)
	}
}

// The same key under a name that isn't ours may be one cluster under two names.
func TestPlanUnderTwoNames(t *testing.T) {
	for name, test := range map[string]struct {
		current []string
		clashes []string
	}{
		"a typo's run before":            {[]string{trust("a", "k1"), trust("aa", "k1"), trust("aa", "k2")}, []string{"k1", "k2"}},
		"before the first key of ours":   {[]string{trust("aa", "k1")}, []string{"k1"}},
		"another cluster's keys":         {[]string{trust("a", "k1"), trust("z", "x")}, nil},
		"a harvester that knows ours":    {[]string{trust("a", "k1"), trust("z", "k1", also("a"))}, nil},
		"a key that isn't published now": {[]string{trust("a", "k1"), trust("a", "k3", missing(now)), trust("aa", "k3")}, []string{"k3"}},
		"a newer harvest's":              {[]string{trust("a", "k1"), "harvest/2 x\n" + paste("k2")}, nil},
		"a foreign one":                  {[]string{trust("a", "k1"), paste("k2")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(t, elements(test.current...), onlyA(publish("a", "k1", "k2")), Rules{Now: now, Retain: time.Hour})
			var found []string
			for _, k := range p.UnderTwoNames {
				found = append(found, k.KeyID)
			}
			assert.ElementsMatch(t, test.clashes, found)
			assert.Equal(t, len(test.clashes) > 0, strings.Contains(strings.Join(p.Warnings, ""), `for cluster "aa" too`))
		})
	}
	for n, more := range map[int]string{3: "", 4: "and 1 more"} {
		names := many("k", n)
		p := planOf(t, elements(trustAll("aa", names)...), onlyA(publish("a", names...)), Rules{Now: now})
		assert.Equal(t, more != "", strings.Contains(p.Warnings[0], " more"))
		assert.Contains(t, p.Warnings[0], more)
	}
}

package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What harvests of several versions write for a key of cluster a.
var byVersions = map[string]func(name string) string{
	"the first": func(name string) string {
		return written(name, `harvest/1 cluster="a" region="" kid="`+name+`" alg="EdDSA"`)
	},
	"today's": func(name string) string { return trust("a", name) },
	"a newer one with a further field": func(name string) string {
		return written(name, `harvest/1 cluster="a" region="" colour="blue" kid="`+name+`" alg="EdDSA"`)
	},
	"a newer one with another grammar": func(name string) string { return written(name, `harvest/2 {"cluster":"a","kid":"`+name+`"}`) },
	"a newer one of a cluster not ours": func(name string) string {
		return written(name, `harvest/1 cluster="z" region="" colour="red" kid="`+name+`" alg="EdDSA"`)
	},
}

func written(name, annotation string) string { return annotation + "\n" + paste(name) }

// orders returns all orders of a list.
func orders(list []string) (all [][]string) {
	if len(list) == 0 {
		return [][]string{nil}
	}
	for i := range list {
		rest := slices.Delete(slices.Clone(list), i, i+1)
		for _, order := range orders(rest) {
			all = append(all, append([]string{list[i]}, order...))
		}
	}
	return all
}

// Elements that harvests of other versions wrote, in all orders on one list: nothing of them is
// lost, nor trusted twice, and what this version doesn't know stays as it was read.
func TestAnnotationsOfThreeVersions(t *testing.T) {
	list := []string{
		byVersions["the first"]("k1"), byVersions["today's"]("k2"), byVersions["a newer one with a further field"]("k3"),
		byVersions["a newer one with another grammar"]("k4"), byVersions["a newer one of a cluster not ours"]("x"), paste("y"),
	}
	for _, order := range orders(list) {
		steady := planOf(t, elements(order...), onlyA(publish("a", "k1", "k2", "k3", "k4")), Rules{Now: now})
		require.False(t, steady.Changed, "%q: %v", order, describe(steady, allNames...))

		rotated := planOf(t, elements(order...), onlyA(publish("a", "k1", "k3", "k5")), Rules{Now: now})
		require.ElementsMatch(t, []string{"+ a k5", "= a k1", "= a k3", "- a k2"}, ofA(describe(rotated, allNames...)), "%q", order)
		for i, element := range list {
			if i == 1 {
				continue // k2 is published no more
			}
			require.Contains(t, rotated.Next, element, "as it was read")
		}
		require.Len(t, rotated.Next, len(list))
	}
}

// What a newer harvest wrote of a key stays beside what this one has to change.
func TestUnknownFieldsOutliveARewrite(t *testing.T) {
	published := publish("a", "k3")
	published.Set.Keys[0].KeyID = "renamed"
	p := planOf(t, elements(byVersions["a newer one with a further field"]("k3")), onlyA(published), Rules{Now: now})
	require.Len(t, p.Next, 1)
	assert.Contains(t, p.Next[0], `kid="renamed"`)
	assert.Contains(t, p.Next[0], `colour="blue"`)
}

func ofA(lines []string) []string {
	return slices.DeleteFunc(lines, func(line string) bool { return !strings.Contains(line, " a ") })
}

// One key that harvests of all versions wrote: it stays trusted, and the next plan changes nothing.
func TestOneKeyByThreeVersions(t *testing.T) {
	var list []string
	for _, by := range byVersions {
		list = append(list, by("k1"))
	}
	for _, order := range orders(list) {
		p := planOf(t, elements(order...), onlyA(publish("a", "k1")), Rules{Now: now})
		assert.Empty(t, p.Remove)
		for _, untouchable := range []string{"a newer one with another grammar", "a newer one of a cluster not ours"} {
			assert.Contains(t, p.Next, byVersions[untouchable]("k1"))
		}
		again := planOf(t, elements(p.Next...), onlyA(publish("a", "k1")), Rules{Now: now})
		assert.False(t, again.Changed, "%q", order)
	}
}

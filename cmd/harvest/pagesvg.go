package main

import (
	"fmt"
	"slices"
	"strings"
)

// graph is the drawing of who trusts whom: clusters and regions on one side, mounts on the
// other. The names are text of the page; between them an SVG of lines, which stretches to
// what room there is. It says the same in words.
type graph struct {
	Left, Right         []node
	Lines               []line
	Height              int // of all, in pixels
	Words               []string
	LeftMore, RightMore int // nodes that aren't drawn
}

// node is a name at one side.
type node struct {
	Class string // good, bad, wait or none; dashed lines are of those that nobody here watches
	Name  string
	Note  string
	Href  string // "": none
}

// line leads from a node at the left to one at the right, in a box that is 100 wide.
type line struct{ Class, Path string }

// What a drawing that can be read at a glance holds, and where its rows are.
const (
	maxNodes  = 40
	rowHeight = 64
)

// side is one side of the drawing in the making.
type side struct {
	nodes []node
	place map[string]int
}

func (s *side) add(key string, n node) {
	if _, there := s.place[key]; !there {
		s.place[key] = len(s.nodes)
		s.nodes = append(s.nodes, n)
	}
}

// middle is the height of a node's middle, where so many rows fill the drawing.
func (s *side) middle(i, rows int) int {
	return (rows-min(len(s.nodes), maxNodes))*rowHeight/2 + i*rowHeight + rowHeight/2
}

func newGraph(f facts) graph {
	left, right := side{place: map[string]int{}}, side{place: map[string]int{}}
	var own []clusterFacts
	own = append(own, f.clusters...)
	slices.SortStableFunc(own, func(a, b clusterFacts) int { return failingFirst(a.failing, b.failing) })
	for _, c := range own {
		left.add("own "+c.source.String(), leftNode(c))
	}
	type edge struct {
		from, to string
		class    string
		keys     int
	}
	var edges []edge
	for i, m := range f.mounts {
		to := m.id.String()
		state := m.state()
		right.add(to, node{Class: state.Class, Name: printable(m.id.path), Note: nodeNote(m.id.namespace, state.Text), Href: fmt.Sprintf("#mount-%d", i+1)})
		trusted := map[string]int{}
		var order []string
		for _, k := range m.keys.list {
			if !k.trusted {
				continue
			}
			from := "own " + k.source.String()
			if _, ours := left.place[from]; !ours || k.state == stateForeign || k.state == stateClaimed {
				if len(f.clusters) == 0 && k.state == stateTrusted {
					left.add(from, node{Class: "none", Name: printable(k.source.cluster), Note: printable(k.source.region)})
				} else {
					from = "other " + k.source.String()
					left.add(from, strangeNode(k))
				}
			}
			if trusted[from]++; trusted[from] == 1 {
				order = append(order, from)
			}
		}
		for _, c := range f.clusters { // it is to trust these as well, though no key of theirs is there yet
			from := "own " + c.source.String()
			if slices.Contains(m.clusters, c.source.cluster) && trusted[from] == 0 {
				order = append(order, from)
			}
		}
		for _, from := range order {
			class := left.nodes[left.place[from]].Class
			if trusted[from] == 0 && class == "good" {
				class = "wait"
			}
			edges = append(edges, edge{from, to, class, trusted[from]})
		}
	}
	g := graph{
		Left: left.nodes[:min(len(left.nodes), maxNodes)], Right: right.nodes[:min(len(right.nodes), maxNodes)],
		LeftMore: max(0, len(left.nodes)-maxNodes), RightMore: max(0, len(right.nodes)-maxNodes),
	}
	rows := max(len(g.Left), len(g.Right))
	g.Height = rows * rowHeight
	for _, e := range edges {
		from, to := left.place[e.from], right.place[e.to]
		if from >= maxNodes || to >= maxNodes {
			continue
		}
		y1, y2 := left.middle(from, rows), right.middle(to, rows)
		g.Lines = append(g.Lines, line{e.class, fmt.Sprintf("M0 %dC50 %d 50 %d 100 %d", y1, y1, y2, y2)})
		g.Words = append(g.Words, fmt.Sprintf("%s trusts %d %s of %s.", g.Right[to].Name, e.keys, plural(e.keys, "key"), g.Left[from].Name+where(g.Left[from])))
	}
	slices.Sort(g.Words)
	return g
}

func where(n node) string {
	if strings.HasPrefix(n.Note, "region ") {
		region, _, _ := strings.Cut(n.Note, " · ")
		return ", " + region
	}
	return ""
}

func failingFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func leftNode(c clusterFacts) node {
	n := node{Class: "good", Name: printable(c.source.cluster)}
	text := "not asked yet"
	switch {
	case c.failing:
		n.Class, text = "bad", "not read"
	case c.read.IsZero():
		n.Class = "none"
	default:
		text = fmt.Sprintf("%d %s", max(0, c.published), plural(c.published, "key"))
	}
	region := ""
	if c.source.region != "" {
		region = "region " + c.source.region
	}
	n.Note = nodeNote(region, text)
	return n
}

func strangeNode(k shownKey) node {
	if k.source.cluster == "" {
		return node{Class: "strange", Name: "nobody", Note: "foreign keys"}
	}
	return node{Class: "strange", Name: printable(k.source.cluster), Note: nodeNote(k.source.region, "another harvester's")}
}

func nodeNote(first, second string) string {
	if first == "" {
		return second
	}
	return printable(first) + " · " + second
}

package main

import (
	"cmp"
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

// edge leads from a node at the left to one at the right, by their keys.
type edge struct {
	from, to string
	class    string
	keys     int
}

// untangle returns a place for each of the first n nodes, so that few lines cross: in the order of
// what they lead to, those that nobody here watches last.
func (s *side) untangle(edges []edge, to side, n int) []int {
	sum, count := make([]int, len(s.nodes)), make([]int, len(s.nodes))
	for _, e := range edges {
		from := s.place[e.from]
		sum[from] += to.place[e.to]
		count[from]++
	}
	var order []int // nodes, by place
	for i := range n {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(
			cmp.Compare(strange(s.nodes[a]), strange(s.nodes[b])),
			cmp.Compare(sum[a]*max(1, count[b]), sum[b]*max(1, count[a])),
			cmp.Compare(s.nodes[a].Name, s.nodes[b].Name), cmp.Compare(s.nodes[a].Note, s.nodes[b].Note),
		)
	})
	place := make([]int, n)
	for i, node := range order {
		place[node] = i
	}
	return place
}

func strange(n node) int {
	if n.Class == "strange" {
		return 1
	}
	return 0
}

func newGraph(f facts) graph {
	left, right := side{place: map[string]int{}}, side{place: map[string]int{}}
	var own []clusterFacts
	own = append(own, f.clusters...)
	slices.SortStableFunc(own, func(a, b clusterFacts) int { return failingFirst(a.failing, b.failing) })
	for _, c := range own {
		left.add("own "+c.source.String(), leftNode(c))
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
	order := left.untangle(edges, right, len(g.Left))
	drawn := make([]node, len(g.Left))
	for i, n := range g.Left {
		drawn[order[i]] = n
	}
	g.Left = drawn
	rows := max(len(g.Left), len(g.Right))
	g.Height = rows * rowHeight
	for _, e := range edges {
		from, to := left.place[e.from], right.place[e.to]
		if from >= maxNodes || to >= maxNodes {
			continue
		}
		from = order[from]
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

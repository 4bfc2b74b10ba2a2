package statuspage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/text"
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
	keys     int // trusted
	waiting  int // published, and not trusted
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

func newGraph(f monitor.Facts) graph {
	left, right := side{place: map[string]int{}}, side{place: map[string]int{}}
	var own []monitor.ClusterFacts
	own = append(own, f.Clusters...)
	slices.SortStableFunc(own, func(a, b monitor.ClusterFacts) int { return failingFirst(a.Failing, b.Failing) })
	for _, c := range own {
		left.add("own "+c.Owner.String(), leftNode(c))
	}
	var edges []edge
	for i, m := range f.Mounts {
		to := m.ID.String()
		state := stateOf(m)
		right.add(to, node{Class: state.Class, Name: text.Escape(m.ID.Path), Note: nodeNote(m.ID.Namespace, state.Text), Href: fmt.Sprintf("#mount-%d", i+1)})
		trusted, waiting, class := map[string]int{}, map[string]int{}, map[string]string{}
		var order []string
		for _, f := range m.Failures {
			class["own "+f.Owner.String()] = "bad"
		}
		for _, k := range m.Keys.List {
			if from := "own " + k.Owner.String(); k.State == monitor.Pending || k.State == monitor.Refused {
				waiting[from]++
				class[from] = cmp.Or(class[from], "wait")
			}
			if !k.Trusted {
				continue
			}
			from := "own " + k.Owner.String()
			if _, ours := left.place[from]; !ours || k.State == monitor.Foreign || k.State == monitor.Claimed {
				if len(f.Clusters) == 0 && k.State == monitor.Trusted {
					left.add(from, node{Class: "none", Name: text.Escape(k.Owner.Cluster), Note: text.Escape(k.Owner.Region)})
				} else {
					from = "other " + k.Owner.String()
					left.add(from, strangeNode(k))
				}
			}
			if trusted[from]++; trusted[from] == 1 {
				order = append(order, from)
			}
		}
		for _, c := range f.Clusters { // it is to trust these as well, though no key of theirs is there yet
			from := "own " + c.Owner.String()
			if slices.Contains(m.Clusters, c.Owner.Cluster) && trusted[from] == 0 {
				order = append(order, from)
			}
		}
		for _, from := range order {
			of := left.nodes[left.place[from]].Class
			switch {
			case of == "good" && class[from] != "":
				of = class[from]
			case of == "good" && trusted[from] == 0:
				of = "wait"
			}
			edges = append(edges, edge{from, to, of, trusted[from], waiting[from]})
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
		words := fmt.Sprintf("%s trusts %d %s of %s", g.Right[to].Name, e.keys, text.Plural(e.keys, "key"), g.Left[from].Name+where(g.Left[from]))
		if e.waiting > 0 {
			words += fmt.Sprintf(", and not %d more", e.waiting)
		}
		g.Words = append(g.Words, words+".")
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

func leftNode(c monitor.ClusterFacts) node {
	n := node{Class: "good", Name: text.Escape(c.Owner.Cluster)}
	say := "not asked yet"
	switch {
	case c.Failing:
		n.Class, say = "bad", "not read"
	case c.Read.IsZero():
		n.Class = "none"
	default:
		say = fmt.Sprintf("%d %s", max(0, c.Published), text.Plural(c.Published, "key"))
	}
	region := ""
	if c.Owner.Region != "" {
		region = "region " + c.Owner.Region
	}
	n.Note = nodeNote(region, say)
	return n
}

func strangeNode(k monitor.Key) node {
	if k.Owner.Cluster == "" {
		return node{Class: "strange", Name: "nobody", Note: "foreign keys"}
	}
	return node{Class: "strange", Name: text.Escape(k.Owner.Cluster), Note: nodeNote(k.Owner.Region, "another harvester's")}
}

func nodeNote(first, second string) string {
	if first == "" {
		return second
	}
	return text.Escape(first) + " · " + second
}

package statuspage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
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
	keys  []string // of the nodes, by which they are found
	nodes []node
}

func (s *side) add(key string, n node) {
	if !slices.Contains(s.keys, key) {
		s.keys, s.nodes = append(s.keys, key), append(s.nodes, n)
	}
}

// middle is the height of a node's middle, where so many rows fill the drawing.
func (s *side) middle(i, rows int) int {
	return (rows-min(len(s.nodes), maxNodes))*rowHeight/2 + i*rowHeight + rowHeight/2
}

// edge leads from a node at the left to one at the right, by their places.
type edge struct {
	from, to int
	class    string
	keys     int // trusted
	waiting  int // published, and not trusted
}

func newGraph(f monitor.Facts) graph {
	var left, right side
	for _, first := range []bool{true, false} { // those that fail, where not all are drawn
		for _, c := range f.Clusters {
			if first == (c.Failing && len(f.Clusters) > maxNodes) {
				left.add(ownKey(c.Owner), leftNode(c))
			}
		}
	}
	var edges []edge
	for i, m := range f.Mounts {
		state := stateOf(m)
		right.add(m.ID.String(), node{Class: state.Class, Name: text.Escape(m.ID.Path), Note: nodeNote(m.ID.Namespace, state.Text), Href: fmt.Sprintf("#mount-%d", i+1)})
		edges = append(edges, left.edgesTo(i, m, f.Clusters)...)
	}
	return draw(left, right, edges)
}

func ownKey(o pem.Owner) string { return "own " + o.String() }

// edgesTo returns the edges that lead to a mount, and adds whose keys it trusts besides those of
// the clusters.
func (s *side) edgesTo(to int, m monitor.MountFacts, clusters []monitor.ClusterFacts) []edge {
	found := map[string]edge{}
	for _, c := range clusters { // it is to trust these, though no key of theirs may be there yet
		if slices.Contains(m.Clusters, c.Owner.Cluster) {
			found[ownKey(c.Owner)] = edge{}
		}
	}
	for _, k := range m.Keys.List {
		key := ownKey(k.Owner)
		e := found[key]
		switch {
		case k.State == monitor.Pending || k.State == monitor.Refused:
			e.waiting++
		case k.Trusted:
			key = s.ownerOf(k, len(clusters) > 0)
			e = found[key]
			e.keys++
		default:
			continue
		}
		found[key] = e
	}
	var edges []edge
	for i, key := range s.keys {
		e, there := found[key]
		if !there {
			continue
		}
		e.from, e.to, e.class = i, to, s.nodes[i].Class
		if e.class == "good" {
			switch {
			case slices.ContainsFunc(m.Failures, func(f monitor.SourceFailure) bool { return ownKey(f.Owner) == key }):
				e.class = "bad"
			case e.waiting > 0 || e.keys == 0:
				e.class = "wait"
			}
		}
		edges = append(edges, e)
	}
	return edges
}

// ownerOf returns the key of the node of a trusted key's owner, which is added where it is new.
func (s *side) ownerOf(k monitor.Key, compared bool) string {
	key, strange := ownKey(k.Owner), k.State == monitor.Foreign || k.State == monitor.Claimed
	switch {
	case slices.Contains(s.keys, key) && !strange:
	case !compared && k.State == monitor.Trusted:
		s.add(key, node{Class: "none", Name: text.Escape(k.Owner.Cluster), Note: text.Escape(k.Owner.Region)})
	default:
		key = "other " + k.Owner.String()
		s.add(key, strangeNode(k))
	}
	return key
}

// draw lays out nodes and edges.
func draw(left, right side, edges []edge) graph {
	g := graph{
		Left: left.nodes[:min(len(left.nodes), maxNodes)], Right: right.nodes[:min(len(right.nodes), maxNodes)],
		LeftMore: max(0, len(left.nodes)-maxNodes), RightMore: max(0, len(right.nodes)-maxNodes),
	}
	rows := max(len(g.Left), len(g.Right))
	g.Height = rows * rowHeight
	for _, e := range edges {
		if e.from >= maxNodes || e.to >= maxNodes {
			continue
		}
		y1, y2 := left.middle(e.from, rows), right.middle(e.to, rows)
		g.Lines = append(g.Lines, line{e.class, fmt.Sprintf("M0 %dC50 %d 50 %d 100 %d", y1, y1, y2, y2)})
		words := fmt.Sprintf("%s trusts %d %s of %s", g.Right[e.to].Name, e.keys, text.Plural(e.keys, "key"), g.Left[e.from].Name+where(g.Left[e.from]))
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

// Package img draws the picture at the top of README.md.
package img

import (
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
)

var update = flag.Bool("update", false, "draw the pictures again")

// drawn is the configuration that the picture shows: what it says of clusters, mounts and relays
// is read from it, as harvest reads it.
const drawn = `
cluster "us-east" {
  address     = "https://nomad.us-east.example.com:4646"
  client_cert = "client.pem"
  client_key  = "client-key.pem"
}
cluster "eu-west" {
  address = "https://nomad.eu-west.example.com:4646"
  regions = ["*"]
}
cluster "k8s" {
  kubernetes {
    address = "https://k8s.example.com:6443"
  }
}
mount "jwt-nomad" { clusters = ["us-east", "eu-west"] }
mount "jwt-k8s" { clusters = ["k8s"] }
relay "nomad" {
  clusters = ["us-east"]
  dir      = "/var/lib/harvest/relay/nomad"
}
`

// box is a rectangle with a name and a note.
type box struct {
	class, name, note string
	x, y, w, h        int
}

// sides returns the clusters and the mounts of a configuration, without places.
func sides(t *testing.T) (clusters, mounts []box) {
	t.Helper()
	cfg, err := config.Parse("drawn.hcl", []byte(drawn))
	require.NoError(t, err)
	for _, c := range cfg.Clusters {
		b := box{class: "cluster", name: c.Name, note: "Nomad"}
		switch {
		case c.Kubernetes != "":
			b.note = "Kubernetes, or OIDC"
		case c.TLS.ClientCert != "":
			b.note += " behind mTLS"
		case len(c.Regions) > 0:
			b.note += ", all regions"
		}
		clusters = append(clusters, b)
	}
	for _, m := range cfg.Mounts {
		b := box{class: "mount", name: "mount " + m.Path, note: "Vault trusts " + strings.Join(m.Clusters, ", ")}
		if m.Relay != nil {
			b = box{class: "relay", name: "relay " + m.Relay.Name, note: "jwks.json for Consul"}
		}
		mounts = append(mounts, b)
	}
	return clusters, mounts
}

// The size of a box, and the space between two.
const (
	boxWidth, boxHeight, gap = 236, 56, 16
	margin                   = 2
)

// picture is a drawing in the making.
type picture struct {
	strings.Builder
}

func (p *picture) text(class string, x, y int, s string) {
	fmt.Fprintf(p, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x, y)
	_ = xml.EscapeText(p, []byte(s)) // a Builder takes everything
	p.WriteString("</text>\n")
}

func (p *picture) frame(b box) {
	fmt.Fprintf(p, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", b.class, b.x, b.y, b.w, b.h)
}

// box draws a box with its name over its note.
func (p *picture) box(b box) {
	p.frame(b)
	p.text("name", b.x+b.w/2, b.y+24, b.name)
	p.text("note", b.x+b.w/2, b.y+43, b.note)
}

// row draws a box with its name beside its note.
func (p *picture) row(b box) {
	p.frame(b)
	p.text("name left", b.x+14, b.y+23, b.name)
	p.text("note right", b.x+b.w-14, b.y+23, b.note)
}

// wide draws clusters at the left, mounts at the right, and harvest between them.
func (p *picture) wide(clusters, mounts []box, steps []string) (width, height int) {
	width, height = 800, max(len(clusters), len(mounts))*(boxHeight+gap)-gap+2*margin+26
	middle := box{class: "harvest", x: 310, y: 40, w: 180, h: height - 54}
	column := func(boxes []box, x, port, to int) {
		for i, b := range boxes {
			b.x, b.y, b.w, b.h = x, margin+26+i*(boxHeight+gap), boxWidth, boxHeight
			from, y := b.x+port, b.y+b.h/2
			end := middle.y + middle.h*(2*i+1)/(2*len(boxes))
			a, z, za, zy := from, to, y, end
			if port == 0 { // an arrow leads to a mount
				a, z, za, zy = to, from, end, y
			}
			fmt.Fprintf(p, "<path d=\"M%d %d C%d %d %d %d %d %d\"/>\n", a, za, (a+z)/2, za, (a+z)/2, zy, z-5, zy)
			p.box(b)
		}
	}
	column(clusters, margin, boxWidth, middle.x)
	column(mounts, width-margin-boxWidth, 0, middle.x+middle.w)
	p.text("label", margin+boxWidth/2, 17, read)
	p.text("label", width-margin-boxWidth/2, 17, written)
	p.harvest(middle, steps)
	return width, height
}

// narrow draws the same from top to bottom, for a telephone.
func (p *picture) narrow(clusters, mounts []box, steps []string) (width, height int) {
	width = 380
	middle := box{class: "harvest", x: margin, w: width - 2*margin, h: 100}
	y := 26
	stack := func(boxes []box) {
		for _, b := range boxes {
			b.x, b.y, b.w, b.h = margin, y, width-2*margin, 36
			p.row(b)
			y += b.h + 6
		}
	}
	arrow := func() {
		fmt.Fprintf(p, "<path d=\"M%d %d V%d\"/>\n", width/2, y-4, y+23)
		y += 32
	}
	p.text("label", width/2, 17, read)
	stack(clusters)
	arrow()
	middle.y = y
	p.harvest(middle, steps)
	y += middle.h + 6
	arrow()
	y += 18
	p.text("label", width/2, y-7, written)
	stack(mounts)
	return width, y - 6 + margin
}

// What harvest asks clusters for, and what it sets.
const (
	read    = "/.well-known/jwks.json"
	written = "jwt_validation_pubkeys"
)

func (p *picture) harvest(b box, steps []string) {
	p.frame(b)
	y := b.y + (b.h-22-19*len(steps))/2 + 18
	p.text("title", b.x+b.w/2, y, "harvest watch")
	for i, step := range steps {
		p.text("note", b.x+b.w/2, y+24+19*i, step)
	}
}

const style = `<style>
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;text-anchor:middle;fill:%s}
.name{font-size:15px;font-weight:600}.title{font-size:19px;font-weight:700}.note{fill:%s}
.left{text-anchor:start}.right{text-anchor:end}
.label{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:%[2]s}
rect{fill:%s;stroke:%s}.harvest{fill:%s;stroke:%s;stroke-width:2}
path{fill:none;stroke:%[6]s;stroke-width:2;marker-end:url(#a)}#a path{fill:%[6]s;stroke:none;marker:none}
</style>
<defs><marker id="a" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="5" markerHeight="5" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>
`

var (
	scheme = regexp.MustCompile(`(?s):root \{(.*?)\}`)
	colour = regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+);`)
)

// colours returns those of the status page: light, and dark.
func colours(t *testing.T) []map[string]string {
	t.Helper()
	css, err := os.ReadFile("../../internal/statuspage/page.css")
	require.NoError(t, err)
	var all []map[string]string
	for _, block := range scheme.FindAllStringSubmatch(string(css), -1) {
		these := map[string]string{}
		for _, c := range colour.FindAllStringSubmatch(block[1], -1) {
			these[c[1]] = c[2]
		}
		all = append(all, these)
	}
	require.Len(t, all, 2)
	return all
}

// TestOverview: the pictures are what this program draws, which -update writes.
func TestOverview(t *testing.T) {
	clusters, mounts := sides(t)
	said := "Clusters publish their keys; harvest fetches, judges and writes them; Vault's mounts and relays have them."
	for i, c := range colours(t) {
		for j, draw := range []func(*picture, []box, []box, []string) (int, int){(*picture).wide, (*picture).narrow} {
			var p picture
			width, height := draw(&p, clusters, mounts, []string{"fetches each key set,", "judges each key,", "plans, writes, reads back"})
			svg := fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %[2]d\" role=\"img\" aria-label=\"%s\">\n", width, height, said) +
				fmt.Sprintf(style, c["ink"], c["soft"], c["card"], c["soft"], c["good-bg"], c["good"]) + p.String() + "</svg>\n"
			file := "overview-" + []string{"light", "dark"}[i] + []string{"", "-narrow"}[j] + ".svg"
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(svg), 0o644))
			}
			kept, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, svg, string(kept), "%s isn't what is drawn: make overview", file)
		}
	}
}

// TestWords: what the picture says of interfaces is what the manual says, which is made from the
// code.
func TestWords(t *testing.T) {
	manual, err := os.ReadFile("../man/harvest.1")
	require.NoError(t, err)
	for _, word := range []string{read, written, "harvest watch"} {
		assert.Contains(t, strings.ReplaceAll(string(manual), `\-`, "-"), word)
	}
}

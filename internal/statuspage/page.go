// Package statuspage shows what a monitor knows as a page for a browser.
package statuspage

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/text"
)

// Page is what the template shows. Its strings are printable, and not yet HTML.
type Page struct {
	Style    template.CSS
	Policy   string // the Content-Security-Policy of a page in a file
	Refresh  int    // seconds; 0: never
	Watching bool
	Version  string
	Made     stamp
	Verdict  standing
	Figures  []figure
	Graph    graph
	Problems []monitor.Problem
	Clusters []pageCluster
	More     int // clusters that aren't shown
	Mounts   []pageMount
	Legend   []legend
	Nomad    bool // some cluster is one
	Rotation string
	Assumed  bool // Rotation is Nomad's default
}

// standing is a state in a word, with its class of the style: good, wait, bad or none.
type standing struct{ Class, Text string }

type figure struct{ Value, Label, Class string }

// stamp is a time, for machines and for readers. The zero stamp is none.
type stamp struct{ ISO, Full, Text string }

type pageCluster struct {
	Name, Region, Kind string
	State              standing
	Published, Skipped string
	Read               stamp
	Error              string
	ErrorAt            stamp
}

type pageMount struct {
	ID, Path, Where string // ID is a fragment
	State           standing
	Clusters        string
	Synced          stamp
	Error           string
	ErrorAt         stamp
	Drift           string
	Conflicts       int
	Keys            []pageKey
	More            int // keys that aren't shown
	Known           bool
}

type pageKey struct {
	State                  monitor.KeyState
	Cluster, Region, KeyID string
	Algorithm, Short, Full string
	Since, Next            stamp
	NextNote               string // in the place of Next, or after it
	Note                   string
}

type legend struct {
	State monitor.KeyState
	Text  string
}

// New makes a page of facts. version is that of harvest.
func New(f monitor.Facts, version string, now time.Time) *Page {
	p := &Page{
		Style: template.CSS(pageCSS), Policy: pagePolicy(), Watching: f.Watching, Version: version, //nolint:gosec // a file of this package
		Made: stampOf(now, now), Problems: f.Problems,
	}
	slices.SortFunc(f.Clusters, func(a, b monitor.ClusterFacts) int { return monitor.CompareOwners(a.Owner, b.Owner) })
	slices.SortFunc(f.Mounts, func(a, b monitor.MountFacts) int {
		return cmp.Or(cmp.Compare(a.ID.Path, b.ID.Path), cmp.Compare(a.ID.Namespace, b.ID.Namespace), cmp.Compare(a.ID.Vault, b.ID.Vault))
	})
	rotation := cmp.Or(f.Rotation, lint.DefaultRotation)
	p.Rotation, p.Assumed = inDays(rotation), f.Rotation == 0
	kinds := map[string]string{}
	for _, c := range f.Clusters {
		kinds[c.Owner.Cluster] = c.From
		p.Nomad = p.Nomad || c.From == monitor.FromNomad
		p.addCluster(c, now)
	}
	for i, m := range f.Mounts {
		p.addMount(i, m, kinds, rotation, now)
	}
	p.More = max(0, len(p.Clusters)-monitor.MaxRows)
	p.Clusters = p.Clusters[:len(p.Clusters)-p.More]
	slices.SortStableFunc(p.Problems, func(a, b monitor.Problem) int { return cmp.Compare(severityRank(a), severityRank(b)) })
	p.Graph = newGraph(f)
	p.judge(f)
	return p
}

// severityRank puts the worst first.
func severityRank(p monitor.Problem) int {
	return slices.Index([]string{monitor.SeverityError, monitor.SeverityWarning, monitor.SeverityNote}, p.Severity)
}

// legends say what each state means, in the order of the table.
var legends = []legend{
	{monitor.Pending, "published, and not trusted yet"},
	{monitor.Refused, "published, and not trusted: all keys of its cluster are new at once, which somebody has to allow"},
	{monitor.Outgoing, "trusted, and to be removed"},
	{monitor.Denied, "named as denied: not trusted, or about to go"},
	{monitor.Trusted, "on the mount: anyone who holds its private half can log in"},
	{monitor.Retained, "no longer published, and trusted until its retention period ends"},
	{monitor.Claimed, "trusted, and another harvester's: never touched here"},
	{monitor.Foreign, "trusted, and of no known cluster"},
	{monitor.Skipped, "published, and not trusted; the note says why"},
}

// judge puts the whole in a sentence and some figures.
func (p *Page) judge(f monitor.Facts) {
	inSync := 0
	for _, m := range f.Mounts {
		if m.InSync {
			inSync++
		}
	}
	p.Figures = figures(f, inSync)
	errors, warnings := 0, 0
	for _, problem := range p.Problems {
		switch problem.Severity {
		case monitor.SeverityError:
			errors++
		case monitor.SeverityWarning:
			warnings++
		}
	}
	switch {
	case errors > 0:
		p.Verdict = standing{"bad", fmt.Sprintf("%d %s", errors, text.Form(errors, "error", "errors"))}
		if warnings > 0 {
			p.Verdict.Text += fmt.Sprintf(", %d %s", warnings, text.Form(warnings, "warning", "warnings"))
		}
	case len(f.Clusters) == 0:
		p.Verdict = standing{"none", "Read, compared with no cluster"}
	case inSync < len(f.Mounts):
		p.Verdict = standing{"wait", "Changes are pending"}
	case len(p.Problems) > 0:
		p.Verdict = standing{"wait", "In sync, with warnings"}
	default:
		p.Verdict = standing{"good", "Everything is in sync"}
	}
	for _, l := range legends {
		if slices.ContainsFunc(f.Mounts, func(m monitor.MountFacts) bool {
			return slices.ContainsFunc(m.Keys.List, func(k monitor.Key) bool { return k.State == l.State })
		}) {
			p.Legend = append(p.Legend, l)
		}
	}
}

// figures counts what there is, and where it was compared with clusters what is pending.
func figures(f monitor.Facts, inSync int) []figure {
	read, keys, waiting, refused := 0, 0, 0, 0
	for _, c := range f.Clusters {
		if !c.Failing && !c.Read.IsZero() {
			read++
		}
	}
	for _, m := range f.Mounts {
		keys += m.Keys.TrustedCount()
		add, remove := m.Keys.PendingCount()
		waiting += add + remove + m.Settings
		refused += m.Keys.RefusedCount()
	}
	trusted := figure{fmt.Sprint(keys), text.Plural(keys, "key") + " trusted", "none"}
	if len(f.Clusters) == 0 {
		return []figure{trusted}
	}
	pending := figure{fmt.Sprint(waiting), text.Plural(waiting, "change") + " pending", "good"}
	switch {
	case refused > 0:
		pending = figure{fmt.Sprint(waiting + refused), fmt.Sprintf("%s pending, %d refused", text.Plural(waiting+refused, "change"), refused), "bad"}
	case waiting > 0:
		pending.Class = "wait"
	}
	return []figure{share(inSync, len(f.Mounts), "mounts in sync"), share(read, len(f.Clusters), "clusters and regions read"), trusted, pending}
}

// share is a figure of how many of all are as they should be.
func share(n, all int, label string) figure {
	class := "bad"
	if n == all {
		class = "good"
	}
	return figure{fmt.Sprintf("%d of %d", n, all), label, class}
}

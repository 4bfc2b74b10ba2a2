package main

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// facts are what a status page is made of: as a watch remembers them, or as a run of status
// has just read them.
type facts struct {
	clusters []clusterFacts
	mounts   []mountFacts
	problems []pageProblem // of neither, such as a login
	watching bool
	rotation time.Duration // Nomad's root_key_rotation_threshold; zero: not said
}

// clusterFacts are what is known of a cluster, or of a region of it.
type clusterFacts struct {
	source    sourceID
	kind      string // what it is read from; "": unknown
	read      time.Time
	failing   bool
	last      lastError
	published int // keys; -1: unknown
	skipped   int // members of its set that aren't taken
}

// mountFacts are what is known of a mount.
type mountFacts struct {
	id        mountID
	clusters  []string // that it is to trust
	synced    time.Time
	known     bool // its keys are
	syncing   bool // for the first time
	inSync    bool
	failing   bool
	last      lastError
	keys      shownKeys
	partial   bool          // some cluster's keys could not be learned
	failures  []pageProblem // of such clusters, beside what they have themselves
	warnings  []string
	repaired  int // keys put back or taken away again
	conflicts int
	problems  []pageProblem // what a check of its roles and its configuration finds
}

// lastError is what went wrong last, also where it goes well since.
type lastError struct {
	text string // "": nothing
	at   time.Time
}

// pageProblem is something to look at.
type pageProblem struct {
	Severity string // error, warning or note
	Where    string // a mount, a cluster, a Vault
	Message  string
	Fix      string // "": the message says it
}

const (
	severityError   = string(vaultsync.SeverityError)
	severityWarning = string(vaultsync.SeverityWarning)
	severityNote    = string(vaultsync.SeverityNote)
)

// Bounds of what a remote says; the page shows no more of it.
const (
	maxShownText    = 300 // bytes of an error or a reason
	maxShownRows    = 2000
	maxShownRemarks = 50 // of a mount
)

// statusPage is what the template shows. Its strings are printable, and not yet HTML.
type statusPage struct {
	Style    template.CSS
	Policy   string // the Content-Security-Policy of a page in a file
	Refresh  int    // seconds; 0: never
	Watching bool
	Version  string
	Made     stamp
	Verdict  standing
	Figures  []figure
	Graph    graph
	Problems []pageProblem
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
	More            string // how many keys aren't shown; "": none
	Known           bool
}

type pageKey struct {
	State                  keyState
	Cluster, Region, KeyID string
	Algorithm, Short, Full string
	Since, Next            stamp
	NextNote               string // in the place of Next, or after it
	Note                   string
}

type legend struct {
	State keyState
	Text  string
}

// newPage makes a page of facts.
func newPage(f facts, now time.Time) *statusPage {
	p := &statusPage{
		Style: template.CSS(pageCSS), Policy: pagePolicy(), Watching: f.watching, Version: buildInfo().Version, //nolint:gosec // a file of this package
		Made: stampOf(now, now), Problems: f.problems,
	}
	slices.SortFunc(f.clusters, func(a, b clusterFacts) int { return compareSources(a.source, b.source) })
	slices.SortFunc(f.mounts, func(a, b mountFacts) int {
		return cmp.Or(cmp.Compare(a.id.path, b.id.path), cmp.Compare(a.id.namespace, b.id.namespace), cmp.Compare(a.id.vault, b.id.vault))
	})
	rotation := cmp.Or(f.rotation, vaultsync.DefaultRotation)
	p.Rotation, p.Assumed = inDays(rotation), f.rotation == 0
	kinds := map[string]string{}
	for _, c := range f.clusters {
		kinds[c.source.cluster] = c.kind
		p.Nomad = p.Nomad || c.kind == kindNomad
		p.addCluster(c, now)
	}
	for i, m := range f.mounts {
		p.addMount(i, m, kinds, rotation, now)
	}
	p.More = max(0, len(p.Clusters)-maxShownRows)
	p.Clusters = p.Clusters[:len(p.Clusters)-p.More]
	slices.SortStableFunc(p.Problems, func(a, b pageProblem) int { return cmp.Compare(severityRank(a), severityRank(b)) })
	p.Graph = newGraph(f)
	p.judge(f)
	return p
}

// severityRank puts the worst first.
func severityRank(p pageProblem) int {
	return slices.Index([]string{severityError, severityWarning, severityNote}, p.Severity)
}

func compareSources(a, b sourceID) int {
	return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.region, b.region))
}

func (id sourceID) String() string { return pem.Owner{Cluster: id.cluster, Region: id.region}.String() }

// judge puts the whole in a sentence and some figures.
func (p *statusPage) judge(f facts) {
	read, inSync, trusted, waiting := 0, 0, 0, 0
	for _, c := range f.clusters {
		if !c.failing && !c.read.IsZero() {
			read++
		}
	}
	for _, m := range f.mounts {
		if m.inSync {
			inSync++
		}
		trusted += m.keys.trusted()
		add, remove := m.keys.pending()
		waiting += add + remove
	}
	class := func(good bool) string {
		if good {
			return "good"
		}
		return "bad"
	}
	p.Figures = []figure{{fmt.Sprint(trusted), plural(trusted, "key") + " trusted", "none"}}
	if len(f.clusters) > 0 {
		pending := figure{fmt.Sprint(waiting), plural(waiting, "change") + " pending", "good"}
		if waiting > 0 {
			pending.Class = "wait"
		}
		p.Figures = []figure{
			{fmt.Sprintf("%d of %d", inSync, len(f.mounts)), "mounts in sync", class(inSync == len(f.mounts))},
			{fmt.Sprintf("%d of %d", read, len(f.clusters)), "clusters and regions read", class(read == len(f.clusters))},
			p.Figures[0], pending,
		}
	}
	errors := 0
	for _, problem := range p.Problems {
		if problem.Severity == severityError {
			errors++
		}
	}
	switch {
	case errors > 0:
		p.Verdict = standing{"bad", fmt.Sprintf("%d %s attention", errors, map[bool]string{true: "thing needs", false: "things need"}[errors == 1])}
	case len(f.clusters) == 0:
		p.Verdict = standing{"none", "Read, compared with no cluster"}
	case inSync < len(f.mounts):
		p.Verdict = standing{"wait", "Changes are pending"}
	case len(p.Problems) > 0:
		p.Verdict = standing{"wait", "In sync, with warnings"}
	default:
		p.Verdict = standing{"good", "Everything is in sync"}
	}
	seen := map[keyState]bool{}
	for _, m := range f.mounts {
		for _, k := range m.keys.list {
			seen[k.state] = true
		}
		for k, n := range m.keys.more {
			seen[k.state] = seen[k.state] || n > 0
		}
	}
	for _, l := range legends {
		if seen[l.State] {
			p.Legend = append(p.Legend, l)
		}
	}
}

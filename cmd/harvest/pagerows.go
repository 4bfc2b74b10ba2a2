package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
)

func (p *statusPage) problem(severity, where, message, fix string) {
	p.Problems = append(p.Problems, pageProblem{severity, printable(where), printable(message), printable(fix)})
}

func (p *statusPage) addCluster(c clusterFacts, now time.Time) {
	shown := pageCluster{
		Name: printable(c.source.cluster), Region: printable(c.source.region), Kind: c.kind, State: standing{"good", "read"},
		Published: "–", Skipped: "–", Read: stampOf(c.read, now), Error: printable(c.last.text), ErrorAt: stampOf(c.last.at, now),
	}
	if c.published >= 0 {
		shown.Published, shown.Skipped = fmt.Sprint(c.published), fmt.Sprint(c.skipped)
	}
	switch {
	case c.failing:
		shown.State = standing{"bad", "not read"}
		p.problem(severityError, "cluster "+c.source.String(), c.last.text, "Its trusted keys stay. New ones don't come until it is read again.")
	case c.read.IsZero():
		shown.State = standing{"none", "not asked yet"}
	}
	p.Clusters = append(p.Clusters, shown)
}

func (p *statusPage) addMount(i int, m mountFacts, kinds map[string]string, rotation time.Duration, now time.Time) {
	shown := pageMount{
		ID: fmt.Sprintf("mount-%d", i+1), Path: printable(m.id.path), Where: printable(whereIs(m.id)), State: m.state(),
		Clusters: printable(strings.Join(m.clusters, ", ")), Synced: stampOf(m.synced, now),
		Error: printable(m.last.text), ErrorAt: stampOf(m.last.at, now), Drift: m.drift(), Conflicts: m.conflicts,
		Known: m.known, More: m.keys.unshown(),
	}
	where := "mount " + m.id.String()
	if m.failing {
		p.problem(severityError, where, m.last.text, "")
	}
	for _, list := range [][]pageProblem{m.failures, m.problems} {
		for _, problem := range list {
			p.problem(problem.Severity, where, problem.Message, problem.Fix)
		}
	}
	for _, w := range m.warnings[:min(len(m.warnings), maxShownRemarks)] {
		p.problem(severityWarning, where, text.Cut(w, maxShownText), "")
	}
	if more := len(m.warnings) - maxShownRemarks; more > 0 {
		p.problem(severityWarning, where, fmt.Sprintf("and %d more remarks: harvest plan -format json has them all", more), "")
	}
	m.keys.sort()
	newest := m.keys.newest()
	for _, k := range m.keys.list {
		shown.Keys = append(shown.Keys, pageKeyOf(k, kinds[k.source.cluster] == kindNomad, newest[k.source], rotation, now))
	}
	p.Mounts = append(p.Mounts, shown)
}

func whereIs(id mountID) string {
	if id.namespace == "" {
		return id.vault
	}
	return "namespace " + id.namespace + ", " + id.vault
}

func (m mountFacts) state() standing {
	switch {
	case m.failing:
		return standing{"bad", "not in sync"}
	case m.inSync:
		return standing{"good", "in sync"}
	case !m.known:
		return standing{"none", "not read yet"}
	case m.syncing:
		return standing{"wait", "being synced"}
	case len(m.clusters) == 0:
		return standing{"none", "read"}
	case m.partial:
		return standing{"bad", "partly in sync"}
	}
	return standing{"wait", "changes pending"}
}

// drift says how what the mount trusts differs from what is published.
func (m mountFacts) drift() string {
	if !m.known || len(m.clusters) == 0 {
		return ""
	}
	add, remove := m.keys.pending()
	var parts []string
	if add > 0 {
		parts = append(parts, fmt.Sprintf("%d to add", add))
	}
	if remove > 0 {
		parts = append(parts, fmt.Sprintf("%d to remove", remove))
	}
	text := "none"
	if len(parts) > 0 {
		text = strings.Join(parts, ", ")
	}
	if m.repaired > 0 {
		text += fmt.Sprintf("; %d %s put right since the watch began", m.repaired, plural(m.repaired, "key"))
	}
	return text
}

func pageKeyOf(k shownKey, nomad bool, newest time.Time, rotation time.Duration, now time.Time) pageKey {
	shown := pageKey{
		State: k.state, Cluster: printable(k.source.cluster), Region: printable(k.source.region), KeyID: printable(k.kid), Algorithm: printable(k.alg),
		Note: printable(k.reason),
	}
	if k.trusted {
		shown.Since = stampOf(k.added, now)
	}
	if k.source == (sourceID{}) {
		shown.Cluster = "nobody"
	}
	if k.fingerprint != (pem.Fingerprint{}) {
		shown.Short, shown.Full = k.fingerprint.Short(), k.fingerprint.String()
	}
	if nomad && k.state == stateTrusted && !k.added.IsZero() {
		switch next := k.added.Add(rotation); {
		case k.added.Before(newest):
			shown.NextNote = "done: a newer key is here"
		case next.Before(now):
			shown.Next, shown.NextNote = dateOf(next), "that is past: the cluster rotates less often"
		default:
			shown.Next = dateOf(next)
		}
	}
	return shown
}

// stampOf is how a time that has passed is shown.
func stampOf(t, now time.Time) stamp {
	if t.IsZero() {
		return stamp{}
	}
	s := stamp{ISO: t.UTC().Format(time.RFC3339), Full: t.UTC().Format("2006-01-02 15:04:05 UTC"), Text: strings.TrimPrefix(ago(t, now), "since ")}
	if d := now.Sub(t); d >= 2*time.Second && d < time.Minute {
		s.Text = fmt.Sprintf("%d s ago", d/time.Second)
	}
	return s
}

// inDays says how long a time is.
func inDays(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day != 0 {
		return d.String()
	}
	return fmt.Sprintf("%d %s", d/day, plural(int(d/day), "day"))
}

// dateOf is how a time to come is shown.
func dateOf(t time.Time) stamp {
	s := stampOf(t, t)
	s.Text = t.UTC().Format(time.DateOnly)
	return s
}

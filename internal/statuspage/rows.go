package statuspage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

func (p *Page) problem(severity, where, message, fix string) {
	p.Problems = append(p.Problems, monitor.Problem{
		Severity: severity, Where: text.Escape(where), Message: text.Escape(message), Fix: escapeLines(fix),
	})
}

// escapeLines is text.Escape for text of several lines.
func escapeLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = text.Escape(line)
	}
	return strings.Join(lines, "\n")
}

func (p *Page) addCluster(c monitor.ClusterFacts, now time.Time) {
	shown := pageCluster{
		Name: text.Escape(c.Owner.Cluster), Region: text.Escape(c.Owner.Region), Kind: c.From, State: standing{"good", "read"},
		Published: "–", Skipped: "–", Read: stampOf(c.Read, now), Error: text.Escape(c.Last.Text), ErrorAt: stampOf(c.Last.At, now),
	}
	if c.Published >= 0 {
		shown.Published, shown.Skipped = fmt.Sprint(c.Published), fmt.Sprint(c.Skipped)
	}
	switch {
	case c.Failing:
		shown.State = standing{"bad", "not read"}
		p.problem(monitor.SeverityError, "cluster "+c.Owner.String(), c.Last.Text, strings.TrimSuffix("Its trusted keys stay. New ones don't come until it is read again.\n"+c.Last.Hint, "\n"))
	case c.Read.IsZero():
		shown.State = standing{"none", "not asked yet"}
	}
	p.Clusters = append(p.Clusters, shown)
}

func (p *Page) addMount(i int, m monitor.MountFacts, kinds map[string]string, rotation time.Duration, now time.Time) {
	shown := pageMount{
		ID: fmt.Sprintf("mount-%d", i+1), Path: text.Escape(m.ID.Path), Where: text.Escape(whereIs(m.ID)), State: stateOf(m),
		Clusters: text.Escape(strings.Join(m.Clusters, ", ")), Synced: stampOf(m.Synced, now),
		Error: text.Escape(m.Last.Text), ErrorAt: stampOf(m.Last.At, now), Drift: driftOf(m), Conflicts: m.Conflicts,
		Known: m.Known,
	}
	where := monitor.Title(m.ID)
	if m.Failing {
		p.problem(monitor.SeverityError, where, m.Last.Text, m.Last.Hint)
	}
	slices.SortFunc(m.Failures, func(a, b monitor.SourceFailure) int { return monitor.CompareOwners(a.Owner, b.Owner) })
	for _, f := range m.Failures {
		p.problem(monitor.SeverityError, where, f.Owner.String()+": "+f.Last.Text, f.Last.Hint)
	}
	for _, problem := range m.Problems {
		p.problem(problem.Severity, where, problem.Message, problem.Fix)
	}
	for _, w := range m.Warnings[:min(len(m.Warnings), monitor.MaxRemarks)] {
		p.problem(monitor.SeverityWarning, where, text.Cut(w, monitor.MaxText), "")
	}
	if more := len(m.Warnings) - monitor.MaxRemarks; more > 0 {
		p.problem(monitor.SeverityWarning, where, fmt.Sprintf("and %d more remarks: harvest plan -format json has them all", more), "")
	}
	m.Keys.Sort()
	newest := m.Keys.Newest()
	rows := m.Keys.List[:min(len(m.Keys.List), monitor.MaxRows)]
	shown.More = len(m.Keys.List) - len(rows) + m.Keys.Unlisted
	for _, k := range rows {
		shown.Keys = append(shown.Keys, pageKeyOf(k, kinds[k.Owner.Cluster] == monitor.FromNomad, newest[k.Owner], rotation, now))
	}
	p.Mounts = append(p.Mounts, shown)
}

func whereIs(id vaultsync.MountID) string {
	if id.Namespace == "" {
		return id.Vault
	}
	return "namespace " + id.Namespace + ", " + id.Vault
}

func stateOf(m monitor.MountFacts) standing {
	switch {
	case m.Failing:
		return standing{"bad", "not in sync"}
	case m.InSync:
		return standing{"good", "in sync"}
	case !m.Known:
		return standing{"none", "not read yet"}
	case m.Syncing:
		return standing{"wait", "being synced"}
	case len(m.Clusters) == 0:
		return standing{"none", "read"}
	case m.Partial:
		return standing{"bad", "partly in sync"}
	}
	return standing{"wait", "changes pending"}
}

// driftOf returns how what the mount trusts differs from what is published.
func driftOf(m monitor.MountFacts) string {
	if !m.Known || len(m.Clusters) == 0 {
		return ""
	}
	add, remove := m.Keys.PendingCount()
	var parts []string
	if add > 0 {
		parts = append(parts, fmt.Sprintf("%d to add", add))
	}
	if refused := m.Keys.RefusedCount(); refused > 0 {
		parts = append(parts, fmt.Sprintf("%d refused", refused))
	}
	if remove > 0 {
		parts = append(parts, fmt.Sprintf("%d to remove", remove))
	}
	if m.Settings > 0 {
		parts = append(parts, fmt.Sprintf("%d %s to change", m.Settings, text.Plural(m.Settings, "setting")))
	}
	drift := "none"
	if len(parts) > 0 {
		drift = strings.Join(parts, ", ")
	}
	if m.Repaired > 0 {
		drift += fmt.Sprintf("; %d %s by others put right since the watch began", m.Repaired, text.Plural(m.Repaired, "change"))
	}
	return drift
}

func pageKeyOf(k monitor.Key, nomad bool, newest time.Time, rotation time.Duration, now time.Time) pageKey {
	shown := pageKey{
		State: k.State, Cluster: text.Escape(k.Owner.Cluster), Region: text.Escape(k.Owner.Region), KeyID: text.Escape(k.KeyID), Algorithm: text.Escape(k.Algorithm),
		Note: text.Escape(k.Reason),
	}
	if k.Trusted {
		shown.Since = stampOf(k.Added, now)
	}
	if k.Owner == (pem.Owner{}) {
		shown.Cluster = "nobody"
	}
	if k.Fingerprint != (pem.Fingerprint{}) {
		shown.Short, shown.Full = k.Fingerprint.Short(), k.Fingerprint.String()
	}
	if nomad && k.State == monitor.Trusted && !k.Added.IsZero() {
		switch next := k.Added.Add(rotation); {
		case k.Added.Before(newest):
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
	s := stamp{ISO: t.UTC().Format(time.RFC3339), Full: t.UTC().Format("2006-01-02 15:04:05 UTC"), Text: strings.TrimPrefix(text.Ago(t, now), "since ")}
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
	return fmt.Sprintf("%d %s", d/day, text.Plural(int(d/day), "day"))
}

// dateOf is how a time to come is shown.
func dateOf(t time.Time) stamp {
	s := stampOf(t, t)
	s.Text = t.UTC().Format(time.DateOnly)
	return s
}

package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/vaultsync"
)

// What a cluster is read from, as a status page has it.
const (
	kindNomad  = "Nomad"
	kindURL    = "JWKS URL"
	kindFile   = "JWKS file"
	kindIssuer = "OIDC issuer"
)

func (c clusterConfig) kind() string {
	switch {
	case c.address != "":
		return kindNomad
	case c.jwksURL != "":
		return kindURL
	case c.jwksFile != "":
		return kindFile
	case c.oidcIssuer != "":
		return kindIssuer
	}
	return ""
}

func kindsOfClusters(clusters []clusterConfig) map[string]string {
	kinds := map[string]string{}
	for _, c := range clusters {
		kinds[c.name] = c.kind()
	}
	return kinds
}

// shownError is an error as a page shows it, beside the name of what it is of.
func shownError(err error) string {
	return strings.Clone(text.Cut(mountCause(cause(err)).Error(), maxShownText))
}

// describe says what clusters are.
func (b *board) describe(clusters []clusterConfig) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kinds = kindsOfClusters(clusters)
}

// facts returns a copy of what a page shows, its times as they are called now.
func (b *board) facts(now time.Time) facts {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return inPresentTime(t, now)
	}
	last := func(e lastError) lastError { return lastError{e.text, at(e.at)} }
	f := facts{watching: true}
	for id, s := range b.sources {
		c := clusterFacts{
			source: id, kind: b.kinds[id.cluster], read: at(s.good), failing: s.failure.kind != "", last: last(s.failure.last), published: -1,
		}
		if s.arrived != nil {
			c.published = len(s.arrived)
			for _, n := range s.skipped {
				c.skipped += n
			}
		}
		f.clusters = append(f.clusters, c)
	}
	for id, m := range b.mounts {
		one := mountFacts{
			id: id, clusters: m.clusters, synced: at(m.inSync), known: m.attempted && m.read || len(m.keys.list) > 0, syncing: !m.attempted, inSync: m.synced, partial: m.partial, failing: m.failure.kind != "",
			last: last(m.failure.last), keys: shownKeys{slices.Clone(m.keys.list), maps.Clone(m.keys.more)}, warnings: m.warned,
			repaired: int(m.drift), conflicts: int(m.conflicts),
		}
		for source, failed := range m.failed {
			one.failures = append(one.failures, pageProblem{Severity: severityError, Message: source.String() + ": " + failed.last.text})
		}
		if m.forbidden != "" {
			one.problems = append(one.problems, pageProblem{
				Severity: severityError, Message: "keys can't be written: " + m.forbidden, Fix: "The policy that harvest policy prints suffices.",
			})
		}
		f.mounts = append(f.mounts, one)
	}
	for vault, failed := range b.logins {
		f.problems = append(f.problems, pageProblem{
			Severity: severityError, Where: printable("Vault " + vault), Message: printable("no token: " + failed.last.text),
		})
	}
	return f
}

// factsOf returns what a run of status has read.
func factsOf(report *vaultsync.Report, statuses []*mountStatus, cfg *config, now time.Time) facts {
	var f facts
	kinds, unread := kindsOfClusters(cfg.clusters), map[sourceID]bool{}
	for _, r := range report.Clusters {
		c := clusterFacts{source: sourceID{r.Cluster, r.Region}, kind: kinds[r.Cluster], published: -1}
		switch {
		case r.Err != nil:
			c.failing, c.last, unread[c.source] = true, lastError{shownError(r.Err), now}, true
		case r.Set != nil:
			c.read, c.published, c.skipped = now, len(r.Set.Keys), len(r.Set.Skipped)
		}
		f.clusters = append(f.clusters, c)
	}
	for i, s := range statuses {
		m := mountFacts{
			id: mountID{s.Vault, s.Namespace, s.Path}, clusters: cfg.mounts[i].clusters, known: s.read, warnings: s.Warnings,
			inSync: report.Mounts[i].InSync(),
		}
		if s.plan != nil {
			m.keys, m.partial = shownOf(s.plan, false), len(s.plan.Failed) > 0
			for _, failed := range s.plan.Failed {
				if unread[sourceID{failed.Cluster, failed.Region}] { // the cluster has it
					continue
				}
				m.failures = append(m.failures, pageProblem{
					Severity: severityError, Message: owner(failed) + ": " + shownError(failed.Err),
				})
			}
		} else {
			m.keys = shownTrusted(s.Trusted)
		}
		if m.inSync {
			m.synced = now
		}
		for _, l := range s.Lint {
			m.problems = append(m.problems, pageProblem{Severity: string(l.Severity), Message: l.Message, Fix: l.Fix})
		}
		if s.err != nil {
			m.failing, m.last = true, lastError{shownError(s.err), now}
		}
		f.mounts = append(f.mounts, m)
	}
	return f
}

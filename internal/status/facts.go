package status

import (
	"time"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Facts returns what a run of status has read.
func Facts(report *vaultsync.Report, statuses []*Mount, cfg *config.Config, now time.Time) monitor.Facts {
	var f monitor.Facts
	from, unread := allReadFrom(cfg.Clusters), map[pem.Owner]bool{}
	for _, r := range report.Clusters {
		c := monitor.ClusterFacts{Owner: pem.Owner{Cluster: r.Cluster, Region: r.Region}, From: from[r.Cluster], Published: -1}
		switch {
		case r.Err != nil:
			c.Failing, c.Last, unread[c.Owner] = true, monitor.LastError{Text: monitor.Shown(r.Err), At: now}, true
		case r.Set != nil:
			c.Read, c.Published, c.Skipped = now, len(r.Set.Keys), len(r.Set.Skipped)
		}
		f.Clusters = append(f.Clusters, c)
	}
	for i, s := range statuses {
		m := monitor.MountFacts{
			ID: s.MountID, Clusters: cfg.Mounts[i].Clusters, Known: s.Read, Warnings: s.Warnings,
			InSync: report.Mounts[i].InSync(),
		}
		if s.Plan != nil {
			m.Keys, m.Partial = monitor.KeysOf(s.Plan, false), len(s.Plan.Failed) > 0
			for _, failed := range s.Plan.Failed {
				if unread[pem.Owner{Cluster: failed.Cluster, Region: failed.Region}] { // the cluster has it
					continue
				}
				m.Failures = append(m.Failures, monitor.Problem{
					Severity: monitor.SeverityError, Message: pem.Owner{Cluster: failed.Cluster, Region: failed.Region}.String() + ": " + monitor.Shown(failed.Err),
				})
			}
		} else {
			m.Keys = monitor.TrustedKeys(s.Trusted)
		}
		if m.InSync {
			m.Synced = now
		}
		for _, l := range s.Lint {
			m.Problems = append(m.Problems, monitor.Problem{Severity: string(l.Severity), Message: l.Message, Fix: l.Fix})
		}
		if s.Err != nil {
			m.Failing, m.Last = true, monitor.LastError{Text: monitor.Shown(s.Err), At: now}
		}
		f.Mounts = append(f.Mounts, m)
	}
	return f
}

// From returns what a cluster is read from, as a status page has it.
func From(c config.Cluster) string {
	switch {
	case c.Address != "":
		return monitor.FromNomad
	case c.JWKSURL != "":
		return monitor.FromURL
	case c.JWKSFile != "":
		return monitor.FromFile
	case c.OIDCIssuer != "":
		return monitor.FromIssuer
	}
	return ""
}

func allReadFrom(clusters []config.Cluster) map[string]string {
	from := map[string]string{}
	for _, c := range clusters {
		from[c.Name] = From(c)
	}
	return from
}

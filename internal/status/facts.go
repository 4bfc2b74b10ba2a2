package status

import (
	"errors"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Facts returns what a run of status has read.
// hint says what to do about an error.
func Facts(report *vaultsync.Report, statuses []*Mount, cfg *config.Config, now time.Time, hint func(error) string) monitor.Facts {
	var f monitor.Facts
	last := func(err error) monitor.LastError {
		return monitor.LastError{Text: monitor.Shown(err), At: now, Hint: hint(err)}
	}
	from, unread := ReadFrom(cfg.Clusters), map[pem.Owner]bool{}
	for _, r := range report.Clusters {
		c := monitor.ClusterFacts{Owner: pem.Owner{Cluster: r.Cluster, Region: r.Region}, From: from[r.Cluster], Published: -1}
		switch {
		case r.Err != nil:
			c.Failing, c.Last, unread[c.Owner] = true, last(r.Err), true
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
			m.Keys, m.Partial, m.Settings = monitor.KeysOf(s.Plan, false), len(s.Plan.Failed) > 0, len(s.Plan.Settings)
			refused := map[pem.Owner]bool{}
			for _, failed := range s.Plan.Failed {
				refused[failed.Owner] = errors.Is(failed.Err, plan.ErrTurnover)
				if !unread[failed.Owner] { // else the cluster has it
					m.Failures = append(m.Failures, monitor.SourceFailure{Owner: failed.Owner, Last: last(failed.Err)})
				}
			}
			for _, r := range report.Clusters {
				if slices.Contains(m.Clusters, r.Cluster) {
					owner := pem.Owner{Cluster: r.Cluster, Region: r.Region}
					m.Keys.AddPublished(monitor.Published(owner, r.Set), refused[owner])
				}
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
			m.Failing, m.Last = true, last(s.Err)
		}
		f.Mounts = append(f.Mounts, m)
	}
	return f
}

// ReadFrom returns what each cluster is read from, as a status page has it.
func ReadFrom(clusters []config.Cluster) map[string]string {
	from := map[string]string{}
	for _, c := range clusters {
		from[c.Name], _ = c.Source()
	}
	return from
}

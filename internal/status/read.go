package status

import (
	"context"
	"sync"

	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/internal/session"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Read returns what every mount of a session trusts. Where there are clusters, a plan has what is
// pending, and the report is its own. in asks for what bites besides; nil doesn't.
func Read(ctx context.Context, s *session.Session, in *lint.Inspection) (*vaultsync.Report, []*Mount, error) {
	report := &vaultsync.Report{Mounts: make([]*vaultsync.MountReport, len(s.Mounts))}
	if in != nil {
		in.Discovered, in.KeysAt = s.Discover(ctx), s.KeysAt
	}
	if len(s.Clusters) > 0 {
		var err error
		if report, err = s.Plan(ctx); err != nil {
			return nil, nil, err
		}
	}
	statuses := make([]*Mount, len(s.Mounts))
	var pending sync.WaitGroup
	for i, m := range s.Mounts {
		pending.Go(func() {
			known := report.Mounts[i]
			switch {
			case known != nil:
			case m.Refused != nil:
				known = m.Refused
			default:
				known = &vaultsync.MountReport{MountID: m.ID()}
			}
			report.Mounts[i], statuses[i] = of(ctx, m.Target.Mount, known)
			if in != nil && m.Target.Mount != nil {
				own := *in
				own.Clusters, own.Results, own.Settings = m.Config.Clusters, report.Clusters, m.Config.Options.Settings
				if m.Config.Relay != nil {
					own.Issuer = m.Config.Relay.Issuer
				}
				statuses[i].inspect(ctx, m.Target.Mount, own)
				report.Mounts[i].Err = statuses[i].Err
			}
		})
	}
	pending.Wait()
	return report, statuses, nil
}

package session

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/jwksharvest/harvest/internal/discover"
	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Propose reads every mount and every cluster, and returns what a setup would do to each mount.
func (s *Session) Propose(ctx context.Context) []*setup.Proposal {
	discovered := s.Discover(ctx)
	regions := onlyRegions(discovered)
	results := s.Fetch(ctx)
	proposals := make([]*setup.Proposal, len(s.Mounts))
	var pending sync.WaitGroup
	for i, m := range s.Mounts {
		pending.Go(func() {
			if m.Refused != nil {
				proposals[i] = &setup.Proposal{Plan: &setup.Plan{MountID: m.ID()}, Target: m.Target, Want: m.Config.Setup}
				proposals[i].Fail(m.Refused.Err)
			} else if err := s.refuseStrangers(m, discovered); err != nil {
				proposals[i] = &setup.Proposal{Plan: &setup.Plan{MountID: m.ID()}, Target: m.Target, Want: m.Config.Setup}
				proposals[i].Fail(m.Target.Mount.Wrap(err))
			} else {
				proposals[i] = setup.Propose(ctx, m.Target, m.Config.Setup, results)
			}
			proposals[i].Regions = regions
		})
	}
	pending.Wait()
	return proposals
}

// Apply makes mounts, policies and roles as they were proposed, and then syncs the keys of those
// mounts. It reports whether anything besides keys was made; the other results are those of Sync.
func (s *Session) Apply(ctx context.Context, proposals []*setup.Proposal) (report *vaultsync.Report, made bool, err error) {
	for i, p := range proposals {
		if p.Failure == nil {
			p.Apply(ctx)
		}
		if p.Failure != nil {
			s.Mounts[i].Refuse(p.Failure)
		}
	}
	made = slices.ContainsFunc(proposals, func(p *setup.Proposal) bool { return p.Failure == nil && p.Changed() })
	report, err = s.Sync(ctx)
	return report, made, err
}

// refuseStrangers refuses a role for the tokens of an issuer that everybody shares.
func (s *Session) refuseStrangers(m Mount, discovered []discover.Discovery) error {
	var all []error
	for _, d := range discovered {
		if slices.Contains(m.Config.Clusters, d.Cluster) {
			all = append(all, m.Config.Setup.RefuseStrangers(d.Cluster, d.Metadata.Issuer))
		}
	}
	for _, cluster := range m.Config.Clusters {
		all = append(all, m.Config.Setup.RefuseStrangers(cluster, s.KeysAt[cluster]))
	}
	return cmp.Or(all...)
}

// onlyRegions returns the names of the regions of those clusters that have one.
func onlyRegions(discovered []discover.Discovery) map[string]string {
	regions, seen := map[string]string{}, map[string]bool{}
	for _, d := range discovered {
		if d.Nomad && d.RegionName != "" && !seen[d.Cluster] {
			regions[d.Cluster] = d.RegionName
		} else {
			delete(regions, d.Cluster)
		}
		seen[d.Cluster] = true
	}
	return regions
}

// Package status tells what mounts trust and what is pending there.
package status

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Mount is what one mount trusts and what is pending there.
type Mount struct {
	vaultsync.MountID

	Trusted  []plan.Key `json:"trusted"`
	Add      []plan.Key `json:"add"`    // published, not trusted
	Adopt    []plan.Key `json:"adopt"`  // to be annotated again
	Remove   []plan.Key `json:"remove"` // trusted, no longer published
	Failed   []Failed   `json:"failed"`
	Warnings []string   `json:"warnings"`
	// Settings are what is stated of the mount and is otherwise.
	Settings []plan.Change `json:"settings"`
	// Lint is what -lint found; without it there is none.
	Lint []lint.Problem `json:"lint,omitzero"`
	// InSync is nil where it was compared with nothing.
	InSync *bool  `json:"in_sync"`
	Error  string `json:"error,omitempty"`
	Kind   string `json:"kind,omitempty"` // of Err
	Hint   string `json:"hint,omitempty"` // what to do about Err, where somebody has said so

	Plan   *plan.Plan         `json:"-"` // nil without clusters, or where there could be none
	Config mountconfig.Config `json:"-"` // as it was read
	Read   bool               `json:"-"` // the mount could be read
	Err    error              `json:"-"`
}

// Failed is a cluster, or a region of one, whose keys could not be learned.
type Failed struct {
	Cluster string `json:"cluster"`
	Region  string `json:"region"`
	Kept    int    `json:"kept"`
	Error   string `json:"error"`
	Kind    string `json:"kind"`
	Hint    string `json:"hint,omitempty"`
	Err     error  `json:"-"`
}

// of completes the status of a mount: what the plan has read or, where there is no
// plan, a read of its own.
func of(ctx context.Context, mount *vaultsync.Mount, m *vaultsync.MountReport) (*vaultsync.MountReport, *Mount) {
	s := &Mount{
		MountID: m.MountID,
		Trusted: []plan.Key{}, Add: []plan.Key{}, Adopt: []plan.Key{}, Remove: []plan.Key{},
		Failed: []Failed{}, Warnings: []string{}, Settings: []plan.Change{},
	}
	switch {
	case m.Plan != nil:
		s.Plan, s.Config, s.Read = m.Plan, m.Config, true
		s.Trusted = append(s.Trusted, m.Config.Trusted()...)
		s.Add, s.Adopt, s.Remove = append(s.Add, m.Plan.Add...), append(s.Adopt, m.Plan.Adopt...), append(s.Remove, m.Plan.Remove...)
		s.Warnings, s.Settings = append(s.Warnings, m.Plan.Warnings...), append(s.Settings, m.Plan.Settings...)
		for _, f := range m.Plan.Failed {
			s.Failed = append(s.Failed, Failed{
				Cluster: f.Cluster, Region: f.Region, Kept: f.Kept, Error: f.Err.Error(), Kind: vaultsync.Kind(f.Err), Err: f.AsError(),
			})
		}
	case mount != nil:
		config, err := mount.Read(ctx)
		if err == nil {
			s.Config, s.Read = config, true
			s.Trusted = append(s.Trusted, config.Trusted()...)
		} else if m.Err == nil {
			m.Err = err
		}
	}
	if m.Plan != nil {
		inSync := m.InSync()
		s.InSync = &inSync
	}
	s.fail(m.Err)
	SortKeys(s.Trusted)
	return m, s
}

// fail notes an error, or none.
func (s *Mount) fail(err error) {
	if err != nil {
		s.Err, s.Error, s.Kind = err, err.Error(), vaultsync.Kind(err)
	}
}

// inspect adds what bites on the mount although its keys are in sync.
func (s *Mount) inspect(ctx context.Context, mount *vaultsync.Mount, in lint.Inspection) {
	s.Lint = []lint.Problem{}
	if s.Err != nil {
		return
	}
	in.Config = s.Config
	problems, err := lint.InspectMount(ctx, mount, in)
	if err != nil {
		s.fail(err)
		return
	}
	s.Lint = append(s.Lint, problems...)
	for _, p := range problems { // a plan warns of some of it too
		s.Warnings = slices.DeleteFunc(s.Warnings, func(w string) bool { return w == p.Message })
	}
}

// SortKeys sorts by owner, foreign keys last, and then by age, the newest first.
func SortKeys(keys []plan.Key) {
	slices.SortStableFunc(keys, func(a, b plan.Key) int {
		if (a.Cluster == "") != (b.Cluster == "") {
			return strings.Compare(b.Cluster, a.Cluster)
		}
		if c := strings.Compare(a.Owner.String(), b.Owner.String()); c != 0 {
			return c
		}
		if c := b.Added.Compare(a.Added); c != 0 {
			return c
		}
		return cmp.Or(strings.Compare(a.KeyID, b.KeyID), strings.Compare(a.Fingerprint.String(), b.Fingerprint.String()))
	})
}

package vaultsync

import (
	"cmp"
	"errors"
	"time"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// MountReport is what happened to one mount.
type MountReport struct {
	MountID
	Plan       *plan.Plan         // what the sync set out to do; nil if there could be no plan
	Config     mountconfig.Config // the configuration that Plan was made for; for harvest itself
	Written    int                // writes sent that Vault didn't refuse (403); 0: there was nothing to do, or it was a dry run
	WriteTimes []time.Duration    // how long each of these took to succeed or fail
	Conflicts  int                // times that another writer undid a write
	Err        error              // a *MountError; nil: the mount holds what the plan says
	Unwritable error              // of a plan: ErrForbidden, where Vault says that the token may not write the mount

	// Last is the plan for what was last read from the mount; nil if there is none but Plan. They
	// differ if the sync was tried again, because another writer undid it or a cluster changed
	// meanwhile. After a Sync without an error nothing is left to do, and Keep, Claimed and Foreign
	// of Last are what the mount holds.
	Last *plan.Plan
	// Done reports whether Last was carried out: Vault took its write, or there was nothing to do.
	Done bool

	clusters []string // of the Harvester's target
}

func (m *Mount) report() *MountReport {
	return &MountReport{MountID: m.ID()}
}

// Failure joins what keeps the mount from being in sync after a sync: a *[jwks.ClusterError] for
// each cluster or region whose keys it keeps, and Err. It is nil if nothing does.
func (r *MountReport) Failure() error {
	var all []error
	if last := cmp.Or(r.Last, r.Plan); last != nil {
		for _, f := range last.Failed {
			all = append(all, f.AsError())
		}
	}
	return errors.Join(append(all, r.Err)...)
}

// InSync reports whether the mount trusts exactly what its clusters publish: all were read, and
// nothing is left to do.
func (r *MountReport) InSync() bool {
	last := cmp.Or(r.Last, r.Plan)
	return r.Err == nil && last != nil && len(last.Failed) == 0 && !last.Changed
}

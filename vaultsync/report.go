package vaultsync

import (
	"cmp"
	"errors"
	"time"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// MountReport is what became of one mount.
type MountReport struct {
	MountID
	Plan       *plan.Plan         // what the sync set out to do; nil where there could be no plan
	Config     mountconfig.Config // the configuration that Plan was made for
	Written    int                // writes sent that Vault didn't refuse (403); 0: nothing was to be done, or the sync was a dry run
	WriteTimes []time.Duration    // how long each of these took to be answered, or to fail
	Conflicts  int                // times that another writer undid a write
	Err        error              // a *MountError; nil: the mount holds what the plan says
	Unwritable error              // of a plan: ErrForbidden, where Vault says that the token may not write the mount

	// Last is the plan of what was read of the mount last; nil where there is none but Plan. A sync
	// that was tried again, because another writer undid it or a cluster changed meanwhile, made
	// others before. After a Sync without an error nothing is left to do, and Keep, Claimed and
	// Foreign of Last are what the mount holds.
	Last *plan.Plan
	// Done reports whether Last was carried out: Vault took its write, or there was nothing to do.
	Done bool

	synced   bool     // by Mount.Sync, without an error
	clusters []string // of the Harvester's target
}

func (m *Mount) report() *MountReport {
	return &MountReport{MountID: m.ID()}
}

// failure joins what keeps the mount from being in sync, if anything does.
func (r *MountReport) failure() error {
	var all []error
	if last := cmp.Or(r.Last, r.Plan); last != nil {
		for _, f := range last.Failed {
			all = append(all, f.AsError())
		}
	}
	return errors.Join(append(all, r.Err)...)
}

// InSync reports whether the mount trusts just what its clusters publish: all were read, and
// nothing is left to do.
func (r *MountReport) InSync() bool {
	last := cmp.Or(r.Last, r.Plan)
	return r.Err == nil && last != nil && len(last.Failed) == 0 && (r.synced || !last.Changed)
}

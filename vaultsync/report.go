package vaultsync

import "time"

// MountReport is what became of one mount.
type MountReport struct {
	MountID
	Plan       *Plan           // what the sync set out to do; nil where there could be no plan
	Written    int             // writes sent that Vault didn't refuse (403); 0: nothing was to be done, or the sync was a dry run
	WriteTimes []time.Duration // how long each of these took to be answered, or to fail
	Conflicts  int             // times that another writer undid a write
	Err        error           // a *MountError; nil: the mount holds what the plan says

	synced   bool     // by Mount.Sync, without an error
	clusters []string // of the Harvester's target
	last     *Plan
	done     bool // Vault took last's write, or there was nothing to write
}

func (m *Mount) report() *MountReport {
	return &MountReport{MountID: m.ID()}
}

// InSync reports whether the mount trusts just what its clusters publish: all were read, and
// nothing is left to do.
func (r *MountReport) InSync() bool {
	plan, _ := r.Last()
	return r.Err == nil && plan != nil && len(plan.Failed) == 0 && (r.synced || !plan.Changed)
}

// Last returns the plan of what was read of the mount last, and whether it was carried out:
// Vault took its write, or there was nothing to do. A sync that was tried again, because
// another writer undid it or a cluster changed meanwhile, made others before. After a Sync
// without an error nothing is left to do, and Keep, Claimed and Foreign are what the mount
// holds. It is nil where there could be no plan.
func (r *MountReport) Last() (plan *Plan, done bool) {
	if r.last == nil {
		return r.Plan, r.Plan != nil && !r.Plan.Changed
	}
	return r.last, r.done
}

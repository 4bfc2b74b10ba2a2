package vaultsync

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

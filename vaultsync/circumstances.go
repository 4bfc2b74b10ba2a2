package vaultsync

import "github.com/jwksharvest/harvest/internal/verdicts"

// circumstances are what a plan depends on besides the mount, its clusters and its rules. The
// zero value is that of a plan by itself.
type circumstances struct {
	// history is what a watch has seen of the mount's keys; nil: no watch.
	history *keyHistory
	// verdicts are known of the keys, so that a plan takes a short time. What was never looked at,
	// and all where it is nil, is judged by the plan.
	verdicts *verdicts.Known
	// early: not all clusters have answered yet, and another sync comes when they have. That one
	// removes what isn't denied.
	early bool
	// leaveSettings plans none of Options.Settings and no default role: another writer insists on
	// others, and keys are not to wait.
	leaveSettings bool
}

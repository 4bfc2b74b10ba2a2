package vaultsync

import (
	"slices"
	"time"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// pace keeps the writes of one mount apart while it is watched: a cluster that publishes other
// keys every second would have the whole configuration written as often.
type pace struct {
	full time.Time // when as many writes in a row as may be are free again
	left []string  // the list as the last write left it; nil: there was none
}

const (
	paceBurst = 10              // writes in a row without a pause, so that a change is written at once
	paceGap   = 3 * time.Second // between two after these
)

// pause returns how long a plan has to wait before it is written. A denied key goes at once, and
// so does what mends another writer's doing.
func (p *pace) pause(current mountconfig.Config, planned *plan.Plan, now time.Time) time.Duration {
	if p == nil || p.left == nil || !sameElements(p.left, current.Keys()) ||
		slices.ContainsFunc(planned.Remove, func(k plan.Key) bool { return k.Reason == plan.ReasonDenied }) {
		return 0
	}
	return p.full.Add(-(paceBurst - 1) * paceGap).Sub(now)
}

// wrote takes in that a plan was written, or may have been.
func (p *pace) wrote(plan *plan.Plan, at time.Time) {
	if p == nil {
		return
	}
	p.left = plan.Next
	if p.full.Before(at) {
		p.full = at
	}
	p.full = p.full.Add(paceGap)
}

// sameElements reports whether two lists have the same elements, in whatever order.
func sameElements(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

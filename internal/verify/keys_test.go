package verify

import (
	"context"
	"errors"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Keys by name.
var (
	now         = fakekeys.Now
	publish     = fakekeys.Publish
	trust       = fakekeys.Trust
	paste       = fakekeys.Paste
	down        = fakekeys.Down
	missing     = fakekeys.Missing
	fingerprint = fakekeys.Fingerprint
)

// config is that of a mount that trusts elements.
func config(elements ...string) mountconfig.Config {
	return mountconfig.New(fixture.Mount(elements...))
}

// nomadRole is the role that Nomad suggests, with a change.
func nomadRole(change object) *jwtrole.Role { return jwtrole.New("workloads", fixture.Role(change)) }

// elementList is a vaultsync.Store of these elements, on which a plan is made.
type elementList []string

// Read returns the elements.
func (l elementList) Read(context.Context) ([]string, error) { return l, nil }

// Planned takes any plan.
func (elementList) Planned(context.Context, *plan.Plan) error { return nil }

// Write refuses.
func (elementList) Write(context.Context, *plan.Plan) error { return errors.New("only planned on") }

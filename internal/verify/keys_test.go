package verify

import (
	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/vaultsync"
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
func config(elements ...string) vaultsync.Config {
	return vaultsync.NewConfig(fixture.Mount(elements...))
}

// nomadRole is the role that Nomad suggests, with a change.
func nomadRole(change object) *jwtrole.Role { return jwtrole.New("workloads", fixture.Role(change)) }

package lint

import (
	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/mountconfig"
)

// Keys by name.
var (
	now     = fakekeys.Now
	publish = fakekeys.Publish
	trust   = fakekeys.Trust
	paste   = fakekeys.Paste
	down    = fakekeys.Down
	added   = fakekeys.Added
	errDown = fakekeys.ErrDown
	signs   = fakekeys.Signs
)

// config is that of a mount that trusts elements.
func config(elements ...string) mountconfig.Config {
	return mountconfig.New(fixture.Mount(elements...))
}

type object = fixture.Object

func nomadRole(change object) *jwtrole.Role { return jwtrole.New("workloads", fixture.Role(change)) }

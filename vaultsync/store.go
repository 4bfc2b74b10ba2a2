package vaultsync

import (
	"context"
	"errors"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Store keeps a list of annotated elements elsewhere than on a Vault mount: see [Mount.Store]. It
// is used from one goroutine at a time.
type Store interface {
	// Read returns the list, which is empty where nothing was ever written.
	Read(ctx context.Context) ([]string, error)
	// Planned is called for each plan that a sync makes from what Read returned last, before the
	// plan is written if it is Changed. An error ends the sync.
	Planned(ctx context.Context, p *plan.Plan) error
	// Write replaces the list with the plan's Next. After an error the list is what it was, or
	// Next.
	Write(ctx context.Context, p *plan.Plan) error
}

// errNoVault: what only a Vault answers was asked of a Store.
var errNoVault = errors.New("its keys are in no Vault")

// list returns what the store holds as the Config of a mount that has keys and nothing else.
func (m *Mount) list(ctx context.Context) (mountconfig.Config, error) {
	elements, err := m.Store.Read(ctx)
	if err != nil {
		return mountconfig.Config{}, err
	}
	return mountconfig.Config{Fields: map[string]any{keysField: elements}, Stored: true}, nil
}

package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/vaultauth"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Options say how configurations are run.
type Options struct {
	Log     *slog.Logger
	Now     func() time.Time
	Watch   vaultsync.WatchOptions
	Reading config.Reading // of the clusters
	Getenv  func(string) string
	Hint    func(error) string // what to do about an error; "" is nothing
}

// login keeps a Vault's client in possession of a token. It is a [vaultauth.Keeper].
type login interface {
	Name() string            // of the Vault, as the log has it
	Client() *api.Client     // whose token Run keeps
	Run(ctx context.Context) // until ctx ends
	Tried() <-chan struct{}  // closed after the first try
	Report(err error)        // hears how each sync with the token ended
}

// keeper returns a login that calls tell with how each try ended.
func (o Options) keeper(v config.Vault, tell func(error)) (login, error) {
	k, err := vaultauth.NewKeeper(v, o.Getenv, o.Log, tell)
	if err != nil {
		return nil, fmt.Errorf("vault block %q: %w", cmp.Or(v.Name, v.Address), err)
	}
	return k, nil
}

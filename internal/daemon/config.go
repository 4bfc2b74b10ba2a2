package daemon

import (
	"context"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/relay"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Config is what is to run. What of it is equal to what runs already goes on through a reload.
type Config struct {
	Clusters []Cluster
	Vaults   []Vault
	Mounts   []Mount
	Hint     func(error) string // what to do about an error; "" is nothing
}

// Cluster is a cluster of a configuration.
type Cluster struct {
	Name  string
	From  string              // what it is read from, as a status page has it
	Of    any                 // what it is made from; reflect.DeepEqual tells whether it is another
	Files []string            // of its TLS; another size or time of one makes it another cluster
	Make  func() jwks.Cluster // called where a watch of it begins
}

// Vault is a Vault and a login there.
type Vault struct {
	Of    any      // as of a cluster
	Files []string // likewise
	// Make returns a login that calls tell with how each try ended.
	Make func(tell func(error)) (Login, error)
}

// Login keeps a Vault's client in possession of a token.
type Login interface {
	Name() string            // of the Vault, as the log has it
	Client() *api.Client     // whose token Run keeps
	Run(ctx context.Context) // until ctx ends
	Tried() <-chan struct{}  // closed after the first try
	Report(err error)        // hears how each sync with the token ended
}

// Mount is a mount of a configuration.
type Mount struct {
	Vault     int // in Config.Vaults
	Namespace string
	Path      string
	Clusters  []string
	Options   vaultsync.Options
	Of        any // as of a cluster, less its place and its Vault
	// Relay makes the relay, where it is one and no mount of a Vault; else nil.
	Relay func(now time.Time) *relay.Relay
}

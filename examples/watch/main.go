// Command watch keeps a Vault mount equal to what one Nomad cluster publishes, until it is
// interrupted: harvest's watch as a library.
//
//	VAULT_ADDR=… VAULT_TOKEN=… watch us-east https://nomad.example.com:4646 jwt-nomad
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: watch CLUSTER NOMAD-ADDRESS MOUNT")
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := watch(ctx, os.Stdout, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "watch:", err)
		os.Exit(1) //nolint:gocritic // there is nothing left to stop
	}
}

func watch(ctx context.Context, out io.Writer, cluster, address, mount string) error {
	vault, err := api.NewClient(nil) // VAULT_ADDR, VAULT_TOKEN and the rest
	if err != nil {
		return err
	}
	harvester := vaultsync.Harvester{
		Clusters: []jwks.Cluster{{Name: cluster, Sources: []jwks.Source{jwks.Nomad{Address: address}}}},
		Targets: []vaultsync.Target{{
			Mount:    vaultsync.NewMount(vault, mount),
			Clusters: []string{cluster},
			Options: vaultsync.Options{OnEvent: func(e vaultsync.Event) {
				fmt.Fprintln(out, e.Kind, e.Key.Cluster, e.Key.KeyID, e.Key.Reason, e.Err)
			}},
		}},
	}
	return harvester.Watch(ctx, vaultsync.WatchOptions{}) // failures are events; only ctx ends it
}

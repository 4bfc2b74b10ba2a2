// Command oneshot makes a Vault mount trust what one Nomad cluster publishes: harvest as a
// library, in one screen.
//
//	VAULT_ADDR=… VAULT_TOKEN=… oneshot us-east https://nomad.example.com:4646 jwt-nomad
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: oneshot CLUSTER NOMAD-ADDRESS MOUNT")
		os.Exit(1)
	}
	if err := sync(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "oneshot:", err)
		os.Exit(1)
	}
}

func sync(ctx context.Context, cluster, address, mount string) error {
	vault, err := api.NewClient(nil) // VAULT_ADDR, VAULT_TOKEN and the rest
	if err != nil {
		return err
	}
	harvester := vaultsync.Harvester{
		Clusters: []jwks.Cluster{{Name: cluster, Sources: []jwks.Source{jwks.Nomad{Address: address}}}},
		Targets:  []vaultsync.Target{{Mount: vaultsync.NewMount(vault, mount), Clusters: []string{cluster}}},
	}
	report, err := harvester.Sync(ctx)
	if err != nil {
		return err
	}
	plan := report.Mounts[0].Plan
	fmt.Printf("%s: %d keys added, %d removed, %d kept\n", mount, len(plan.Add), len(plan.Remove), len(plan.Keep))
	return nil
}

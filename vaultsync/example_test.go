package vaultsync_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/jwks/jwkstest"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
	"github.com/jwksharvest/harvest/vaultsync/vaultsynctest"
)

// run runs a test of yours.
func run(test func(t *testing.T)) {
	testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "Test", F: test}})
}

// Two clusters and one mount. Where harvest runs for real, the sources are jwks.Nomad with the
// addresses of the agents, and the mount is vaultsync.NewMount of a client that is made from
// Vault's environment variables.
func Example() {
	run(func(t *testing.T) {
		nomad, vault := jwkstest.NewNomad(t), vaultsynctest.New(t)
		harvester := vaultsync.Harvester{
			Clusters: []jwks.Cluster{
				{Name: "us-east", Sources: []jwks.Source{nomad.Source("")}},
				{Name: "edge", Sources: []jwks.Source{jwks.File("/nonexistent/edge.json")}},
			},
			Targets: []vaultsync.Target{
				{Mount: vault.Mount("jwt-nomad"), Clusters: []string{"us-east", "edge"}},
			},
		}
		report, err := harvester.Sync(t.Context())
		for _, mount := range report.Mounts {
			for _, key := range mount.Plan.Add {
				fmt.Println("added a key of", key.Cluster, "that signs with", key.Algorithm)
			}
		}
		fmt.Println("in sync:", report.InSync())
		fmt.Println(err)
	})
	// Output:
	// added a key of us-east that signs with RS256
	// in sync: false
	// cluster "edge": key set: open /nonexistent/edge.json: no such file or directory
}

// What a sync would do, with keys from wherever. A cluster that could not be read keeps what is
// trusted for it.
func ExampleMount_Plan() {
	run(func(t *testing.T) {
		mount := vaultsynctest.New(t).Mount("jwt-nomad")
		set, err := jwkstest.NewNomad(t).Source("").Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := plan.Desired{
			Clusters: []string{"us-east", "eu-west"},
			Results: []jwks.Result{
				{Cluster: "us-east", Set: set},
				{Cluster: "eu-west", Err: errors.New("no route to host")},
			},
		}
		report, err := mount.Plan(t.Context(), want, vaultsync.Options{})
		for _, key := range report.Plan.Add {
			fmt.Println("+", key.Cluster, key.Reason)
		}
		fmt.Println(err)
	})
	// Output:
	// + us-east published, not yet trusted
	// cluster "eu-west": no route to host
}

// A watch syncs at once, whenever a cluster's keys change, and until its context ends.
func ExampleHarvester_Watch() {
	run(func(t *testing.T) {
		nomad, vault := jwkstest.NewNomad(t), vaultsynctest.New(t)
		harvester := vaultsync.Harvester{
			Clusters: []jwks.Cluster{{Name: "us-east", Sources: []jwks.Source{nomad.Source("")}}},
			Targets:  []vaultsync.Target{{Mount: vault.Mount("jwt-us-east"), Clusters: []string{"us-east"}}},
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		harvester.OnEvent = func(e vaultsync.Event) {
			switch e.Kind {
			case vaultsync.EventAdded, vaultsync.EventRemoved:
				fmt.Println(e.Kind, "a key of", e.Owner)
			case vaultsync.EventSynced:
				fmt.Println(e.Mount.Path, "in sync:", e.Report.InSync())
				cancel() // where harvest runs for real, a signal does
			}
		}
		fmt.Println(harvester.Watch(ctx, vaultsync.WatchOptions{}))
	})
	// Output:
	// added a key of us-east
	// jwt-us-east in sync: true
	// <nil>
}

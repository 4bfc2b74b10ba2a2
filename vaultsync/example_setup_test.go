package vaultsync_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Make a mount, with a role and a policy, for the workloads of a cluster; then give it the
// cluster's keys. A second run finds nothing to do.
func ExampleMount_ApplySetup() {
	vault := fakevault.Start() // stands for a Vault; NewMount takes a client of vault/api
	defer vault.Close()
	mount := vaultsync.NewMount(vault.Client(), "jwt-us-east")
	set, err := jwks.Parse([]byte(document))
	if err != nil {
		log.Fatal(err)
	}

	ctx, setup := context.Background(), vaultsync.Setup{}
	plan, err := mount.PlanSetup(ctx, setup)
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range plan.Steps {
		fmt.Println(step.Action, step.Kind, step.Name)
	}
	if _, err := mount.ApplySetup(ctx, plan); err != nil {
		log.Fatal(err)
	}
	report, err := vaultsync.Sync(ctx, mount, "us-east", set, vaultsync.Options{DefaultRole: setup.DefaultRole(), Settle: 300 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("in sync:", report.InSync())

	again, err := mount.PlanSetup(ctx, setup)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("to do:", again.Changed())
	// Output:
	// create mount jwt-us-east
	// create policy nomad-workloads.jwt-us-east
	// create role nomad-workloads
	// in sync: true
	// to do: false
}

// Ask what will bite on a mount although its keys are in sync. Here its algorithms leave out
// that of the cluster's key.
func ExampleMount_Inspect() {
	vault := fakevault.Start()
	defer vault.Close()
	vault.Enable("", "jwt-nomad", "jwt")
	set, err := jwks.Parse([]byte(document))
	if err != nil {
		log.Fatal(err)
	}
	element, err := pem.Encode(set.Keys[0].Public)
	if err != nil {
		log.Fatal(err)
	}
	if err := vault.WriteConfig("", "jwt-nomad", map[string]any{
		"jwt_supported_algs": []string{"RS256"}, "jwt_validation_pubkeys": []string{string(element)},
	}); err != nil {
		log.Fatal(err)
	}
	ctx, mount := context.Background(), vaultsync.NewMount(vault.Client(), "jwt-nomad")
	if _, err := vaultsync.Sync(ctx, mount, "us-east", set, vaultsync.Options{Settle: 300 * time.Millisecond}); !errors.Is(err, vaultsync.ErrAlgorithm) {
		log.Fatal(err)
	}

	problems, err := mount.Inspect(ctx, vaultsync.Inspection{
		Now:      time.Now(),
		Path:     "jwt-nomad",
		Clusters: []string{"us-east"},
		Results:  []jwks.Result{{Cluster: "us-east", Set: set}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range problems {
		fmt.Println(p.Severity, p.Lint, p.Cluster) // p.Message and p.Fix say more
	}
	// Output:
	// error algorithm us-east
}

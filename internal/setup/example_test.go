package setup_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Make a mount, with a role and a policy, for the workloads of a cluster; then give it the
// cluster's keys. A second run finds nothing to do.
func ExampleApply() {
	vault := fakevault.Start() // stands for a Vault; NewMount takes a client of vault/api
	defer vault.Close()
	mount := vaultsync.NewMount(vault.Client(), "jwt-us-east")
	set, err := jwks.Parse([]byte(document))
	if err != nil {
		log.Fatal(err)
	}

	ctx, want := context.Background(), setup.Setup{}
	planned, err := setup.NewPlan(ctx, mount, want)
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range planned.Steps {
		fmt.Println(step.Action, step.Kind, step.Name)
	}
	if _, err := setup.Apply(ctx, mount, planned); err != nil {
		log.Fatal(err)
	}
	keys := plan.Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{{Cluster: "us-east", Set: set}}}
	report, err := mount.Sync(ctx, keys, vaultsync.Options{DefaultRole: want.DefaultRole(), Settle: 300 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("in sync:", report.InSync())

	again, err := setup.NewPlan(ctx, mount, want)
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

// document is what a Nomad cluster publishes.
const document = `{"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "3f0fccd0",
  "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

package lint_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Ask what will bite on a mount although its keys are in sync. Here its algorithms leave out
// that of the cluster's key.
func ExampleInspectMount() {
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
	want := plan.Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{{Cluster: "us-east", Set: set}}}
	if _, err := mount.Sync(ctx, want, vaultsync.Options{Settle: 300 * time.Millisecond}); !errors.Is(err, vaultsync.ErrAlgorithm) {
		log.Fatal(err)
	}

	problems, err := lint.InspectMount(ctx, mount, lint.Inspection{
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

// document is what a Nomad cluster publishes.
const document = `{"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "3f0fccd0",
  "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

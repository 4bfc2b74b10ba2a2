package vaultsync_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// document is what a Nomad cluster publishes.
const document = `{"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "3f0fccd0",
  "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// Two clusters and one mount. Where harvest runs for real, the addresses are those of the
// agents, and the client is made from Vault's environment variables.
func Example() {
	nomad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, document)
	}))
	defer nomad.Close()
	vault := fakevault.Start()
	defer vault.Close()
	vault.Enable("", "jwt-nomad", "jwt")
	var client *api.Client = vault.Client()

	harvester := vaultsync.Harvester{
		Clusters: []jwks.Cluster{
			{Name: "us-east", Sources: []jwks.Source{jwks.Nomad{Address: nomad.URL}}},
			{Name: "edge", Sources: []jwks.Source{jwks.File("/nonexistent/edge.json")}},
		},
		Targets: []vaultsync.Target{
			{Mount: vaultsync.NewMount(client, "jwt-nomad"), Clusters: []string{"us-east", "edge"}},
		},
	}
	report, err := harvester.Sync(context.Background())
	for _, mount := range report.Mounts {
		for _, key := range mount.Plan.Add {
			fmt.Println("added", key.Cluster, key.KeyID, key.Algorithm)
		}
	}
	fmt.Println("in sync:", report.InSync())
	fmt.Println(err)
	// Output:
	// added us-east 3f0fccd0 EdDSA
	// in sync: false
	// cluster "edge": key set: open /nonexistent/edge.json: no such file or directory
}

// A plan is a pure function: what to write, and why, from what was read.
func ExampleNewPlan() {
	set, err := jwks.Parse([]byte(document))
	if err != nil {
		panic(err)
	}
	want := plan.Desired{
		Clusters: []string{"us-east", "eu-west"},
		Results: []jwks.Result{
			{Cluster: "us-east", Set: set},
			{Cluster: "eu-west", Err: errors.New("no route to host")},
		},
	}
	current := vaultsync.NewConfig(map[string]any{"default_role": "nomad-workloads"})
	plan, err := vaultsync.NewPlan(current, want, vaultsync.Options{Now: time.Now()})
	if err != nil {
		panic(err)
	}
	for _, key := range plan.Add {
		fmt.Println("+", key.Cluster, key.KeyID, key.Reason)
	}
	for _, failure := range plan.Failed {
		fmt.Println("!", failure.Cluster, failure.Err)
	}
	body, err := current.With(plan)
	fmt.Println(len(body["jwt_validation_pubkeys"].([]string)), body["default_role"], err)
	// Output:
	// + us-east 3f0fccd0 published, not yet trusted
	// ! eu-west no route to host
	// 1 nomad-workloads <nil>
}

// A watch syncs at once, whenever a cluster's keys change, and until its context ends.
func ExampleHarvester_Watch() {
	nomad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, document)
	}))
	defer nomad.Close()
	vault := fakevault.Start()
	defer vault.Close()
	vault.Enable("", "jwt-us-east", "jwt")

	harvester := vaultsync.Harvester{
		Clusters: []jwks.Cluster{{Name: "us-east", Sources: []jwks.Source{jwks.Nomad{Address: nomad.URL}}}},
		Targets:  []vaultsync.Target{{Mount: vaultsync.NewMount(vault.Client(), "jwt-us-east"), Clusters: []string{"us-east"}}},
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	harvester.OnEvent = func(e vaultsync.Event) {
		switch e.Kind {
		case vaultsync.EventAdded, vaultsync.EventRemoved:
			fmt.Println(e.Kind, e.Key.KeyID, "of", e.Owner)
		case vaultsync.EventSynced:
			fmt.Println(e.Mount.Path, "in sync:", e.Report.InSync())
			cancel() // where harvest runs for real, a signal does
		}
	}
	err := harvester.Watch(ctx, vaultsync.WatchOptions{})
	fmt.Println(err)
	// Output:
	// added 3f0fccd0 of us-east
	// jwt-us-east in sync: true
	// <nil>
}

package vaultsync_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
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

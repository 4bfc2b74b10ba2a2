package jwks_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/jwksharvest/harvest/jwks"
)

// Fetch the keys that a region of a Nomad cluster publishes.
func Example() {
	nomad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "testdata/nomad-upgraded.json") // stands for an agent
	}))
	defer nomad.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	set, err := jwks.Nomad{Address: nomad.URL, Region: "eu-west"}.Fetch(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, key := range set.Keys {
		fmt.Printf("%s %s %T\n", key.KeyID, key.Algorithms, key.Public)
	}
	// Output:
	// fd33f64f-4b8e-0f2c-4b6e-6a4d2e4a6c1d [EdDSA] ed25519.PublicKey
	// 3f0fccd0-2a8e-4bd1-b1ea-8a1c1a7e4f10 [RS256] *rsa.PublicKey
	// 80ef5b3f-77f1-1c8a-60a7-52b7a3f6f1d2 [RS256] *rsa.PublicKey
}

// Judge a document that is at hand already, and see why members of it aren't used.
func ExampleParse() {
	document, err := os.ReadFile("testdata/rfc7517-a1.json")
	if err != nil {
		log.Fatal(err)
	}
	set, err := jwks.Parse(document)
	var none *jwks.NoKeysError
	switch {
	case errors.As(err, &none):
		log.Fatalf("none of %d members is usable", len(none.Skipped))
	case err != nil:
		log.Fatal(err)
	}
	for _, key := range set.Keys {
		fmt.Println("use", key.KeyID)
	}
	for _, skipped := range set.Skipped {
		fmt.Println("leave", skipped)
	}
	// Output:
	// use 2011-04-29
	// leave key 0 (kid "1"): use: use "enc" is not for signatures on tokens
}

// Follow a document, and stop at its first set. Errors are yielded too, and end nothing.
func ExampleWatch() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cluster := jwks.Cluster{Name: "docs", Sources: []jwks.Source{jwks.File("testdata/nomad-docs.json")}}
	for r := range jwks.Watch(ctx, cluster, jwks.WatchOptions{}) {
		if r.Err != nil {
			fmt.Println("not read, and asked again:", r.Err)
			continue
		}
		fmt.Println(len(r.Set.Keys), "key")
		break
	}
	// Output:
	// 1 key
}

// Ask a cluster what it says of its tokens.
func ExampleNomad_Discover() {
	var issuer string
	nomad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": %q, "id_token_signing_alg_values_supported": ["EdDSA", "RS256"]}`,
			issuer, issuer+"/.well-known/jwks.json")
	}))
	defer nomad.Close()
	issuer = nomad.URL

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	metadata, err := jwks.Nomad{Address: nomad.URL}.Discover(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(metadata.Issuer == issuer, metadata.Algorithms)
	// Output:
	// true [EdDSA RS256]
}

// Keys that come from a place of one's own are judged as those of a cluster are.
func ExampleSourceFunc() {
	partner := jwks.SourceFunc(func(context.Context) (*jwks.Set, error) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // where yours come from
		if err != nil {
			return nil, err
		}
		return jwks.NewSet(jwks.Key{KeyID: "ours", Public: &private.PublicKey})
	})
	results := jwks.FetchAll(context.Background(), []jwks.Cluster{{Name: "partner", Sources: []jwks.Source{partner}}}, nil)
	for _, r := range results {
		fmt.Println(r.Cluster, r.Set.Keys[0].KeyID)
	}
	// Output: partner ours
}

// Log each question to a source. A Nomad that is wrapped still holds a watch's questions.
func ExampleWrap() {
	source := jwks.Wrap(jwks.File("testdata/nomad-docs.json"),
		func(ctx context.Context, fetch func(context.Context) (*jwks.Set, error)) (*jwks.Set, error) {
			set, err := fetch(ctx)
			if err != nil {
				return nil, err
			}
			fmt.Println("read", len(set.Keys), "key")
			return set, nil
		})
	if _, err := source.Fetch(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: read 1 key
}

// traced is an http.RoundTripper that numbers the requests that pass through it.
type traced struct {
	next http.RoundTripper
	sent *int
}

func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	*t.sent++
	fmt.Println("request", *t.sent, r.Method, r.URL.Path)
	return t.next.RoundTrip(r)
}

// See each request of a source, retries, redirects and discovery included: decorate its transport.
// What the transport does must show in Response.TLS, which reports whether the server was verified.
func ExampleClient_roundTripper() {
	nomad := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "testdata/nomad-docs.json") // stands for an agent
	}))
	defer nomad.Close()

	client := &jwks.Client{HTTPClient: &http.Client{
		Transport: traced{next: nomad.Client().Transport, sent: new(int)},
	}}
	set, err := jwks.Nomad{Address: nomad.URL, Client: client}.Fetch(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(set.Keys), "key")
	// Output:
	// request 1 GET /.well-known/jwks.json
	// 1 key
}

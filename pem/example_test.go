package pem_test

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/jwksharvest/harvest/pem"
)

// One element of jwt_validation_pubkeys that says whose key it is.
func Example() {
	public := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public()
	block := pem.Block{
		Public: public,
		Annotation: pem.Annotation{
			Version: pem.Version, Cluster: "us-east", KeyID: "3f0fccd0", Algorithms: []string{"EdDSA"},
			Added: time.Date(2026, 11, 22, 10, 43, 34, 0, time.UTC),
		},
	}
	element, err := block.MarshalText()
	if err != nil {
		panic(err)
	}
	fmt.Println(string(element))
	fmt.Println(block.Fingerprint().Short())
	// Output:
	// harvest/1 cluster="us-east" region="" kid="3f0fccd0" alg="EdDSA" added="2026-11-22T10:43:34Z"
	// -----BEGIN PUBLIC KEY-----
	// MCowBQYDK2VwAyEAO2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=
	// -----END PUBLIC KEY-----
	// sha256:339e2ff9
}

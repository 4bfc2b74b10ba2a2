package jwkstest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad/conformance"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/jwks/jwkstest"
)

// What a real agent is held to in the lab.
func TestNomadConforms(t *testing.T) {
	n := jwkstest.NewNomad(t, "us-east", "eu-west")
	conformance.Run(t, conformance.Agent{
		Address:    n.Listen(),
		Region:     "us-east",
		Other:      "eu-west",
		Rotate:     func(context.Context) (string, error) { return n.Rotate(""), nil },
		Prepublish: func(context.Context) (string, error) { return n.Rotate("us-east"), nil },
		Remove:     func(_ context.Context, kid string) error { n.Remove("us-east", kid); return nil },
	})
}

func TestNomadHoldsQueriesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := jwkstest.NewNomad(t)
		began := time.Now()
		time.AfterFunc(time.Hour, func() { n.Rotate("") })
		sets := 0
		for r := range jwks.Watch(t.Context(), jwks.Cluster{Sources: []jwks.Source{n.Source("")}}, jwks.WatchOptions{}) {
			require.NoError(t, r.Err)
			if r.Unchanged {
				continue
			}
			if sets++; sets == 2 {
				assert.Len(t, r.Set.Keys, 2)
				break
			}
		}
		assert.Equal(t, time.Hour, time.Since(began))
	})
}

func TestRegionFails(t *testing.T) {
	n := jwkstest.NewNomad(t, "us-east", "eu-west")
	regions := func() []string {
		names, err := n.Source("").Regions(t.Context())
		require.NoError(t, err)
		return names
	}
	assert.Equal(t, []string{"eu-west", "us-east"}, regions())
	n.Fail("eu-west", true)
	assert.Equal(t, []string{"us-east"}, regions())
	_, err := n.Source("eu-west").Fetch(t.Context())
	require.ErrorContains(t, err, "No path to region")
	n.Fail("eu-west", false)
	assert.Len(t, regions(), 2)
}

func TestServer(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key := jwks.Key{KeyID: "k1", Algorithms: []string{"ES256"}, Use: "sig", Public: &private.PublicKey}
	s := jwkstest.NewServer(t, key)
	set, err := s.Source().Fetch(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []jwks.Key{key}, set.Keys)
	s.Publish()
	_, err = s.Source().Fetch(t.Context())
	require.ErrorIs(t, err, jwks.ErrNoKeys)
	s.Fail(http.StatusForbidden)
	_, err = s.Source().Fetch(t.Context())
	require.ErrorContains(t, err, "403")
	s.Fail(0)
	s.Publish(key)
	_, err = jwks.URL(s.Listen(), nil).Fetch(t.Context())
	require.NoError(t, err)
	assert.Panics(t, func() { s.Publish(jwks.Key{Public: 1}) })
}

// Test a program against a Nomad that rotates, without one.
func ExampleNewNomad() {
	test := func(t *testing.T) { // yours
		nomad := jwkstest.NewNomad(t)
		before, err := nomad.Source("").Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		nomad.Rotate("")
		after, err := nomad.Source("").Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(len(before.Keys), "key, then", len(after.Keys))
	}
	testing.RunTests(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "TestRotation", F: test}})
	// Output: 1 key, then 2
}

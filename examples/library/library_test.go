package library

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/jwks/jwkstest"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
	"github.com/jwksharvest/harvest/vaultsync/vaultsynctest"
)

// TestPage: the programs that docs/library.md shows are those that run here.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/library.md")
	require.NoError(t, err)
	var code string
	for _, name := range []string{"library.go", "library_test.go"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		code += string(text)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, blocks)
	shown := ""
	for _, b := range blocks {
		assert.Contains(t, code, b[1])
		shown += b[1]
	}
	for _, f := range regexp.MustCompile(`(?m)^func (?:\(\w+ \*?\w+\) )?(\w+)\(`).FindAllStringSubmatch(code, -1) {
		if f[1] != "publishes" && !strings.HasPrefix(f[1], "Test") || f[1] == "TestRotation" {
			assert.Contains(t, shown, f[0], "run, and not shown")
		}
	}
}

func TestTrust(t *testing.T) {
	vault, east, west := vaultsynctest.New(t), jwkstest.NewNomad(t), jwkstest.NewNomad(t)
	vault.Listen()
	mount := vault.Mount("jwt-nomad")
	addresses := map[string]string{"us-east": east.Listen(), "us-west": west.Listen()}
	require.NoError(t, trust(t.Context(), mount.Client, "jwt-nomad", addresses))
	assert.Len(t, vault.Keys("jwt-nomad"), 2)
	require.NoError(t, list(t.Context(), mount))
	trusted, err := mount.Trusted(t.Context())
	require.NoError(t, err)
	require.Len(t, trusted, 2)
	assert.ElementsMatch(t, []string{"us-east", "us-west"}, []string{trusted[0].Cluster, trusted[1].Cluster})
	addresses["us-west"] = "http://127.0.0.1:1"
	east.Rotate("")
	require.ErrorContains(t, trust(t.Context(), mount.Client, "jwt-nomad", addresses), "us-west")
	assert.Len(t, vault.Keys("jwt-nomad"), 3, "one that is away costs nobody else anything")
	require.ErrorIs(t, trust(t.Context(), mount.Client, "jwt-nomad", nil), plan.ErrInvalid)
}

func TestServe(t *testing.T) {
	vault, nomad := vaultsynctest.New(t), jwkstest.NewNomad(t)
	h := vaultsync.Harvester{
		Clusters: []jwks.Cluster{{Name: "us-east", Sources: []jwks.Source{nomad.Source("")}}},
		Targets:  []vaultsync.Target{{Mount: vault.Mount("jwt-nomad"), Clusters: []string{"us-east"}}},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, &h, l) }()
	get := func(path string) (int, string) {
		res, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	ready := func(want int) func() bool {
		return func() bool { status, _ := get("/insync"); return status == want }
	}
	require.Eventually(t, ready(200), 10*time.Second, 10*time.Millisecond)
	nomad.Rotate("")
	require.Eventually(t, func() bool { return len(vault.Keys("jwt-nomad")) == 2 }, 10*time.Second, 10*time.Millisecond)
	vault.Seal(true)
	nomad.Rotate("")
	require.Eventually(t, ready(503), 10*time.Second, 10*time.Millisecond)
	_, why := get("/insync")
	assert.Contains(t, why, "sealed")
	_, metrics := get("/metrics")
	assert.Contains(t, metrics, `events_total{kind="added",cluster="us-east",mount="jwt-nomad"} 2`)
	assert.Contains(t, metrics, `errors_total{kind="sealed",cluster="",mount="jwt-nomad"}`)
	cancel()
	require.NoError(t, <-ended)
}

func publishes(t *testing.T, s jwks.Source) plan.Desired {
	t.Helper()
	set, err := s.Fetch(t.Context())
	require.NoError(t, err)
	return plan.Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{{Cluster: "us-east", Set: set}}}
}

func TestReviews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nomad, vault := jwkstest.NewNomad(t), vaultsynctest.New(t)
		mount, first := vault.Mount("jwt-nomad"), nomad.Source("")
		second := nomad.Rotate("")
		answers := make(chan bool, 1)
		person := vaultsync.Options{Review: func(ctx context.Context, p *plan.Plan) error { return ask(ctx, p, answers) }}
		answers <- false
		_, err := mount.Sync(t.Context(), publishes(t, first), person)
		require.ErrorIs(t, err, vaultsync.ErrReview)
		assert.Empty(t, vault.Keys("jwt-nomad"))
		time.AfterFunc(time.Hour, func() { answers <- true })
		_, err = mount.Sync(t.Context(), publishes(t, first), person)
		require.NoError(t, err)
		assert.Len(t, vault.Keys("jwt-nomad"), 2)

		third := nomad.Rotate("")
		_, err = mount.Sync(t.Context(), publishes(t, first), vaultsync.Options{})
		require.NoError(t, err)
		nomad.Remove("", second)
		_, err = mount.Sync(t.Context(), publishes(t, first), vaultsync.Options{Review: oneAtATime})
		require.NoError(t, err)
		nomad.Rotate("")
		_, err = mount.Sync(t.Context(), publishes(t, first), vaultsync.Options{})
		require.NoError(t, err)
		nomad.Remove("", third)
		want := publishes(t, first)
		want.Results[0].Set.Keys = want.Results[0].Set.Keys[:1]
		_, err = mount.Sync(t.Context(), want, vaultsync.Options{Review: oneAtATime})
		require.ErrorContains(t, err, "2 keys would go at once")
		assert.Len(t, vault.Keys("jwt-nomad"), 3)
	})
}

func TestStoreAndApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nomad, vault := jwkstest.NewNomad(t), vaultsynctest.New(t)
		mount, file := vault.Mount("jwt-nomad"), filepath.Join(t.TempDir(), "plan.json")
		require.NoError(t, store(t.Context(), mount, publishes(t, nomad.Source("")), vaultsync.Options{}, file))
		assert.Empty(t, vault.Keys("jwt-nomad"))
		time.Sleep(20 * time.Hour)
		require.NoError(t, apply(t.Context(), mount, file, vaultsync.Options{}))
		assert.Len(t, vault.Keys("jwt-nomad"), 1)
		nomad.Rotate("")
		_, err := mount.Sync(t.Context(), publishes(t, nomad.Source("")), vaultsync.Options{})
		require.NoError(t, err)
		require.ErrorContains(t, apply(t.Context(), mount, file, vaultsync.Options{}), "make another plan")
	})
}

func TestRegistry(t *testing.T) {
	nomad, token := jwkstest.NewNomad(t), filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("secret\n"), 0o600))
	document, err := http.Get(nomad.Listen() + "/.well-known/jwks.json")
	require.NoError(t, err)
	defer document.Body.Close()
	text, err := io.ReadAll(document.Body)
	require.NoError(t, err)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/our-keys" || r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	}))
	defer server.Close()
	set, err := registry(server.URL, token, server.Client()).Fetch(t.Context())
	require.NoError(t, err)
	assert.Len(t, set.Keys, 1)
	require.NoError(t, os.WriteFile(token, []byte("wrong"), 0o600))
	_, err = registry(server.URL, token, server.Client()).Fetch(t.Context())
	require.Error(t, err)
}

// A rotation is trusted at once: a test of a program's own, without servers or waiting.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nomad, vault := jwkstest.NewNomad(t), vaultsynctest.New(t)
		h := vaultsync.Harvester{
			Clusters: []jwks.Cluster{{Name: "us-east", Sources: []jwks.Source{nomad.Source("")}}},
			Targets:  []vaultsync.Target{{Mount: vault.Mount("jwt-nomad"), Clusters: []string{"us-east"}}},
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go h.Watch(ctx, vaultsync.WatchOptions{}) //nolint:errcheck // ends with ctx
		time.Sleep(time.Minute)                   // of the bubble's time, which is none
		kid := nomad.Rotate("")
		synctest.Wait()
		assert.Contains(t, strings.Join(vault.Keys("jwt-nomad"), "\n"), kid)
	})
}

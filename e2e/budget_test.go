//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/lab"
)

// federation is an agent whose regions publish what keys gives at the time.
func federation(t *testing.T, regions int, keys func(region int) []*fakenomad.Key) string {
	t.Helper()
	name := func(i int) string { return fmt.Sprintf("region-%03d", i) }
	byName := map[string]int{}
	names := []string{}
	for i := range regions {
		byName[name(i)] = i
		names = append(names, name(i))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/regions", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(names) })
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, r *http.Request) {
		var set jose.JSONWebKeySet
		for _, k := range keys(byName[r.URL.Query().Get("region")]) {
			set.Keys = append(set.Keys, k.JWK())
		}
		_ = json.NewEncoder(w).Encode(set)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func newKeys(n int, id string) []*fakenomad.Key {
	var keys []*fakenomad.Key
	for range n {
		keys = append(keys, fakenomad.NewKey("EdDSA"))
		keys[len(keys)-1].ID += id
	}
	return keys
}

// What one cluster fills a mount with keeps no other cluster's key out, and no denial waiting.
// What is on the mount logs in; integrated storage takes all that harvest writes.
func TestBudget(t *testing.T) {
	v, err := lab.StartVault(t.Context(), lab.VaultOptions{Raft: true})
	require.NoError(t, err)
	t.Cleanup(v.Stop)

	type scene struct {
		c                  *api.Client
		mount              string
		sync               func(code int, rules string) result
		denied, old, fresh *fakenomad.Key // of the other cluster
		turn               func()         // makes the other cluster publish fresh
	}
	open := func(t *testing.T, mount, cluster string) scene {
		t.Helper()
		s := scene{c: enable(t, v, mount, nil), mount: mount, denied: fakenomad.NewKey("EdDSA"), old: fakenomad.NewKey("EdDSA"), fresh: fakenomad.NewKey("EdDSA")}
		file := jwksFile(t, s.denied, s.old)
		s.turn = func() {
			text, err := os.ReadFile(jwksFile(t, s.denied, s.old, s.fresh))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, text, 0o600))
		}
		s.sync = func(code int, rules string) result {
			t.Helper()
			config := configFile(t, fmt.Sprintf("vault { address = %q }\ncluster \"big\" {\n%s\n}\ncluster \"other\" { jwks_file = %q }\nmount %q {\n  clusters = [\"big\", \"other\"]\n%s\n}\n",
				v.Address, cluster, file, mount, rules))
			r := harvest(t, []string{"VAULT_TOKEN=" + v.RootToken}, "sync", "-config", config)
			require.Equal(t, code, r.code)
			return r
		}
		return s
	}
	// finish syncs once more, with a key of the other cluster that is new and one that is denied.
	finish := func(t *testing.T, s scene, code int, rules string) result {
		t.Helper()
		s.turn()
		require.NoError(t, login(s.c, s.mount, ownToken(s.denied)))
		r := s.sync(code, rules+fmt.Sprintf("\n  deny = [%q]", fingerprintOf(t, s.denied)))
		require.Error(t, login(s.c, s.mount, ownToken(s.denied)))
		require.NoError(t, login(s.c, s.mount, ownToken(s.old)))
		require.NoError(t, login(s.c, s.mount, ownToken(s.fresh)))
		return r
	}

	t.Run("40 regions rotate at once", func(t *testing.T) {
		before, after := newKeys(120, ""), newKeys(120, "")
		now := before
		s := open(t, "jwt-forty", fmt.Sprintf("address = %q\nregions = [\"*\"]", federation(t, 40, func(i int) []*fakenomad.Key { return now[3*i : 3*i+3] })))
		const rules = "  retain = \"1h\"\n  allow_turnover = [\"big\"]"
		s.sync(0, rules)
		now = after
		finish(t, s, 0, rules)
		require.Len(t, trusted(t, s.c, s.mount), 240+2)
		for _, k := range []*fakenomad.Key{after[0], after[119], before[0]} {
			require.NoError(t, login(s.c, s.mount, ownToken(k)))
		}
	})
	t.Run("999 long kids", func(t *testing.T) {
		long := newKeys(999, strings.Repeat("<", 110))
		s := open(t, "jwt-long", fmt.Sprintf("jwks_file = %q", jwksFile(t, long...)))
		s.sync(3, "")
		r := finish(t, s, 3, "")
		assert.Contains(t, r.stderr, `cluster "big": not all of its keys fit on the mount: 743 wait, since the mount takes 256 keys of a cluster`)
		assert.NotContains(t, r.stderr, `cluster "other"`)
		s.sync(0, "  max_keys = 1000") // where all fits, nothing is left out
		require.Len(t, trusted(t, s.c, s.mount), 999+3)
	})
	t.Run("1,000 regions", func(t *testing.T) {
		own := newKeys(1000, "")
		s := open(t, "jwt-regions", fmt.Sprintf("address = %q\nregions = [\"*\"]", federation(t, 1000, func(i int) []*fakenomad.Key { return own[i : i+1] })))
		s.sync(3, "")
		finish(t, s, 3, "")
		require.Len(t, trusted(t, s.c, s.mount), 256+2)
	})
	t.Run("1,000 regions share keys", func(t *testing.T) {
		shared := newKeys(200, "")
		s := open(t, "jwt-shared", fmt.Sprintf("address = %q\nregions = [\"*\"]", federation(t, 1000, func(int) []*fakenomad.Key { return shared })))
		s.sync(0, "")
		r := finish(t, s, 0, "")
		assert.Contains(t, r.stdout, "and 197 more: the annotation has no room for 9")
		require.Len(t, trusted(t, s.c, s.mount), 200+2)
	})
	t.Run("churn under retain", func(t *testing.T) {
		now := newKeys(100, "")
		s := open(t, "jwt-churn", fmt.Sprintf("address = %q\nregions = [\"*\"]", federation(t, 1, func(int) []*fakenomad.Key { return now })))
		const rules = "  retain = \"1h\"\n  allow_turnover = [\"big\"]"
		s.sync(0, rules)
		for range 3 {
			now = newKeys(100, "")
			s.sync(0, rules)
		}
		now = newKeys(100, "")
		finish(t, s, 0, rules)
		require.Len(t, trusted(t, s.c, s.mount), 256+2)
		for _, k := range now[:3] {
			require.NoError(t, login(s.c, s.mount, ownToken(k)))
		}
	})
}

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
)

// region is three Nomad servers and two mounts that one watch keeps equal to what they publish,
// by way of the first leader and of a follower.
type region struct {
	t        *testing.T
	servers  []*lab.Nomad
	leads    *lab.Nomad // at the beginning
	follows  *lab.Nomad
	c        *api.Client
	watching *watcher
	stays    string // the first key, which is published all the time
}

func startRegion(t *testing.T) *region {
	servers, err := lab.StartNomads(t.Context(), 3, lab.NomadOptions{Region: "us-east"})
	require.NoError(t, err)
	for _, n := range servers {
		t.Cleanup(n.Stop)
	}
	r := &region{t: t, servers: servers, stays: published(t, servers[0])[0]}
	r.leads, err = lab.NomadLeader(t.Context(), servers)
	require.NoError(t, err)
	r.follows = servers[(slices.Index(servers, r.leads)+1)%3]
	enable(t, vault, "jwt-by-leader", nil)
	r.c = enable(t, vault, "jwt-by-follower", nil)
	r.watching = watch(t, "-config", configFile(t, fmt.Sprintf(`
cluster "by-leader"   { address = %q }
cluster "by-follower" { address = %q }
vault { address = %q }
mount "jwt-by-leader"   { clusters = ["by-leader"] }
mount "jwt-by-follower" { clusters = ["by-follower"] }
`, r.leads.Address, r.follows.Address, vault.Address)))
	r.trusted("leader", r.stays)
	r.trusted("follower", r.stays)
	return r
}

// trusted waits until the mount of one way trusts a key, and returns when it did.
func (r *region) trusted(way, id string) time.Time {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		secret, err := r.c.Logical().Read("auth/jwt-by-" + way + "/config")
		return err == nil && secret != nil && slices.Contains(kids(r.t, r.c, "jwt-by-"+way, "by-"+way, ""), id)
	}, 2*time.Minute, 5*time.Millisecond, "the mount by way of the %s never came to trust %s", way, id)
	return time.Now()
}

// rotate rotates the key at a server, as soon as it takes that.
func (r *region) rotate(at *lab.Nomad) (id string, when time.Time) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
		defer cancel()
		var err error
		id, err = at.RotateKey(ctx)
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	return id, time.Now()
}

// replicated waits until each server has what the leader has: before Nomad 1.9 a key that only the
// leader has goes with it, and until it is back the others answer 500.
func (r *region) replicated() {
	r.t.Helper()
	index := func(n *lab.Nomad, query string) (index int) {
		answer := get(r.t.Context(), n.Address+"/.well-known/jwks.json"+query)
		if answer.StatusCode == http.StatusOK {
			index, _ = strconv.Atoi(answer.Header.Get("X-Nomad-Index"))
		}
		return index
	}
	require.Eventually(r.t, func() bool {
		want := index(r.leads, "")
		return want > 0 && !slices.ContainsFunc(r.servers, func(n *lab.Nomad) bool { return index(n, "?stale") < want })
	}, time.Minute, 50*time.Millisecond)
}

// same waits until both mounts trust what a server publishes, and nothing else.
func (r *region) same(at *lab.Nomad) {
	r.t.Helper()
	for _, way := range []string{"leader", "follower"} {
		require.Eventually(r.t, func() bool {
			return slices.Equal(published(r.t, at), kids(r.t, r.c, "jwt-by-"+way, "by-"+way, ""))
		}, 2*time.Minute, 20*time.Millisecond, "the mount by way of the %s", way)
	}
}

// Three Nomad servers under one watch. Whatever happens to them, a published key is trusted in
// the end, and none is removed that is published. How long a key isn't trusted is printed.
func TestNomadServers(t *testing.T) {
	r := startRegion(t)
	over, end := context.WithCancel(t.Context())
	var looking sync.WaitGroup
	defer looking.Wait()
	defer end()
	looking.Go(func() { // the first key is published all the time
		for over.Err() == nil {
			for _, way := range []string{"leader", "follower"} {
				secret, err := r.c.Logical().ReadWithContext(over, "auth/jwt-by-"+way+"/config")
				if over.Err() == nil && assert.NoError(t, err) {
					assert.Contains(t, fmt.Sprint(secret.Data["jwt_validation_pubkeys"]), r.stays)
				}
			}
			rest(over, 50*time.Millisecond)
		}
	})
	t.Attr("table", "three Nomad servers | a rotated key wasn't trusted for")
	gap := func(what string, published, trusted time.Time) {
		d := max(0, trusted.Sub(published)).Round(time.Millisecond)
		t.Logf("%-58s %v", what, d)
		t.Attr(key(what), d.String())
	}

	id, at := r.rotate(r.leads)
	gap("nothing is wrong, by way of the leader", at, r.trusted("leader", id))
	id, at = r.rotate(r.leads)
	gap("nothing is wrong, by way of a follower", at, r.trusted("follower", id))

	// The leader is killed while queries are held at it and at a follower.
	r.replicated()
	r.leads.Kill()
	next, err := lab.NomadLeader(t.Context(), r.servers)
	require.NoError(t, err)
	id, at = r.rotate(next)
	gap("leader killed, by way of a follower", at, r.trusted("follower", id))
	require.NoError(t, r.leads.Restart(t.Context()))
	gap("leader killed, by way of it, once it is back", time.Now(), r.trusted("leader", id))
	r.same(next)

	// A server that stands still, and then lags behind.
	require.NoError(t, r.follows.Pause())
	var other *lab.Nomad
	for _, n := range r.servers {
		if n != r.follows {
			other = n
		}
	}
	id, _ = r.rotate(other)
	require.NoError(t, r.follows.Resume())
	gap("follower paused, by way of it, once it goes on", time.Now(), r.trusted("follower", id))
	r.same(other)

	// The keyring goes back to that of a snapshot: indexes go back with it.
	leader, err := lab.NomadLeader(t.Context(), r.servers)
	require.NoError(t, err)
	snapshot, err := leader.Snapshot(t.Context())
	require.NoError(t, err)
	later, _ := r.rotate(leader)
	r.trusted("follower", later)
	r.trusted("leader", later)
	require.NoError(t, leader.Restore(t.Context(), snapshot))
	require.Eventually(t, func() bool {
		leader, err = lab.NomadLeader(t.Context(), r.servers)
		return err == nil && !slices.Contains(published(t, leader), later)
	}, time.Minute, 50*time.Millisecond, "the snapshot doesn't know the key")
	id, at = r.rotate(leader)
	gap("snapshot restored, then rotated, by way of the leader", at, r.trusted("leader", id))
	gap("snapshot restored, then rotated, by way of a follower", at, r.trusted("follower", id))
	r.same(leader)
	t.Attr("note", load())
}

// A region that partitions and comes back: its keys stay, and what it rotated to meanwhile is
// trusted once it is back.
func TestRegionPartitioned(t *testing.T) {
	here, err := lab.StartNomad(t.Context(), lab.NomadOptions{Region: "here", Durable: true})
	require.NoError(t, err)
	t.Cleanup(here.Stop)
	there, err := lab.StartNomad(t.Context(), lab.NomadOptions{Region: "there", Durable: true})
	require.NoError(t, err)
	t.Cleanup(there.Stop)
	require.NoError(t, here.Join(t.Context(), there))
	c := enable(t, vault, "jwt-partitioned", nil)
	watch(t, "-config", configFile(t, fmt.Sprintf(`
cluster "both" {
  address = %q
  regions = ["*"]
}
vault { address = %q }
mount "jwt-partitioned" { clusters = ["both"] }
`, here.Address, vault.Address)))
	trusts := func(region, id string) func() bool {
		return func() bool {
			secret, err := c.Logical().Read("auth/jwt-partitioned/config")
			return err == nil && secret != nil && slices.Contains(kids(t, c, "jwt-partitioned", "both", region), id)
		}
	}
	first := published(t, there)[0]
	require.Eventually(t, trusts("there", first), time.Minute, 20*time.Millisecond)

	require.NoError(t, there.Pause())
	require.Eventually(t, func() bool {
		regions, err := here.Regions(t.Context())
		return err == nil && !slices.Contains(regions, "there")
	}, 90*time.Second, 100*time.Millisecond, "Nomad drops a region whose last server failed")
	id, err := here.RotateKey(t.Context())
	require.NoError(t, err)
	require.Eventually(t, trusts("here", id), time.Minute, 20*time.Millisecond, "the region that is left goes on")
	require.True(t, trusts("there", first)(), "a region that is away keeps its keys")

	require.NoError(t, there.Resume())
	began := time.Now()
	require.Eventually(t, func() bool {
		id, err = there.RotateKey(t.Context())
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	require.Eventually(t, trusts("there", id), 3*time.Minute, 20*time.Millisecond, "the region that is back")
	d := time.Since(began).Round(time.Millisecond)
	t.Logf("a key that the region made once it was back was trusted %v after that", d)
	t.Attr("table", "two regions | a key wasn't trusted for")
	t.Attr(key("region partitioned, then back and rotated, counted from its return"), d.String())
	require.True(t, trusts("there", first)())
}

//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/faultproxy"
)

// networkFaults are those of a connection on which something is asked: the answer is what
// they hit.
func networkFaults(when string) map[string]faultproxy.Fault {
	return map[string]faultproxy.Fault{
		"cut in the middle of the body": {When: when, ToClient: faultproxy.CutAfter(400)},
		"cut before the answer":         {When: when, ToClient: faultproxy.CutAfter(0)},
		"reset in the middle":           {When: when, ToClient: faultproxy.ResetAfter(400)},
		"reset when it connects":        {ToServer: faultproxy.ResetAfter(0)},
		"slow by 30 s":                  {When: when, ToClient: faultproxy.Delay(30 * time.Second)},
		"throttled":                     {When: when, ToClient: faultproxy.Throttle(50)},
		"swallowed":                     {ToServer: faultproxy.Blackhole()},
		"silent in the middle":          {When: when, ToClient: faultproxy.Blackhole()},
	}
}

// A network that fails between harvest and a Nomad: the cluster is named and keeps its keys,
// the other cluster goes on, and the next run puts all right.
func TestNetworkToNomad(t *testing.T) {
	p := faultproxy.New(t, west.Address)
	c := enable(t, vault, "jwt-net-nomad", map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}, "default_role": "nomad-workloads"})
	first := published(t, west)
	args := []string{"-timeout", "1500ms", "-config", configFile(t, fmt.Sprintf(`
cluster "eu-west" { address = %q }
cluster "edge" { jwks_file = %q }
vault { address = %q }
mount "jwt-net-nomad" {
  clusters = ["eu-west", "edge"]
  settle   = "100ms"
}
`, p.URL, jwksFile(t, fakenomad.NewKey("EdDSA")), vault.Address))}
	syncNow(t, 0, args...)
	for name, fault := range networkFaults("GET /.well-known/jwks.json") {
		t.Run(name, func(t *testing.T) {
			id, err := west.RotateKey(t.Context())
			require.NoError(t, err)
			before := readConfig(t, c, "jwt-net-nomad")
			p.Set(fault)
			r := harvest(t, nil, append([]string{"sync"}, args...)...)
			assert.Equal(t, 3, r.code, "the other cluster is in sync")
			assert.Regexp(t, `(?m)^harvest: cluster "eu-west"`, r.stderr)
			assert.NotContains(t, r.stderr, "harvest: mount", "there is nothing wrong with the mount")
			assert.Positive(t, p.Struck())
			assert.Equal(t, before, readConfig(t, c, "jwt-net-nomad"), "nothing is removed, and nothing half read added")

			p.Lift()
			syncNow(t, 0, args...)
			assert.Equal(t, published(t, west), kids(t, c, "jwt-net-nomad", "eu-west", ""))
			assert.Equal(t, besides(before), besides(readConfig(t, c, "jwt-net-nomad")))
			drop(t, west, append(slices.Clone(first), id)...)
		})
	}
}

// A cluster that says nothing keeps no other from the mount that both are trusted by: what the
// other publishes is trusted while the sync still waits, and the silent one keeps its keys.
func TestNetworkSilentCluster(t *testing.T) {
	const mount = "jwt-net-silent"
	p := faultproxy.New(t, west.Address)
	c := enable(t, vault, mount, map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}, "default_role": "nomad-workloads"})
	stays, comes := fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA")
	args := func(keys ...*fakenomad.Key) []string {
		return []string{"sync", "-timeout", "12s", "-config", configFile(t, fmt.Sprintf(`
cluster "eu-west" { address = %q }
cluster "edge" { jwks_file = %q }
vault { address = %q }
mount %q {
  clusters = ["eu-west", "edge"]
  settle   = "100ms"
}
`, p.URL, jwksFile(t, keys...), vault.Address, mount))}
	}
	require.Zero(t, harvest(t, nil, args(stays)...).code)
	silent := kids(t, c, mount, "eu-west", "")
	require.NotEmpty(t, silent)

	p.Set(faultproxy.Fault{ToServer: faultproxy.Blackhole()})
	late := args(stays, comes)
	done := make(chan result, 1)
	go func() {
		defer close(done)
		done <- harvest(t, nil, late...) //nolint:testifylint // where it ends this goroutine, done is closed, and the test has failed
	}()
	require.Eventually(t, func() bool { return slices.Contains(kids(t, c, mount, "edge", ""), comes.ID) }, 30*time.Second, 50*time.Millisecond)
	assert.Empty(t, done, "the sync waits for the silent one still")
	r := <-done
	assert.Equal(t, 3, r.code)
	assert.Regexp(t, `(?m)^harvest: cluster "eu-west"`, r.stderr)
	assert.Contains(t, r.stdout, "+ edge     "+comes.ID[:8])
	assert.Equal(t, silent, kids(t, c, mount, "eu-west", ""))
}

// vaultThroughProxy is a mount that is reached through a proxy, and key sets to change it with.
type vaultThroughProxy struct {
	proxy  *faultproxy.Proxy
	writes atomic.Int64 // requests whose first line was passed on in one
	env    []string
	stays  *fakenomad.Key
	mount  string
}

func newVaultThroughProxy(t *testing.T, mount string) *vaultThroughProxy {
	p := &vaultThroughProxy{proxy: faultproxy.New(t, vault.Address), stays: fakenomad.NewKey("EdDSA"), mount: mount}
	p.env = []string{"VAULT_ADDR=" + p.proxy.URL}
	put := []byte("PUT /v1/auth/" + mount + "/config")
	p.proxy.OnPass = func(way faultproxy.Way, b []byte) {
		if way == faultproxy.ToServer && bytes.HasPrefix(b, put) {
			p.writes.Add(1)
		}
	}
	return p
}

// change returns arguments for a set with a key that the mount doesn't trust, and its id.
func (p *vaultThroughProxy) change(t *testing.T, more ...string) ([]string, string) {
	k := fakenomad.NewKey("EdDSA")
	return append([]string{"-cluster", "edge", "-jwks-file", jwksFile(t, p.stays, k), "-mount", p.mount, "-settle", "200ms"}, more...), k.ID
}

// A network that fails between harvest and Vault, before anything was written.
func TestNetworkToVault(t *testing.T) {
	const mount = "jwt-net-vault"
	c := enable(t, vault, mount, map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}, "default_role": "nomad-workloads"})
	p := newVaultThroughProxy(t, mount)
	args, _ := p.change(t)
	syncNow(t, 0, args...)
	for name, fault := range networkFaults("GET /v1/auth/" + mount) {
		t.Run(name, func(t *testing.T) {
			before := readConfig(t, c, mount)
			args, id := p.change(t)
			p.proxy.Set(fault)
			for _, command := range []string{"plan", "sync"} {
				r := harvest(t, p.env, append([]string{command, "-timeout", "1500ms"}, args...)...)
				assert.Equal(t, 1, r.code)
				assert.Contains(t, r.stderr, "harvest: mount "+mount+" at "+p.proxy.URL)
			}
			assert.Positive(t, p.proxy.Struck())
			assert.Equal(t, before, readConfig(t, c, mount))

			p.proxy.Lift()
			require.Equal(t, 0, harvest(t, p.env, append([]string{"sync"}, args...)...).code)
			assert.ElementsMatch(t, []string{p.stays.ID, id}, kids(t, c, mount, "edge", ""))
			assert.Equal(t, besides(before), besides(readConfig(t, c, mount)))
		})
	}
}

// A network that fails in the middle of a write: what harvest can't know it reads back.
func TestNetworkInWrite(t *testing.T) {
	const mount, put = "jwt-net-write", "PUT /v1/auth/jwt-net-write/config"
	c := enable(t, vault, mount, map[string]any{"jwt_validation_pubkeys": []string{examplePEM(t)}, "default_role": "nomad-workloads"})
	p := newVaultThroughProxy(t, mount)
	args, _ := p.change(t)
	syncNow(t, 0, args...)
	for name, test := range map[string]struct {
		fault   faultproxy.Fault
		code    int
		written bool  // whether Vault holds the new list in the end
		writes  int64 // requests whose first line went out at once
		says    string
	}{
		"request cut, once": {faultproxy.Fault{When: put, Times: 1, ToServer: faultproxy.CutAfter(700)}, 0, true, 2, "1 added"},
		"request cut, always": {faultproxy.Fault{When: put, ToServer: faultproxy.CutAfter(700)}, 1, false, 10,
			"gave up after 10 tries: Vault can't be reached"},
		"request reset, once":     {faultproxy.Fault{When: put, Times: 1, ToServer: faultproxy.ResetAfter(700)}, 0, true, 2, "1 added"},
		"answer cut":              {faultproxy.Fault{When: put, ToClient: faultproxy.CutAfter(0)}, 0, true, 1, "1 added"},
		"answer reset":            {faultproxy.Fault{When: put, ToClient: faultproxy.ResetAfter(0)}, 0, true, 1, "1 added"},
		"answer cut in its head":  {faultproxy.Fault{When: put, ToClient: faultproxy.CutAfter(20)}, 0, true, 1, "1 added"},
		"answer swallowed":        {faultproxy.Fault{When: put, ToClient: faultproxy.Blackhole()}, 1, true, 1, "stopped during a write, which may have been carried out"},
		"request swallowed":       {faultproxy.Fault{When: put, ToServer: faultproxy.Blackhole()}, 1, false, 0, "stopped during a write, which may have been carried out"},
		"request throttled":       {faultproxy.Fault{When: put, ToServer: faultproxy.Throttle(100)}, 1, false, 0, "stopped during a write, which may have been carried out"},
		"request throttled a bit": {faultproxy.Fault{When: put, ToServer: faultproxy.Throttle(20_000)}, 0, true, 1, "1 added"},
	} {
		t.Run(name, func(t *testing.T) {
			before := readConfig(t, c, mount)
			args, id := p.change(t, "-timeout", "5s")
			if test.code == 1 && test.writes <= 1 {
				args[len(args)-1] = "1500ms" // it is waited for in vain
			}
			p.writes.Store(0)
			p.proxy.Set(test.fault)
			r := harvest(t, p.env, append([]string{"sync"}, args...)...)
			assert.Equal(t, test.code, r.code)
			assert.Contains(t, r.stdout+r.stderr, test.says)
			if test.code != 0 {
				assert.Contains(t, r.stderr, "harvest: mount "+mount+" at "+p.proxy.URL)
			}
			assert.Equal(t, test.writes, p.writes.Load())
			after := readConfig(t, c, mount)
			assert.Equal(t, besides(before), besides(after))
			if test.written {
				assert.ElementsMatch(t, []string{p.stays.ID, id}, kids(t, c, mount, "edge", ""))
			} else {
				assert.Equal(t, before, after)
			}

			p.proxy.Lift()
			require.Equal(t, 0, harvest(t, p.env, append([]string{"sync"}, args...)...).code)
			assert.ElementsMatch(t, []string{p.stays.ID, id}, kids(t, c, mount, "edge", ""))
			assert.Equal(t, besides(before), besides(readConfig(t, c, mount)))
		})
	}
}

// A watch whose connections break: the query that it holds open, and the answer to a write.
func TestNetworkUnderWatch(t *testing.T) {
	nomad, server := faultproxy.New(t, west.Address), faultproxy.New(t, vault.Address)
	c := enable(t, vault, "jwt-net-watch", nil)
	w := watch(t, "-config", configFile(t, fmt.Sprintf(`
cluster "eu-west" { address = %q }
vault { address = %q }
mount "jwt-net-watch" { clusters = ["eu-west"] }
`, nomad.URL, server.URL)))
	first := published(t, west)
	await(t, c, "jwt-net-watch", "eu-west", func(kids []string) bool { return slices.Equal(kids, first) })

	nomad.Break()
	id, err := west.RotateKey(t.Context())
	require.NoError(t, err)
	await(t, c, "jwt-net-watch", "eu-west", has(id))

	server.Set(faultproxy.Fault{When: "PUT /v1/auth/jwt-net-watch/config", Times: 1, ToClient: faultproxy.ResetAfter(0)})
	next, err := west.RotateKey(t.Context())
	require.NoError(t, err)
	await(t, c, "jwt-net-watch", "eu-west", has(next))
	require.Equal(t, 1, server.Struck())
	w.logged(t, `level=INFO msg="key added" .*kid=`+next)

	server.Set(faultproxy.Fault{When: "GET /v1/auth/jwt-net-watch/config", ToClient: faultproxy.CutAfter(300)})
	last, err := west.RotateKey(t.Context())
	require.NoError(t, err)
	w.logged(t, `level=ERROR msg="mount not in sync; retrying" .*kind=unreachable`)
	assert.NotContains(t, kids(t, c, "jwt-net-watch", "eu-west", ""), last)
	server.Lift()
	await(t, c, "jwt-net-watch", "eu-west", has(last))
	w.logged(t, `level=INFO msg="mount synced again"`)
	drop(t, west, append(first, last)...)
}

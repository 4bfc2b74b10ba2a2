//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
)

// A task that reads a value of Consul's with its workload identity.
const readsConsul = `
job "mongo" {
  type = "service"
  group "db" {
    task "mongo" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args    = ["3600"]
      }
      consul {}
      template {
        destination = "local/config"
        data        = "{{key \"mongo/root_password\"}}"
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}`

// relayed is a relay that harvest watch serves, of one cluster.
type relayed struct {
	*watcher
	dir, config, url string
}

// startRelay runs harvest watch for a relay of an agent that wants client certificates. An address
// is where it is served; "" is a free one.
func startRelay(t *testing.T, n *lab.Nomad, dir, address, deny string) *relayed {
	t.Helper()
	r := &relayed{dir: dir, config: configFile(t, relayConfig(n, dir, deny))}
	if address == "" {
		address = "127.0.0.1:0"
	}
	r.watcher = watch(t, "-config", r.config, "-relay-listen", address)
	serving := regexp.MustCompile(`msg="serving relays" address=(\S+)`)
	require.Eventually(t, func() bool {
		found := serving.FindStringSubmatch(r.stderr.String())
		if found != nil {
			r.url = "http://" + found[1] + "/relay/nomad/jwks.json"
		}
		return found != nil
	}, 20*time.Second, 10*time.Millisecond)
	return r
}

func relayConfig(n *lab.Nomad, dir, deny string) string {
	if deny != "" {
		deny = fmt.Sprintf("deny = [%q]", deny)
	}
	return fmt.Sprintf(`
%s
cluster "mtls" {
  address     = %q
  ca_cert     = %q
  client_cert = %q
  client_key  = %q
}
relay "nomad" {
  clusters = ["mtls"]
  dir      = %q
}
`, deny, n.Address, n.Certificates.CA, n.Certificates.Cert, n.Certificates.Key, dir)
}

// kids returns what the relay serves, nil where it answers anything but 200.
func (r *relayed) kids(t *testing.T) []string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url, nil)
	require.NoError(t, err)
	reply, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	require.NoError(t, err)
	if reply.StatusCode != http.StatusOK {
		return nil
	}
	var set struct{ Keys []struct{ Kid string } }
	require.NoError(t, json.Unmarshal(body, &set))
	kids := []string{}
	for _, k := range set.Keys {
		kids = append(kids, k.Kid)
	}
	return kids
}

// await asks until the relay serves such a set, and returns when.
func (r *relayed) await(t *testing.T, want func([]string) bool) time.Time {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !want(r.kids(t)) {
		require.True(t, time.Now().Before(deadline), "the relay never came to serve that: %v", r.kids(t))
	}
	return time.Now()
}

// Consul takes the identities of a Nomad that it can't read: one that wants client certificates.
// So does a Vault by jwks_url. A rotation, Nomad's end and harvest's restart cost no login. What a
// relay can't do is take a key out of their caches, which never expire: shown too, with what ends
// it.
func TestRelayForConsul(t *testing.T) {
	whole := t // for what outlives a part
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	consul, err := lab.StartConsul(ctx, lab.ConsulOptions{})
	require.NoError(t, err)
	t.Cleanup(consul.Stop)
	nomad, err := lab.StartNomad(ctx, lab.NomadOptions{
		Region: "mtls", ClientCertificates: true, ConsulBlock: fmt.Sprintf(`
consul {
  address          = %q
  token            = %q
  server_auto_join = false
  client_auto_join = false
  auto_advertise   = false
  service_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }
  task_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }
}`, strings.TrimPrefix(consul.Address, "http://"), consul.Token),
	})
	require.NoError(t, err)
	t.Cleanup(nomad.Stop)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	relay := startRelay(t, nomad, dir, "", "")
	relay.await(t, func(kids []string) bool { return len(kids) == 1 })

	require.NoError(t, consul.Call(ctx, http.MethodPut, "/v1/kv/mongo/root_password", "opensesame", nil))
	binaries, err := lab.Find(lab.Current)
	require.NoError(t, err)
	setup := exec.CommandContext(ctx, binaries.Nomad, "setup", "consul", "-y", "-jwks-url", relay.url)
	setup.Env = []string{"HOME=" + t.TempDir(), "CONSUL_HTTP_ADDR=" + consul.Address, "CONSUL_HTTP_TOKEN=" + consul.Token}
	out, err := setup.CombinedOutput()
	require.NoError(t, err, "%s", out)

	_, err = nomad.RunJob(ctx, readsConsul)
	require.NoError(t, err)
	value, err := nomad.TaskFile(ctx, "mongo", "mongo", "local/config")
	require.NoError(t, err, nomad.Log())
	assert.Equal(t, "opensesame", strings.TrimSpace(string(value)), "a job's identity became a token of Consul's")

	c := enable(t, vault, "jwt-relayed", map[string]any{"jwks_url": relay.url})
	methods := func(name string) { // for tokens with the audience that identity gives them
		require.NoError(t, consul.Call(ctx, http.MethodPut, "/v1/acl/auth-method", map[string]any{
			"Name": name, "Type": "jwt", "Config": map[string]any{
				"JWKSURL": relay.url, "BoundAudiences": []string{"vault.io"}, "JWTSupportedAlgs": []string{"RS256"},
				"ClaimMappings": map[string]string{"nomad_job_id": "job"},
			},
		}, nil))
		require.NoError(t, consul.Call(ctx, http.MethodPut, "/v1/acl/binding-rule", map[string]any{
			"AuthMethod": name, "BindType": "service", "BindName": "task",
		}, nil))
	}
	methods("relayed")
	atBoth := func(jwt string) (atConsul, atVault error) {
		_, atConsul = consul.Login(ctx, "relayed", jwt)
		return atConsul, login(c, "jwt-relayed", jwt)
	}

	jwt := identity(t, nomad)
	t.Run("after a rotation the next login works at once", func(t *testing.T) {
		for range 3 { // the first time they fetch the set, and then they have one without the key
			atConsul, atVault := atBoth(jwt)
			require.NoError(t, atConsul)
			require.NoError(t, atVault)
			_, err := nomad.RotateKey(ctx)
			require.NoError(t, err)
			jwt = identity(t, nomad)
		}
		atConsul, atVault := atBoth(jwt)
		require.NoError(t, atConsul)
		require.NoError(t, atVault)
		assert.Len(t, relay.kids(t), 4)
	})

	t.Run("without Nomad, and with a harvest that restarted, logins go on", func(t *testing.T) {
		nomad.Kill()
		relay.stop(t)
		address := strings.TrimPrefix(strings.TrimSuffix(relay.url, "/relay/nomad/jwks.json"), "http://")
		relay = startRelay(whole, nomad, dir, address, "")
		assert.Len(t, relay.kids(t), 4)
		atConsul, atVault := atBoth(jwt)
		require.NoError(t, atConsul)
		require.NoError(t, atVault)
		methods("fresh") // it fetches the set when it is made
		_, err := consul.Login(ctx, "fresh", jwt)
		require.NoError(t, err)
		atConsul, _ = atBoth(jwt) // any change of a method has Consul fetch for every one
		require.NoError(t, atConsul)
		fresh := enable(t, vault, "jwt-relayed-fresh", map[string]any{"jwks_url": relay.url})
		require.NoError(t, login(fresh, "jwt-relayed-fresh", jwt))
	})

	t.Run("a denied key leaves the relay at once, and a consumer's cache when that is renewed", func(t *testing.T) {
		kid := keyID(t, jwt)
		denied := relayedFingerprint(t, relay.url, kid)
		require.NoError(t, os.WriteFile(relay.config, []byte(relayConfig(nomad, dir, denied)), 0o600))
		began := time.Now()
		require.NoError(t, relay.cmd.Process.Signal(syscall.SIGHUP))
		gone := relay.await(t, func(kids []string) bool { return kids != nil && !has(kid)(kids) })
		t.Logf("denied with Nomad away, and gone from the relay %v after SIGHUP", gone.Sub(began).Round(time.Millisecond))

		const while = 12 * time.Second // longer than the max-age of the relay's answers
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for time.Since(gone) < while {
			atConsul, atVault := atBoth(jwt)
			require.NoError(t, atConsul, "Consul keeps a key whose kid it knows")
			require.NoError(t, atVault, "so does Vault")
			<-tick.C
		}
		t.Logf("it still logged in at both %v later", while)

		// What docs/relay.md says to do then.
		require.NoError(t, consul.Call(ctx, http.MethodPut, "/v1/acl/auth-method/relayed", map[string]any{
			"Name": "relayed", "Type": "jwt", "Description": "renewed", "Config": map[string]any{
				"JWKSURL": relay.url, "BoundAudiences": []string{"vault.io"}, "JWTSupportedAlgs": []string{"RS256"},
				"ClaimMappings": map[string]string{"nomad_job_id": "job"},
			},
		}, nil))
		writeConfig(t, c, "jwt-relayed", map[string]any{"jwks_url": relay.url, "default_role": "nomad-workloads"})
		atConsul, atVault := atBoth(jwt)
		require.Error(t, atConsul)
		require.Error(t, atVault)
	})
}

// relayedFingerprint returns the fingerprint of a key of a key set.
func relayedFingerprint(t *testing.T, url, kid string) string {
	t.Helper()
	var keys []struct{ Kid, SHA256 string }
	require.NoError(t, json.Unmarshal([]byte(harvest(t, nil, "pem", "-format", "json", url).stdout), &keys))
	for _, k := range keys {
		if k.Kid == kid {
			return k.SHA256
		}
	}
	require.Fail(t, "no such key", kid)
	return ""
}

// answered returns when Nomad answers a query that it holds until its key set changes: what no
// answered tells when Nomad answers a query that it holds until its key set changes: what no
// program could do without.
func answered(t *testing.T, n *lab.Nomad) <-chan time.Time {
	t.Helper()
	get := func(query string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.Address+"/.well-known/jwks.json"+query, nil)
		if !assert.NoError(t, err) {
			return nil
		}
		reply, err := http.DefaultClient.Do(request)
		if !assert.NoError(t, err) {
			return nil
		}
		_, err = io.Copy(io.Discard, reply.Body)
		assert.NoError(t, errors.Join(err, reply.Body.Close()))
		return reply
	}
	now := get("")
	require.NotNil(t, now)
	at := make(chan time.Time, 1)
	go func() {
		get("?wait=30s&index=" + now.Header.Get("X-Nomad-Index"))
		at <- time.Now()
	}()
	return at
}

// How long after Nomad's reply to a rotation a relay serves the new key, beside a mount in the same
// watch, and how much of that Nomad took to answer. Times are printed, not judged:
//
//	HARVEST_ROUNDS=200 go test -tags e2e -run TestRelayGap -v ./e2e
func TestRelayGap(t *testing.T) {
	c := enable(t, vault, "jwt-relay-gap", nil)
	dir := filepath.Join(t.TempDir(), "relay")
	require.NoError(t, os.Mkdir(dir, 0o755))
	config := configFile(t, fmt.Sprintf("cluster \"eu-west\" { address = %q }\nmount \"jwt-relay-gap\" { clusters = [\"eu-west\"] }\n"+
		"relay \"nomad\" {\n  clusters = [\"eu-west\"]\n  dir = %q\n}\n", west.Address, dir))
	w := watch(t, "-config", config, "-relay-listen", "127.0.0.1:0")
	r := &relayed{watcher: w}
	serving := regexp.MustCompile(`msg="serving relays" address=(\S+)`)
	require.Eventually(t, func() bool {
		found := serving.FindStringSubmatch(w.stderr.String())
		if found != nil {
			r.url = "http://" + found[1] + "/relay/nomad/jwks.json"
		}
		return found != nil
	}, 20*time.Second, 10*time.Millisecond)
	first := published(t, west)
	r.await(t, func(kids []string) bool { return len(kids) == len(first) })

	var relays, mounts, nomads, ours []time.Duration
	pace := time.NewTicker(7 * time.Second) // a watch writes once in three seconds for long, and here twice a round
	defer pace.Stop()
	for range rounds(3) {
		answer := answered(t, west)
		<-pace.C
		id, err := west.RotateKey(t.Context())
		replied := time.Now()
		require.NoError(t, err)
		var onRelay, onMount bool
		for !onRelay || !onMount { // both are asked in turn
			if !onRelay && has(id)(r.kids(t)) {
				onRelay, relays = true, append(relays, max(0, time.Since(replied)))
			}
			if !onMount && has(id)(kids(t, c, "jwt-relay-gap", "eu-west", "")) {
				onMount, mounts = true, append(mounts, max(0, time.Since(replied)))
			}
			require.Less(t, time.Since(replied), 30*time.Second)
		}
		nomads = append(nomads, max(0, (<-answer).Sub(replied)))
		ours = append(ours, max(0, relays[len(relays)-1]-nomads[len(nomads)-1]))
		drop(t, west, append(first, id)...)
	}
	t.Logf("time from Nomad's reply to the rotation until the new key is served, or read from the mount, %d rotations:\n"+
		"                              p50         p99         max\n%s%s%s%s", len(relays),
		row("relay", relays), row("mount", mounts), row("Nomad's own answer", nomads), row("relay, after that answer", ours))
}

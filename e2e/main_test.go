//go:build e2e

// Package e2e runs the harvest command between real Nomad clusters and real Vaults.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// The servers that every test shares: a cluster of two federated regions and a cluster of
// one, whose tasks log in at the first Vault's jwt-nomad mount. Each test has mounts of its own.
var (
	vault, vault2  *lab.Vault
	east1, east2   *lab.Nomad // one cluster, regions us-east-1 and us-east-2
	west           *lab.Nomad // the other, region eu-west
	harvestCommand string
)

func TestMain(m *testing.M) {
	if tool := byHand[filepath.Base(os.Args[0])]; tool != nil {
		os.Exit(tool(os.Args[1:]))
	}
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "harvest-e2e-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	harvestCommand = filepath.Join(dir, "harvest")
	if out, err := exec.Command("go", "build", "-o", harvestCommand, "../cmd/harvest").CombinedOutput(); err != nil {
		return fail(fmt.Errorf("%w: %s", err, out))
	}
	defer stopAll()
	if err := startAll(ctx); err != nil {
		return fail(err)
	}
	if err := sayServers(ctx); err != nil {
		return fail(err)
	}
	return m.Run()
}

// sayServers prints what runs, for the table that e2e/matrix makes: the pinned versions (Vault
// 1.12.0 calls itself 1.13.0-dev1) and, of servers of one's own, what they say.
func sayServers(ctx context.Context) error {
	pair := lab.PairFromEnv()
	pinned := func(name string) (string, error) { return lab.Version(pair, name) }
	of, err := pinned("vault")
	switch {
	case os.Getenv("HARVEST_VAULT") != "":
		of, err = vault.Version(ctx)
	case pair == lab.Newest && err == nil:
		var jwt string
		jwt, err = pinned("jwt")
		of += " with JWT method " + jwt
	}
	if err != nil {
		return err
	}
	if as := os.Getenv("HARVEST_AS"); as != "" {
		of += " as " + as
	}
	nomad, err := pinned("nomad")
	if os.Getenv("HARVEST_NOMAD") != "" {
		nomad, err = west.Version(ctx)
	}
	if err != nil {
		return err
	}
	fmt.Printf("servers: Vault %s, Nomad %s\n", of, nomad)
	return nil
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}

func startAll(ctx context.Context) (err error) {
	if vault, err = lab.StartVault(ctx, lab.VaultOptions{Audit: true}); err != nil {
		return err
	}
	if vault2, err = lab.StartVault(ctx, lab.VaultOptions{}); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i, start := range []struct {
		into   **lab.Nomad
		region string
	}{{&east1, "us-east-1"}, {&east2, "us-east-2"}, {&west, "eu-west"}} {
		wg.Go(func() {
			*start.into, errs[i] = lab.StartNomad(ctx, lab.NomadOptions{Region: start.region, VaultAddress: vault.Address})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return east1.Join(ctx, east2)
}

func stopAll() {
	for _, n := range []*lab.Nomad{east1, east2, west} {
		if n != nil {
			n.Stop()
		}
	}
	for _, v := range []*lab.Vault{vault, vault2} {
		if v != nil {
			v.Stop()
		}
	}
}

// result is what a run of the command printed.
type result struct {
	stdout, stderr string
	code           int
}

// harvest runs the command with the first Vault's address and root token in its
// environment, and nothing of the caller's; more is "NAME=value".
func harvest(t *testing.T, more []string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harvestCommand, args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		"VAULT_ADDR=" + vault.Address, "VAULT_TOKEN=" + vault.RootToken,
	}, more...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	r := result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	t.Logf("harvest %s\n%s%s(exit code %d)", strings.Join(args, " "), r.stdout, r.stderr, r.code)
	require.NotContains(t, r.stdout+r.stderr, vault.RootToken, "a token was printed")
	return r
}

// syncNow runs harvest sync and wants that exit code.
func syncNow(t *testing.T, code int, args ...string) result {
	t.Helper()
	r := harvest(t, nil, append([]string{"sync"}, args...)...)
	require.Equal(t, code, r.code)
	return r
}

// configFile writes a configuration.
func configFile(t *testing.T, hcl string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "harvest.hcl")
	require.NoError(t, os.WriteFile(name, []byte(hcl), 0o600))
	return name
}

// enable makes a JWT mount with a role that the lab's workload identities fit.
func enable(t *testing.T, v *lab.Vault, path string, fields map[string]any) *api.Client {
	t.Helper()
	c := v.Client()
	require.NoError(t, c.Sys().EnableAuth(path, "jwt", ""))
	if fields != nil {
		writeConfig(t, c, path, fields)
	}
	_, err := c.Logical().Write("auth/"+path+"/role/nomad-workloads", map[string]any{
		"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "/nomad_job_id", "user_claim_json_pointer": true,
		"claim_mappings": map[string]any{"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id"},
		"token_type":     "service", "token_policies": "nomad-workloads", "token_period": "30m",
	})
	require.NoError(t, err)
	return c
}

func writeConfig(t *testing.T, c *api.Client, path string, fields map[string]any) {
	t.Helper()
	_, err := c.Logical().Write("auth/"+path+"/config", fields)
	require.NoError(t, err)
}

func readConfig(t *testing.T, c *api.Client, path string) map[string]any {
	t.Helper()
	secret, err := c.Logical().Read("auth/" + path + "/config")
	require.NoError(t, err)
	require.NotNil(t, secret, "auth/%s/config was never written", path)
	return secret.Data
}

// trusted returns the keys of a mount.
func trusted(t *testing.T, c *api.Client, path string) []plan.Key {
	t.Helper()
	return mountconfig.New(readConfig(t, c, path)).Trusted()
}

// owners returns "cluster/region" of a mount's keys, sorted; foreign keys are "".
func owners(t *testing.T, c *api.Client, path string) []string {
	t.Helper()
	var out []string
	for _, k := range trusted(t, c, path) {
		out = append(out, pem.Owner{Cluster: k.Cluster, Region: k.Region}.String())
	}
	slices.Sort(out)
	return out
}

// kids returns the key ids that a mount trusts for a cluster's region.
func kids(t *testing.T, c *api.Client, path, cluster, region string) []string {
	t.Helper()
	var out []string
	for _, k := range trusted(t, c, path) {
		if k.Cluster == cluster && k.Region == region {
			out = append(out, k.KeyID)
		}
	}
	slices.Sort(out)
	return out
}

// published returns the key ids that a region publishes.
func published(t *testing.T, n *lab.Nomad) []string {
	t.Helper()
	document, err := n.JWKS(t.Context(), "")
	require.NoError(t, err)
	var set struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	require.NoError(t, json.Unmarshal(document, &set))
	var out []string
	for _, k := range set.Keys {
		out = append(out, k.KID)
	}
	slices.Sort(out)
	return out
}

// login logs in at a mount with a JWT.
func login(c *api.Client, path, jwt string) error {
	_, err := c.Logical().Write("auth/"+path+"/login", map[string]any{"role": "nomad-workloads", "jwt": jwt})
	return err
}

var jobs atomic.Int64

// identity returns a workload identity that the agent signed just now.
func identity(t *testing.T, n *lab.Nomad) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	job := fmt.Sprintf("identity-%d", jobs.Add(1))
	_, err := n.RunJob(ctx, fmt.Sprintf(`
job %q {
  type = "service"
  group "group" {
    task "task" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "cp secrets/nomad_vault.jwt local/identity && exec sleep 3600"]
      }
      identity {
        name = "vault"
        aud  = ["vault.io"]
        file = true
        ttl  = "1h"
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}`, job))
	require.NoError(t, err)
	jwt, err := n.TaskFile(ctx, job, "task", "local/identity")
	require.NoError(t, err, n.Log())
	return strings.TrimSpace(string(jwt))
}

// proxy counts the requests to an agent.
type proxy struct {
	URL  string
	gets atomic.Int64
}

func newProxy(t *testing.T, address string) *proxy {
	t.Helper()
	target, err := url.Parse(address)
	require.NoError(t, err)
	p := &proxy{}
	forward := httputil.NewSingleHostReverseProxy(target)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.gets.Add(1)
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	p.URL = s.URL
	return p
}

// get asks an agent, and reads its answer to the end.
func get(ctx context.Context, url string) *http.Response {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response
}

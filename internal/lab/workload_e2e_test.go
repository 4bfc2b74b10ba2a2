//go:build e2e

package lab_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/lab"
)

const mongo = `
job "mongo" {
  type = "service"
  group "db" {
    task "mongo" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args    = ["3600"]
      }
      vault {}
      template {
        destination = "local/config.txt"
        data        = "{{with secret \"secret/data/default/mongo/config\"}}{{.Data.data.password}}{{end}}"
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
`

// A task of either region reads a secret from Vault with its workload identity, where the
// mount trusts the region's keys as static ones, and nothing is left when all has ended.
func TestWorkloads(t *testing.T) {
	v := startVault(t, lab.VaultOptions{})
	east := startNomad(t, lab.NomadOptions{Region: "us-east", VaultAddress: v.Address})
	west := startNomad(t, lab.NomadOptions{Region: "eu-west", VaultAddress: v.Address})
	require.NoError(t, east.Join(t.Context(), west))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	var keys []string
	for _, region := range []string{"us-east", "eu-west"} {
		raw, err := east.JWKS(ctx, region)
		require.NoError(t, err)
		var set jose.JSONWebKeySet
		require.NoError(t, json.Unmarshal(raw, &set))
		for _, k := range set.Keys {
			der, err := x509.MarshalPKIXPublicKey(k.Key)
			require.NoError(t, err)
			keys = append(keys, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
		}
	}
	c := v.Client()
	require.NoError(t, c.Sys().EnableAuth("jwt-nomad", "jwt", ""))
	require.NoError(t, c.Sys().PutPolicy("nomad-workloads", `path "secret/data/default/*" { capabilities = ["read"] }`))
	for path, data := range map[string]map[string]any{
		"auth/jwt-nomad/config": {"jwt_validation_pubkeys": keys, "default_role": "nomad-workloads"},
		"auth/jwt-nomad/role/nomad-workloads": {
			"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "/nomad_job_id",
			"user_claim_json_pointer": true, "token_type": "service", "token_policies": "nomad-workloads", "token_period": "30m",
		},
		"secret/data/default/mongo/config": {"data": map[string]any{"password": "opensesame"}},
	} {
		_, err := c.Logical().Write(path, data)
		require.NoError(t, err, path)
	}

	for _, n := range []*lab.Nomad{east, west} {
		begin := time.Now()
		id, err := n.RunJob(ctx, mongo)
		require.NoError(t, err)
		_, err = n.WaitJob(ctx, id, "running")
		require.NoError(t, err)
		secret, err := n.TaskFile(ctx, id, "mongo", "local/config.txt")
		require.NoError(t, err)
		require.Equal(t, "opensesame", string(secret))
		t.Logf("%s: from job to secret in %v", n.Region, time.Since(begin).Round(time.Millisecond))
	}
	require.NotEmpty(t, lab.Leftovers(lab.Dir(east)), "it looks for the right things")
	for _, n := range []*lab.Nomad{east, west} {
		begin := time.Now()
		n.Stop()
		t.Logf("%s: stopped in %v", n.Region, time.Since(begin).Round(time.Millisecond))
		require.Empty(t, lab.Leftovers(lab.Dir(n)))
	}
	v.Stop()
	require.NoDirExists(t, lab.Dir(v))
}

// Without the right key a task doesn't start, and says why.
func TestWorkloadWithoutKey(t *testing.T) {
	v := startVault(t, lab.VaultOptions{})
	n := startNomad(t, lab.NomadOptions{VaultAddress: v.Address})
	require.NoError(t, v.Client().Sys().EnableAuth("jwt-nomad", "jwt", ""))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	id, err := n.RunJob(ctx, mongo)
	require.NoError(t, err)
	_, err = n.WaitJob(ctx, id, "running")
	require.ErrorContains(t, err, "could not load configuration")
}

// With ACL on, keys and regions still need no token.
func TestACL(t *testing.T) {
	n := startNomad(t, lab.NomadOptions{ACL: true})
	require.NotEmpty(t, n.Token)
	keys, err := n.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 1)
	n.Token = ""
	_, err = n.Keys(t.Context())
	require.ErrorContains(t, err, "Permission denied")
	raw, err := n.JWKS(t.Context(), "")
	require.NoError(t, err)
	require.Contains(t, string(raw), keys[0].KeyID)
	regions, err := n.Regions(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"global"}, regions)
}

const identity = `
job "mongo" {
  type = "service"
  group "db" {
    task "mongo" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "printf %s \"$NOMAD_TOKEN_vault_default\" >local/new; mv local/new local/token; exec sleep 3600"]
      }
      identity {
        name = "vault_default"
        aud  = ["vault.io"]
        env  = true
        ttl  = "1h"
      }
      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
`

// The stand-in's tokens look like Nomad's.
func TestTokens(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, issuer := range []string{"", "self"} {
		n := startNomad(t, lab.NomadOptions{Region: "us-east", Issuer: issuer})
		id, err := n.RunJob(ctx, identity)
		require.NoError(t, err)
		raw, err := n.TaskFile(ctx, id, "mongo", "local/token")
		require.NoError(t, err)

		w := fakenomad.Workload{}
		if issuer != "" {
			w.Issuer = n.Address
		}
		header, claims := decode(t, string(raw))
		wantHeader, want := decode(t, fakenomad.New(t, "us-east").Region("").Token(w))
		require.ElementsMatch(t, slices.Collect(maps.Keys(wantHeader)), slices.Collect(maps.Keys(header)))
		require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(claims)))
		for _, name := range []string{"sub", "aud", "iss", "nomad_namespace", "nomad_job_id", "nomad_task"} {
			require.Equal(t, want[name], claims[name], name)
		}
		t.Logf("header %v, claims %v", header, claims)
	}
}

// decode returns a token's header and claims, unverified.
func decode(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3, token)
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, into))
	}
	return header, claims
}

// A test process that is killed leaves no task running and nothing mounted.
func TestKilledParent(t *testing.T) {
	if os.Getenv("LAB_TEST_KILLED") != "" {
		n := startNomad(t, lab.NomadOptions{})
		id, err := n.RunJob(t.Context(), identity)
		require.NoError(t, err)
		_, err = n.TaskFile(t.Context(), id, "mongo", "local/token")
		require.NoError(t, err)
		fmt.Println("dir", lab.Dir(n))
		<-n.Done()
		return
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestKilledParent$")
	parent.Env = append(os.Environ(), "LAB_TEST_KILLED=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	var dir string
	for s := bufio.NewScanner(out); s.Scan(); {
		if n, _ := fmt.Sscanf(s.Text(), "dir %s", &dir); n == 1 {
			break
		}
	}
	require.NotEmpty(t, dir)
	require.Greater(t, len(lab.Leftovers(dir)), 3, "the agent, its helpers, the task, a mount and a directory")
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Eventually(t, func() bool { return len(lab.Leftovers(dir)) == 0 }, 30*time.Second, 100*time.Millisecond)
}

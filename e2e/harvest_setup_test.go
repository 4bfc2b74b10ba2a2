//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/lab"
)

// jobOf returns the job that a workload identity is for.
func jobOf(t *testing.T, jwt string) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[1])
	require.NoError(t, err)
	var claims struct {
		Job string `json:"nomad_job_id"`
	}
	require.NoError(t, json.Unmarshal(payload, &claims))
	return claims.Job
}

// readAs logs in with a workload identity and returns what a path of the KV engine holds.
func readAs(t *testing.T, c *api.Client, path, role, jwt, secret string) (any, error) {
	t.Helper()
	login, err := c.Logical().Write("auth/"+path+"/login", map[string]any{"role": role, "jwt": jwt})
	if err != nil {
		return nil, err
	}
	as, err := c.Clone()
	require.NoError(t, err)
	as.SetToken(login.Auth.ClientToken)
	read, err := as.Logical().Read("secret/data/" + secret)
	if err != nil {
		return nil, err
	}
	return read.Data["data"].(map[string]any)["password"], nil
}

func putSecret(t *testing.T, c *api.Client, path string) {
	t.Helper()
	_, err := c.Logical().Write("secret/data/"+path, map[string]any{"data": map[string]any{"password": "for " + path}})
	require.NoError(t, err)
}

// From nothing to a task's secret, on servers that are there already; the same again by the
// commands that harvest prints, and back to nothing by those.
func TestSetup(t *testing.T) {
	c := vault2.Client()
	env := []string{"VAULT_ADDR=" + vault2.Address, "VAULT_TOKEN=" + vault2.RootToken}
	args := []string{"setup", "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-setup"}
	r := harvest(t, env, append(args, "-y")...)
	require.Zero(t, r.code)
	jwt := identity(t, west)
	job := jobOf(t, jwt)
	putSecret(t, c, "default/"+job)
	putSecret(t, c, "default/other")
	password, err := readAs(t, c, "jwt-setup", "", jwt, "default/"+job)
	require.NoError(t, err)
	assert.Equal(t, "for default/"+job, password)
	_, err = readAs(t, c, "jwt-setup", "", jwt, "default/other")
	require.Error(t, err, "a job reads its own secrets alone")

	r = harvest(t, env, append(args, "-y")...)
	require.Zero(t, r.code)
	assert.Contains(t, r.stdout, "Nothing to change.")

	// What the printed commands make, harvest finds as it should be.
	args[len(args)-1] = "jwt-printed"
	args = append(args, "-role", "printed")
	run := func(form string) {
		t.Helper()
		r := harvest(t, env, append(args, "-print", form)...)
		require.Zero(t, r.code)
		binaries, err := lab.Find(lab.PairFromEnv())
		require.NoError(t, err)
		script := exec.CommandContext(t.Context(), "sh", "-euc", r.stdout)
		script.Env = append(env, "HOME="+t.TempDir(), "PATH="+filepath.Dir(binaries.Vault)+":"+os.Getenv("PATH"))
		out, err := script.CombinedOutput()
		require.NoError(t, err, "%s\n%s", r.stdout, out)
	}
	run("vault")
	r = harvest(t, env, append(args, "-format", "json")...)
	require.Zero(t, r.code)
	assert.NotContains(t, r.stdout, `"action": "create"`)
	assert.NotContains(t, r.stdout, `"action": "change"`)
	password, err = readAs(t, c, "jwt-printed", "printed", jwt, "default/"+job)
	require.NoError(t, err)
	assert.Equal(t, "for default/"+job, password)
	run("removal")
	mounts, err := c.Sys().ListAuth()
	require.NoError(t, err)
	assert.NotContains(t, mounts, "jwt-printed/")
	policies, err := c.Sys().ListPolicies()
	require.NoError(t, err)
	assert.NotContains(t, policies, "printed.jwt-printed")
	assert.Contains(t, policies, "nomad-workloads.jwt-setup", "another mount's")
}

// A shared mount with a role for each cluster: each reads the secrets below its own prefix.
func TestSetupShared(t *testing.T) {
	c := vault2.Client()
	config := configFile(t, fmt.Sprintf(`
cluster "us-east" { address = %q }
cluster "eu-west" { address = %q }
vault { address = %q }
mount "jwt-shared" {
  clusters = ["us-east", "eu-west"]
  role "nomad-us-east" {
    bound  = { sub = "us-east-1:*" }
    prefix = "us-east"
  }
  role "nomad-eu-west" {
    bound  = { sub = "eu-west:*" }
    prefix = "eu-west"
  }
}
`, east1.Address, west.Address, vault2.Address))
	env := []string{"VAULT_ADDR=" + vault2.Address, "VAULT_TOKEN=" + vault2.RootToken}
	r := harvest(t, env, "setup", "-config", config, "-y")
	require.Zero(t, r.code)
	assert.Contains(t, r.stdout, "Only a mount for each cluster does.")
	jwt := identity(t, west)
	job := jobOf(t, jwt)
	putSecret(t, c, "eu-west/default/"+job)
	putSecret(t, c, "us-east/default/"+job)
	password, err := readAs(t, c, "jwt-shared", "nomad-eu-west", jwt, "eu-west/default/"+job)
	require.NoError(t, err)
	assert.Equal(t, "for eu-west/default/"+job, password)
	_, err = readAs(t, c, "jwt-shared", "nomad-eu-west", jwt, "us-east/default/"+job)
	require.Error(t, err)
	_, err = readAs(t, c, "jwt-shared", "nomad-us-east", jwt, "us-east/default/"+job)
	require.ErrorContains(t, err, "sub", "the role is bound to the other region")
	r = harvest(t, env, "setup", "-config", config, "-y")
	require.Zero(t, r.code)
	assert.Contains(t, r.stdout, "Nothing to change.")
}

// A file whose auth block is the harvester's own is set up with the administrator's token,
// which comes to no other Vault.
func TestSetupAdministrator(t *testing.T) {
	weak, err := vault2.Client().Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"default"}})
	require.NoError(t, err)
	config := configFile(t, fmt.Sprintf(`
cluster "eu-west" { address = %q }
vault "one" {
  address = %q
  auth "token_file" { path = %q }
}
vault "two" {
  address = %q
  auth "token_file" { path = %q }
}
mount "jwt-admin-one" {
  vault    = "one"
  clusters = ["eu-west"]
}
mount "jwt-admin" {
  vault    = "two"
  clusters = ["eu-west"]
}
`, west.Address, vault.Address, fixture.File(t, vault.RootToken), vault2.Address, fixture.File(t, weak.Auth.ClientToken)))
	elsewhere := []string{"VAULT_ADDR=http://127.0.0.1:1", "VAULT_TOKEN=" + vault2.RootToken}
	r := harvest(t, elsewhere, "setup", "-config", config, "-y")
	require.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "has several Vaults")

	r = harvest(t, []string{"VAULT_ADDR=" + vault2.Address, "VAULT_TOKEN=" + vault2.RootToken}, "setup", "-config", config, "-y")
	require.Zero(t, r.code)
	assert.Contains(t, r.stdout, "The token of VAULT_TOKEN is used, for "+vault2.Address+" alone.")
	assert.NotContains(t, r.stdout+r.stderr, vault2.RootToken)
	mounts, err := vault2.Client().Sys().ListAuth()
	require.NoError(t, err)
	assert.Contains(t, mounts, "jwt-admin/")
	mounts, err = vault.Client().Sys().ListAuth()
	require.NoError(t, err)
	assert.NotContains(t, mounts, "jwt-admin-one/", "another Vault's mounts are left out")
	r = harvest(t, elsewhere, "setup", "-config", config, "-vault", "two", "-y")
	require.Zero(t, r.code)
	assert.Contains(t, r.stdout, "Nothing to change.")
}

// The vault blocks that setup prints are whole: an agent with nothing else of Vault in its
// configuration runs a task that reads its secret.
func TestSetupBlocks(t *testing.T) {
	c := vault2.Client()
	env := []string{"VAULT_ADDR=" + vault2.Address, "VAULT_TOKEN=" + vault2.RootToken}
	r := harvest(t, env, "setup", "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-blocks", "-role", "blocks", "-y")
	require.Zero(t, r.code)
	blocks := regexp.MustCompile(`(?ms)^    vault \{$.*?^    \}$`).FindAllString(r.stdout, -1)
	require.Len(t, blocks, 2, "the clients' and the servers'")
	_, identity, ok := strings.Cut(blocks[1], "enabled = true\n")
	require.True(t, ok)
	both := strings.TrimSuffix(blocks[0], "}") + identity // as for an agent that is both
	n, err := lab.StartNomad(t.Context(), lab.NomadOptions{Region: "blocks", VaultBlock: both})
	require.NoError(t, err, both)
	t.Cleanup(n.Stop)
	require.Zero(t, harvest(t, env, "sync", "-cluster", "blocks", "-nomad-address", n.Address, "-mount", "jwt-blocks").code)
	putSecret(t, c, "default/mongo")
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	_, err = n.RunJob(ctx, strings.NewReplacer("kv/data/default/mongo/config", "secret/data/default/mongo", "root_password", "password").Replace(mongo))
	require.NoError(t, err)
	secret, err := n.TaskFile(ctx, "mongo", "mongo", "local/config")
	require.NoError(t, err, n.Log())
	assert.Equal(t, "for default/mongo", strings.TrimSpace(string(secret)))
}

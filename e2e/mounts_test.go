//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/go-jose/go-jose/v4"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/pem"
)

// nomadExample is the key set of Nomad's documentation.
const nomadExample = "../jwks/testdata/nomad-docs.json"

// examplePEM is what harvest pem makes of it.
func examplePEM(t *testing.T) string {
	t.Helper()
	r := harvest(t, nil, "pem", nomadExample)
	require.Equal(t, 0, r.code)
	return r.stdout
}

// jwksFile writes the public halves of keys as a key set.
func jwksFile(t *testing.T, keys ...*fakenomad.Key) string {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.JWK())
	}
	b, err := json.Marshal(set)
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "jwks.json")
	require.NoError(t, os.WriteFile(name, b, 0o600))
	return name
}

// ownToken signs a workload identity with a key of the test's.
func ownToken(k *fakenomad.Key) string {
	now := time.Now().Unix()
	return fakenomad.Sign(k, map[string]any{
		"aud": "vault.io", "sub": "edge:default:mongo:db:mongo:vault_default", "iat": now, "nbf": now, "exp": now + 3600,
		"nomad_namespace": "default", "nomad_job_id": "mongo", "nomad_task": "mongo",
	})
}

func TestPEM(t *testing.T) {
	text := examplePEM(t)
	cmd := exec.CommandContext(t.Context(), "openssl", "pkey", "-pubin", "-noout")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	c := enable(t, vault, "jwt-pem", map[string]any{"jwt_validation_pubkeys": []string{text}})
	require.Len(t, trusted(t, c, "jwt-pem"), 1)

	r := harvest(t, nil, "pem", "-format", "vault", nomadExample)
	require.Equal(t, 0, r.code)
	assert.Contains(t, r.stderr, "default_role", "it says what it would wipe on an old mount")
	var body map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &body))
	c = enable(t, vault, "jwt-pem-vault", body)
	require.Len(t, trusted(t, c, "jwt-pem-vault"), 1)
}

func TestEd25519(t *testing.T) {
	c := enable(t, vault, "jwt-ed", nil)
	key := fakenomad.NewKey("EdDSA")
	syncNow(t, 0, "-cluster", "edge", "-jwks-file", jwksFile(t, key), "-mount", "jwt-ed")
	require.NoError(t, login(c, "jwt-ed", ownToken(key)))
	require.Error(t, login(c, "jwt-ed", ownToken(fakenomad.NewKey("EdDSA"))))
}

func TestSettingsStay(t *testing.T) {
	c := enable(t, vault, "jwt-settings", map[string]any{
		"jwt_validation_pubkeys": []string{examplePEM(t)}, "default_role": "nomad-workloads",
		"bound_issuer": "https://nomad.example.com", "jwt_supported_algs": []string{"RS256", "EdDSA"},
	})
	before := readConfig(t, c, "jwt-settings")
	for range 2 {
		r := syncNow(t, 0, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-settings")
		assert.Contains(t, r.stdout, "foreign")
		after := readConfig(t, c, "jwt-settings")
		for field, value := range before {
			if field != "jwt_validation_pubkeys" {
				assert.Equal(t, value, after[field], field)
			}
		}
		assert.Len(t, owners(t, c, "jwt-settings"), len(published(t, west))+1)
	}
}

func TestStaticKeysOnly(t *testing.T) {
	url := west.Address + "/.well-known/jwks.json"
	c := enable(t, vault, "jwt-url", map[string]any{"jwks_url": url, "default_role": "nomad-workloads"})
	before := readConfig(t, c, "jwt-url")
	args := []string{"-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-url"}
	r := syncNow(t, 1, args...)
	assert.Contains(t, r.stderr, "jwks_url")
	assert.Contains(t, r.stderr, "-convert", "it says the way out")
	assert.Equal(t, before, readConfig(t, c, "jwt-url"))

	r = syncNow(t, 0, append(args, "-convert")...)
	assert.Contains(t, r.stdout+r.stderr, "jwks_url")
	after := readConfig(t, c, "jwt-url")
	assert.Empty(t, after["jwks_url"])
	assert.Equal(t, "nomad-workloads", after["default_role"])
	require.NoError(t, login(c, "jwt-url", identity(t, west)))
}

// Two mounts of one name in two Vaults; one of the two then sealed.
func TestTwoVaults(t *testing.T) {
	c, c2 := enable(t, vault, "jwt-twice", nil), enable(t, vault2, "jwt-twice", nil)
	tokenFile := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(tokenFile, []byte(vault2.RootToken+"\n"), 0o600))
	config := configFile(t, fmt.Sprintf(`
cluster "us-east" { address = %q }
cluster "eu-west" { address = %q }
vault "one" { address = %q }
vault "two" {
  address = %q
  auth "token_file" { path = %q }
}
mount "first" {
  vault    = "one"
  path     = "jwt-twice"
  clusters = ["us-east"]
}
mount "second" {
  vault    = "two"
  path     = "jwt-twice"
  clusters = ["eu-west"]
}
`, east1.Address, west.Address, vault.Address, vault2.Address, tokenFile))
	syncNow(t, 0, "-config", config)
	assert.Equal(t, published(t, east1), kids(t, c, "jwt-twice", "us-east", ""))
	assert.Equal(t, published(t, west), kids(t, c2, "jwt-twice", "eu-west", ""))

	require.NoError(t, c2.Sys().Seal())
	r := syncNow(t, 3, "-config", config)
	assert.Contains(t, r.stderr, "sealed")
	assert.Contains(t, r.stderr, vault2.Address)
	_, err := c2.Sys().Unseal(vault2.UnsealKey)
	require.NoError(t, err)
}

// What the shell pipeline left behind: live keys are adopted, dead ones reported.
func TestHandPasted(t *testing.T) {
	live := harvest(t, []string{"NOMAD_ADDR=" + west.Address}, "pem")
	require.Equal(t, 0, live.code)
	elements := []string{}
	for _, block := range strings.SplitAfter(live.stdout, "-----END PUBLIC KEY-----\n") {
		if block != "" {
			elements = append(elements, "pasted by hand\n"+block)
		}
	}
	c := enable(t, vault, "jwt-pasted", map[string]any{"jwt_validation_pubkeys": append(elements, examplePEM(t))})
	token := identity(t, west)
	require.NoError(t, login(c, "jwt-pasted", token))
	args := []string{"-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-pasted"}
	r := syncNow(t, 0, args...)
	assert.Contains(t, r.stdout, "~")
	assert.Contains(t, r.stdout, "? foreign")
	assert.Equal(t, published(t, west), kids(t, c, "jwt-pasted", "eu-west", ""))
	require.NoError(t, login(c, "jwt-pasted", token))

	r = syncNow(t, 0, append(args, "-foreign", "remove")...)
	assert.Contains(t, r.stdout, "- ")
	assert.NotContains(t, owners(t, c, "jwt-pasted"), "")
	require.NoError(t, login(c, "jwt-pasted", token))
}

func TestRenamedAndRetired(t *testing.T) {
	c := enable(t, vault, "jwt-renamed", nil)
	key := fakenomad.NewKey("EdDSA")
	file := jwksFile(t, key)
	config := func(clusters, retired string) string {
		return configFile(t, fmt.Sprintf(`
cluster "eu-west"  { address = %q }
cluster "new-name" { address = %q }
cluster "edge"     { jwks_file = %q }
vault { address = %q }
mount "jwt-renamed" {
  clusters = %s
  retired  = %s
}
`, west.Address, west.Address, file, vault.Address, clusters, retired))
	}
	syncNow(t, 0, "-config", config(`["eu-west", "edge"]`, `[]`))
	before := trusted(t, c, "jwt-renamed")

	syncNow(t, 0, "-config", config(`["new-name", "edge"]`, `["eu-west"]`))
	assert.Equal(t, published(t, west), kids(t, c, "jwt-renamed", "new-name", ""))
	assert.Len(t, trusted(t, c, "jwt-renamed"), len(before))
	for _, k := range trusted(t, c, "jwt-renamed") {
		assert.Equal(t, before[0].Added, k.Added, "since when it is trusted survives a new name")
	}

	require.NoError(t, login(c, "jwt-renamed", ownToken(key)))
	syncNow(t, 0, "-config", config(`["new-name"]`, `["edge"]`))
	assert.Empty(t, kids(t, c, "jwt-renamed", "edge", ""))
	require.Error(t, login(c, "jwt-renamed", ownToken(key)))
}

func TestTurnover(t *testing.T) {
	c := enable(t, vault, "jwt-turnover", nil)
	first, second := fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA")
	args := func(k *fakenomad.Key) []string {
		return []string{"-cluster", "edge", "-jwks-file", jwksFile(t, k), "-mount", "jwt-turnover"}
	}
	syncNow(t, 0, args(first)...)
	r := harvest(t, nil, append([]string{"sync"}, args(second)...)...)
	require.NotEqual(t, 0, r.code)
	f, err := pem.FingerprintOf(second.Public())
	require.NoError(t, err)
	assert.Contains(t, r.stderr, f.Short())
	assert.Contains(t, r.stderr, "-allow-turnover=edge", "the exact command")
	require.NoError(t, login(c, "jwt-turnover", ownToken(first)))

	syncNow(t, 0, append(args(second), "-allow-turnover=edge")...)
	require.NoError(t, login(c, "jwt-turnover", ownToken(second)))
	require.Error(t, login(c, "jwt-turnover", ownToken(first)))
}

// Deny reaches a cluster that can't be read; the last key goes only when that is allowed,
// and then nobody can log in.
func TestDeny(t *testing.T) {
	c := enable(t, vault, "jwt-deny", nil)
	key := fakenomad.NewKey("EdDSA")
	f, err := pem.FingerprintOf(key.Public())
	require.NoError(t, err)
	file := jwksFile(t, key)
	args := []string{"-cluster", "edge", "-jwks-file", file, "-mount", "jwt-deny"}
	syncNow(t, 0, args...)
	require.NoError(t, os.Remove(file))

	r := harvest(t, nil, append([]string{"sync", "-deny", f.String()}, args...)...)
	require.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "-allow-empty")
	require.NoError(t, login(c, "jwt-deny", ownToken(key)))

	r = harvest(t, nil, append([]string{"sync", "-deny", f.String(), "-allow-empty"}, args...)...)
	require.Equal(t, 3, r.code, "the key is gone, and the cluster could not be read")
	require.Error(t, login(c, "jwt-deny", ownToken(key)))
	require.Len(t, trusted(t, c, "jwt-deny"), 1)
}

// A token with the printed policy and nothing else suffices, on a fresh mount too.
func TestPolicySuffices(t *testing.T) {
	c := enable(t, vault, "jwt-least", nil)
	policy := harvest(t, nil, "policy", "-mount", "jwt-least")
	require.Equal(t, 0, policy.code)
	require.NoError(t, c.Sys().PutPolicy("harvest", policy.stdout))
	secret, err := c.Logical().Write("auth/token/create", map[string]any{"policies": []string{"harvest"}, "no_default_policy": true})
	require.NoError(t, err)
	env := []string{"VAULT_TOKEN=" + secret.Auth.ClientToken}
	args := []string{"-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-least"}
	for _, command := range []string{"plan", "sync", "sync", "status"} {
		r := harvest(t, env, append([]string{command}, args...)...)
		require.Equal(t, 0, r.code, command)
	}
	assert.Equal(t, published(t, west), kids(t, c, "jwt-least", "eu-west", ""))

	r := harvest(t, env, "sync", "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-other")
	require.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "harvest policy")
	assert.NotContains(t, r.stdout+r.stderr, secret.Auth.ClientToken)
}

func TestNoMount(t *testing.T) {
	r := syncNow(t, 1, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-missing")
	assert.Contains(t, r.stderr, "vault auth enable -path=jwt-missing jwt")
}

// Every way to log in that a real Vault can be asked for here. harvest logs in with a
// workload identity on the very mount that it keeps.
func TestLogins(t *testing.T) {
	c := enable(t, vault, "jwt-login", nil)
	require.NoError(t, c.Sys().PutPolicy("harvest-login", harvest(t, nil, "policy", "-mount", "jwt-login").stdout))
	syncNow(t, 0, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-login")

	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content+"\n"), 0o600))
		return path
	}
	_, err := c.Logical().Write("auth/jwt-login/role/harvest", map[string]any{
		"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "nomad_job_id", "token_policies": "harvest-login",
	})
	require.NoError(t, err)
	require.NoError(t, c.Sys().EnableAuth("approle", "approle", ""))
	_, err = c.Logical().Write("auth/approle/role/harvest", map[string]any{"token_policies": "harvest-login", "role_id": "harvest-role"})
	require.NoError(t, err)
	_, err = c.Logical().Write("auth/approle/role/harvest/role-id", map[string]any{"role_id": "harvest-role"})
	require.NoError(t, err)
	secretID, err := c.Logical().Write("auth/approle/role/harvest/secret-id", nil)
	require.NoError(t, err)
	jwt := identity(t, west)
	secret := secretID.Data["secret_id"].(string)

	for name, auth := range map[string]string{
		"jwt":        fmt.Sprintf("auth \"jwt\" {\n mount = \"jwt-login\"\n role = \"harvest\"\n token_file = %q\n}", file("jwt", jwt)),
		"approle":    fmt.Sprintf("auth \"approle\" {\n role_id = \"harvest-role\"\n secret_id_file = %q\n}", file("secret-id", secret)),
		"token_file": fmt.Sprintf("auth \"token_file\" {\n path = %q\n}", file("token", vault.RootToken)),
		"helper":     "",
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			if name == "helper" {
				require.NoError(t, os.WriteFile(filepath.Join(home, ".vault-token"), []byte(vault.RootToken), 0o600))
			}
			config := configFile(t, fmt.Sprintf(`
cluster "eu-west" { address = %q }
vault {
  address = %q
  %s
}
mount "jwt-login" { clusters = ["eu-west"] }
`, west.Address, vault.Address, auth))
			r := harvest(t, []string{"VAULT_TOKEN=", "HOME=" + home}, "sync", "-config", config, "-log-level", "debug")
			require.Equal(t, 0, r.code)
			for _, credential := range []string{jwt, secret, vault.RootToken} {
				assert.NotContains(t, r.stdout+r.stderr, credential)
			}
			if name == "jwt" || name == "approle" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, map[string]string{"jwt": "jwt", "approle": "secret-id"}[name]), []byte("wrong"), 0o600))
				r = harvest(t, []string{"VAULT_TOKEN=", "HOME=" + home}, "sync", "-config", config)
				require.Equal(t, 1, r.code)
				assert.Contains(t, r.stderr, "jwt-login", "a failed login names the mount that it fails")
			}
		})
	}
}

//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
)

// vaultCommand runs Vault's own command at the first Vault.
func vaultCommand(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	binaries, err := lab.Find(lab.PairFromEnv())
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), binaries.Vault, args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "VAULT_ADDR=" + vault.Address, "VAULT_TOKEN=" + vault.RootToken}
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	require.NoError(t, err, "vault %v", args)
	return out
}

// The move of docs/migrate.md from a pipeline: a login works before and after each step, the
// keys that the pipeline wrote are adopted, one that nobody publishes stays until it is told
// to go, and the way back leads back.
func TestMigratePipeline(t *testing.T) {
	before := map[string]any{"default_role": "nomad-workloads", "jwt_supported_algs": []string{"RS256"}}
	live := harvest(t, nil, "pem", west.Address)
	require.Zero(t, live.code)
	c := enable(t, vault, "jwt-migrate-pipeline", nil)
	before["jwt_validation_pubkeys"] = append(pemBlocks(live.stdout), examplePEM(t))
	writeConfig(t, c, "jwt-migrate-pipeline", before)
	jwt := identity(t, west)
	works := func(step string) {
		t.Helper()
		require.NoError(t, login(c, "jwt-migrate-pipeline", jwt), step)
	}
	works("as the pipeline left it")
	saved := vaultCommand(t, nil, "read", "-format=json", "-field=data", "auth/jwt-migrate-pipeline/config")

	args := []string{"-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-migrate-pipeline"}
	r := harvest(t, nil, append([]string{"plan"}, args...)...)
	require.Zero(t, r.code)
	assert.Contains(t, r.stdout, "~ eu-west")
	assert.Contains(t, r.stdout, "? foreign")
	assert.NotContains(t, r.stdout, "  - ")
	works("planned")

	syncNow(t, 0, args...)
	works("synced")
	assert.Equal(t, published(t, west), kids(t, c, "jwt-migrate-pipeline", "eu-west", ""))
	assert.Contains(t, owners(t, c, "jwt-migrate-pipeline"), "", "nobody's key stays")
	assert.Equal(t, "nomad-workloads", readConfig(t, c, "jwt-migrate-pipeline")["default_role"])
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte(jwt), 0o600))
	require.Zero(t, harvest(t, nil, append([]string{"verify", token, "-role", "nomad-workloads"}, args...)...).code)

	syncNow(t, 0, append(args, "-foreign", "remove")...)
	works("without what nobody published")
	assert.NotContains(t, owners(t, c, "jwt-migrate-pipeline"), "")

	vaultCommand(t, saved, "write", "auth/jwt-migrate-pipeline/config", "-")
	works("and back")
	again := vaultCommand(t, nil, "read", "-format=json", "-field=data", "auth/jwt-migrate-pipeline/config")
	assert.JSONEq(t, string(saved), string(again))
}

// The move from jwks_url, and from jwks_pairs: refused until it is asked for, one write, and back.
func TestMigrateURL(t *testing.T) {
	document := west.Address + "/.well-known/jwks.json"
	for mode, value := range map[string]any{
		"jwks_url":   document,
		"jwks_pairs": []map[string]any{{"jwks_url": document}},
	} {
		t.Run(mode, func(t *testing.T) {
			path := "jwt-migrate-" + mode
			if mode == "jwks_pairs" {
				needsPairs(t, path+"-asked")
			}
			c := enable(t, vault, path, map[string]any{mode: value, "default_role": "nomad-workloads", "jwt_supported_algs": []string{"RS256"}})
			jwt := identity(t, west)
			works := func(step string) {
				t.Helper()
				require.NoError(t, login(c, path, jwt), step)
			}
			works("by URL")
			saved := vaultCommand(t, nil, "read", "-format=json", "-field=data", "auth/"+path+"/config")
			same := func(step string) {
				t.Helper()
				require.JSONEq(t, string(saved), string(vaultCommand(t, nil, "read", "-format=json", "-field=data", "auth/"+path+"/config")), step)
			}

			args := []string{"-cluster", "eu-west", "-nomad-address", west.Address, "-mount", path}
			r := syncNow(t, 1, args...)
			assert.Contains(t, r.stderr, "mount is not in static key mode: "+mode+" is set")
			same("refused")
			r = harvest(t, nil, append([]string{"plan", "-convert"}, args...)...)
			require.Zero(t, r.code)
			assert.Contains(t, r.stdout, "converted to static keys: "+mode+" cleared")
			same("planned")
			r = syncNow(t, 1, "-cluster", "eu-west", "-nomad-address", "http://127.0.0.1:1", "-mount", path, "-convert")
			assert.Contains(t, r.stderr, "eu-west")
			same("a cluster that can't be read stops the switch")
			works("not switched yet")

			syncNow(t, 0, append(args, "-convert")...)
			works("static")
			after := readConfig(t, c, path)
			assert.Empty(t, after[mode])
			assert.Equal(t, "nomad-workloads", after["default_role"])
			syncNow(t, 0, args...)
			works("without -convert")

			vaultCommand(t, saved, "write", "auth/"+path+"/config", "-")
			same("back")
			works("by URL again")
			syncNow(t, 1, args...)
			same("harvest leaves it alone")
		})
	}
}

// Two clusters by jwks_pairs: while one can't be read nothing is switched, and the switch
// brings the logins of both.
func TestMigratePairs(t *testing.T) {
	const path = "jwt-migrate-two-pairs"
	needsPairs(t, path+"-asked")
	pairs := []map[string]any{{"jwks_url": east1.Address + "/.well-known/jwks.json"}, {"jwks_url": west.Address + "/.well-known/jwks.json"}}
	c := enable(t, vault, path, map[string]any{"jwks_pairs": pairs})
	tokens := []string{identity(t, east1), identity(t, west)}
	works := func(step string) {
		t.Helper()
		for _, jwt := range tokens {
			require.NoError(t, login(c, path, jwt), step)
		}
	}
	config := func(west string) string {
		return configFile(t, fmt.Sprintf(`
cluster "us-east" { address = %q }
cluster "eu-west" { address = %q }
mount %q {
  clusters = ["us-east", "eu-west"]
  convert  = true
}
`, east1.Address, west, path))
	}
	works("by pairs")
	before := readConfig(t, c, path)
	r := syncNow(t, 1, "-config", config(unreachable))
	assert.Contains(t, r.stderr, "eu-west")
	assert.Equal(t, before, readConfig(t, c, path))
	works("not switched")
	syncNow(t, 0, "-config", config(west.Address))
	assert.Empty(t, readConfig(t, c, path)["jwks_pairs"])
	works("static")
}

// pemBlocks takes a text of PEM blocks apart.
func pemBlocks(text string) []string {
	var blocks []string
	for _, block := range bytes.SplitAfter([]byte(text), []byte("-----END PUBLIC KEY-----\n")) {
		if len(bytes.TrimSpace(block)) > 0 {
			blocks = append(blocks, string(block))
		}
	}
	return blocks
}

//go:build e2e

package walkthrough

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
)

// configureAll runs the walk-through with the directories before the PATH, and wants nothing left.
func configureAll(t *testing.T, path ...string) (string, error) {
	t.Helper()
	tmp := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "make", "configure-all")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "XDG_CACHE_HOME="+t.TempDir(), "GOCACHE="+goCache(t),
		"PATH="+strings.Join(append(path, os.Getenv("PATH")), ":"))
	out, err := cmd.CombinedOutput()
	left, readErr := os.ReadDir(tmp)
	require.NoError(t, readErr)
	assert.Empty(t, left, "directories left behind")
	processes, globErr := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, globErr)
	for _, p := range processes {
		environ, _ := os.ReadFile(p) // gone, or somebody else's
		assert.NotContains(t, string(environ), tmp, "%s is left behind", p)
	}
	return string(out), err
}

func goCache(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// tap is a vault that leaves a copy of every token and password that passes through it, and
// refuses to write policies if that is asked.
func tap(t *testing.T, vault, seen string, refuse bool) string {
	t.Helper()
	script := "#!/bin/sh\nprintf '%s\\n' \"${VAULT_TOKEN:-}${VAULT_DEV_ROOT_TOKEN_ID:-}\" \"${NOMAD_TOKEN:-}\" >>'" + seen + "'\n"
	if refuse {
		script += "[ \"$1\" != policy ] || { echo refused >&2; exit 1; }\n"
	}
	script += "case $* in 'kv get'*) '" + vault + "' \"$@\" | tee -a '" + seen + "';; *) exec '" + vault + "' \"$@\";; esac\n"
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "vault"), []byte(script), 0o700))
	return dir
}

func TestConfigureAll(t *testing.T) {
	binaries, err := lab.Find(lab.PairFromEnv())
	require.NoError(t, err)
	nomad := filepath.Dir(binaries.Nomad)

	t.Run("to the secret", func(t *testing.T) {
		seen := filepath.Join(t.TempDir(), "seen")
		out, err := configureAll(t, tap(t, binaries.Vault, seen, false), nomad)
		require.NoError(t, err, out)
		assert.Contains(t, out, "authenticatedUsers: [ { user: 'root'")
		assert.Contains(t, out, "MONGO_INITDB_ROOT_PASSWORD=(as in Vault)")
		raw, err := os.ReadFile(seen)
		require.NoError(t, err)
		secrets := map[string]bool{}
		for s := range strings.FieldsSeq(string(raw)) {
			secrets[s] = true
			assert.NotContains(t, out, s, "a secret was printed")
		}
		assert.Len(t, secrets, 3, "Vault's root token, Nomad's management token and the password")
	})
	t.Run("a step fails", func(t *testing.T) {
		out, err := configureAll(t, tap(t, binaries.Vault, filepath.Join(t.TempDir(), "seen"), true), nomad)
		require.Error(t, err)
		assert.Contains(t, out, "refused")
		assert.NotContains(t, out, "02-05")
	})
	t.Run("no nomad", func(t *testing.T) {
		if path, err := exec.LookPath("nomad"); err == nil {
			t.Skipf("%s is on the PATH", path)
		}
		out, err := configureAll(t, filepath.Dir(binaries.Vault))
		require.Error(t, err)
		assert.Contains(t, out, "no nomad on the PATH")
	})
}

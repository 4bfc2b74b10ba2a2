//go:build unix

package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
)

func TestExposed(t *testing.T) {
	dir := fixture.OpenDir(t)
	put := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	open, group := put("open", 0o604), put("group", 0o640)
	closed, platform := put("closed/open", 0o644), put("secrets/nomad_vault.jwt", 0o644)
	require.NoError(t, os.Chmod(filepath.Dir(closed), 0o750))
	link := filepath.Join(dir, "closed", "link")
	require.NoError(t, os.Symlink(open, link))
	all := []string{open, group, closed, platform, link, filepath.Join(dir, "missing"), "/run/secrets/x"}
	getenv := func(name string) string {
		return map[string]string{"NOMAD_SECRETS_DIR": filepath.Join(dir, "secrets")}[name]
	}
	assert.Equal(t, []string{open, link}, Exposed(all, getenv))
	assert.Contains(t, Exposed(all, func(string) string { return "" }), platform)

	t.Chdir(filepath.Join(dir, "secrets"))
	assert.Empty(t, Exposed([]string{"nomad_vault.jwt"}, getenv))
	assert.False(t, within("/run/secrets", "/run/secrets-of-others/x"))
	assert.False(t, within("/run/secrets", "/run/x"))
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOrderOfMounts: reports stand in the file's order, whichever Vault let us in, and a
// refused mount's error is its own.
func TestOrderOfMounts(t *testing.T) {
	vault := ownVault(t)
	for _, path := range []string{"first", "third", "fourth"} {
		vault.Enable("", path, "jwt")
	}
	config := filepath.Join(t.TempDir(), "c.hcl")
	require.NoError(t, os.WriteFile(config, []byte(strings.ReplaceAll(`
cluster "a" { jwks_file = "testdata/us-east.json" }
vault "good" { address = "$VAULT" }
vault "bad" {
  address = "$VAULT"
  auth "token_file" { path = "testdata/missing.token" }
}
mount "first" {
  vault    = "good"
  clusters = ["a"]
}
mount "second" {
  vault    = "bad"
  clusters = ["a"]
}
mount "third" {
  vault    = "good"
  clusters = ["a"]
}
mount "fourth" {
  vault    = "good"
  clusters = ["a"]
}
`, "$VAULT", vault.URL)), 0o600))
	for _, command := range []string{"plan", "status"} {
		code, stdout, stderr := harvest(t, nil, command, "-config", config, "-format", "json")
		assert.Equal(t, exitPartial, code)
		var report struct {
			Mounts []struct{ Path, Error string }
		}
		require.NoError(t, json.Unmarshal([]byte(stdout), &report))
		require.Len(t, report.Mounts, 4)
		for i, path := range []string{"first", "second", "third", "fourth"} {
			assert.Equal(t, path, report.Mounts[i].Path)
			assert.Equal(t, path == "second", report.Mounts[i].Error != "", path)
		}
		assert.Contains(t, stderr, "mount second at "+vault.URL+": token file: open testdata/missing.token")
	}

	// The body of one mount can't be that of four.
	code, stdout, stderr := harvest(t, nil, "plan", "-config", config, "-format", "vault")
	assert.Equal(t, exitNothing, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "-format vault writes the configuration of one mount")
}

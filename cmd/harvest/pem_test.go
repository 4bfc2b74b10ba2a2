package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/keydir"
)

// out runs pem -out.
func out(t *testing.T, dir, file string, more ...string) (code int, stdout, stderr string) {
	t.Helper()
	return harvest(t, nil, append([]string{"pem", "-out", dir, file}, more...)...)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// document writes a JWKS with the first n keys of mixed.json under these kids.
func document(t *testing.T, ids ...string) string {
	t.Helper()
	data, err := os.ReadFile("../../jwks/testdata/mixed.json")
	require.NoError(t, err)
	var set struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal(data, &set))
	keys := []map[string]any{}
	for i, id := range ids {
		set.Keys[i]["kid"] = id
		keys = append(keys, set.Keys[i])
	}
	data, err = json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "set.json")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

func TestOutHostileKeyIDs(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "keys")
	code, _, stderr := out(t, dir, document(t, "../escape", "/etc/passwd", ".hidden", "..", keydir.Manifest))
	require.Zero(t, code, stderr)
	assert.Equal(t, []string{"keys"}, names(t, parent))
	assert.Equal(t, []string{
		"%2e.%2fescape.pem", "%2e..pem", "%2eharvest-keys.json.pem", "%2ehidden.pem", "%2fetc%2fpasswd.pem", keydir.Manifest,
	}, names(t, dir))
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

func TestOutChangedSince(t *testing.T) {
	dir := t.TempDir()
	code, _, _ := out(t, dir, document(t, "one", "two"))
	require.Zero(t, code)
	info, err := os.Stat(filepath.Join(dir, "one.pem"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode().Perm())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "two.pem"), []byte("mine now"), 0o600))
	// Its key is gone: it isn't removed.
	code, stdout, stderr := out(t, dir, document(t, "one"))
	assert.Zero(t, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "was changed since harvest wrote it")
	// Its key is back: it isn't overwritten.
	code, _, _ = out(t, dir, document(t, "one", "two"))
	assert.Equal(t, exitNothing, code)
	assert.Equal(t, "mine now", read(t, filepath.Join(dir, "two.pem")))
}

// TestOutAnnotated: the day a key was added stays, and nothing is written for its sake.
func TestOutAnnotated(t *testing.T) {
	dir, file := t.TempDir(), document(t, "one")
	code, _, _ := out(t, dir, file, "-annotate", "-cluster", "us-east")
	require.Zero(t, code)
	first := read(t, filepath.Join(dir, "one.pem"))
	require.Contains(t, first, `added="2026-11-22T12:00:00Z"`)
	earlier := strings.Replace(first, "2026-11-22", "2026-01-01", 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "one.pem"), []byte(earlier), 0o600))
	code, _, stderr := out(t, dir, file, "-annotate", "-cluster", "us-east")
	require.Zero(t, code, stderr)
	assert.Equal(t, earlier, read(t, filepath.Join(dir, "one.pem")))
	assert.False(t, slices.ContainsFunc(names(t, dir), func(n string) bool { return strings.HasSuffix(n, ".tmp") }))
}

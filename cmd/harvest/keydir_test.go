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

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// hostileKeyIDs are what a cluster could try to get out of the directory with, or to
// overwrite something in it.
var hostileKeyIDs = []string{
	"", ".", "..", "../../etc/passwd", "/etc/passwd", `..\..\windows`, ".ssh", manifestName, "a/b", "a\x00b", "a\nb", "CON", "~",
	"ключ", "a%2fb", "a b", "-rf", strings.Repeat("x", 256), strings.Repeat("x", 255) + "y", strings.Repeat("é", 128),
}

func withKeyIDs(t *testing.T, ids ...string) []harvestedKey {
	t.Helper()
	mixed := keysOf(t, "../../jwks/testdata/mixed.json")
	var keys []harvestedKey
	for i, id := range ids {
		k := mixed[[]string{"p256", "p384", "p521"}[i%3]]
		keys = append(keys, harvestedKey{key: jwks.Key{KeyID: id, Public: k.Public}, fingerprint: pem.Fingerprint{byte(i)}, text: []byte(id + "\n")})
	}
	return keys
}

func TestFileNames(t *testing.T) {
	names := fileNames(withKeyIDs(t, append(hostileKeyIDs, "Key", "key", "same", "same")...))
	seen := map[string]bool{}
	for _, name := range names {
		assert.True(t, isKeyFile(name), name)
		assert.True(t, filepath.IsLocal(name), name)
		assert.Equal(t, name, filepath.Base(name))
		assert.LessOrEqual(t, len(name), 150)
		assert.Equal(t, printable(name), name)
		assert.NotContains(t, name, " ")
		assert.False(t, seen[strings.ToLower(name)], name)
		seen[strings.ToLower(name)] = true
	}
	assert.Equal(t, []string{"3f0fccd0-2a8e.pem", "%2e.pem", "a%2fb.pem", "a%252fb.pem"},
		fileNames(withKeyIDs(t, "3f0fccd0-2a8e", ".", "a/b", "a%2fb")))
}

func FuzzFileNames(f *testing.F) {
	f.Add("a", "A")
	f.Add("../x", ".")
	f.Fuzz(func(t *testing.T, a, b string) {
		names := fileNames([]harvestedKey{{key: jwks.Key{KeyID: a}, fingerprint: pem.Fingerprint{1}}, {key: jwks.Key{KeyID: b}, fingerprint: pem.Fingerprint{2}}})
		for _, name := range names {
			if !isKeyFile(name) || !filepath.IsLocal(name) || filepath.Base(name) != name || len(name) > 200 {
				t.Fatalf("%q: file %q", []string{a, b}, name)
			}
		}
		if strings.EqualFold(names[0], names[1]) {
			t.Fatalf("%q and %q share %q", a, b, names[0])
		}
	})
}

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
	code, _, stderr := out(t, dir, document(t, "../escape", "/etc/passwd", ".hidden", "..", manifestName))
	require.Zero(t, code, stderr)
	assert.Equal(t, []string{"keys"}, names(t, parent))
	assert.Equal(t, []string{
		"%2e.%2fescape.pem", "%2e..pem", "%2eharvest-keys.json.pem", "%2ehidden.pem", "%2fetc%2fpasswd.pem", manifestName,
	}, names(t, dir))
}

// TestOutForeign: what harvest didn't write, or somebody changed since, stays as it is.
func TestOutForeign(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, dir, victim string){
		"a file": func(t *testing.T, dir, _ string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "two.pem"), []byte("mine"), 0o600))
		},
		"a symlink": func(t *testing.T, dir, victim string) {
			require.NoError(t, os.Symlink(victim, filepath.Join(dir, "two.pem")))
		},
		"a dangling symlink": func(t *testing.T, dir, victim string) {
			require.NoError(t, os.Symlink(victim+".none", filepath.Join(dir, "two.pem")))
		},
		"a directory": func(t *testing.T, dir, _ string) { require.NoError(t, os.Mkdir(filepath.Join(dir, "two.pem"), 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
			require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
			prepare(t, dir, victim)
			before := names(t, dir)
			code, stdout, stderr := out(t, dir, document(t, "one", "two"))
			assert.Equal(t, exitNothing, code)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, "two.pem not written by harvest, or changed since: nothing was written")
			assert.Equal(t, before, names(t, dir))
			assert.Equal(t, "precious", read(t, victim))
			_, err := os.Lstat(victim + ".none")
			assert.ErrorIs(t, err, os.ErrNotExist)
		})
	}
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

// TestOutCutShort: what a run that was cut short left is made good by the next one.
func TestOutCutShort(t *testing.T) {
	dir := t.TempDir()
	code, _, _ := out(t, dir, document(t, "one"))
	require.Zero(t, code)
	want := read(t, filepath.Join(dir, "one.pem"))
	d, err := openKeyDir(dir)
	require.NoError(t, err)
	d.owned.Files["two.pem"] = []string{digest([]byte("never written"))}
	d.owned.Files["one.pem"] = []string{digest([]byte("an older key")), digest([]byte(want))}
	require.NoError(t, d.writeManifest())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "one.pem"), []byte("an older key"), 0o600))
	d.close()

	code, _, stderr := out(t, dir, document(t, "one"))
	require.Zero(t, code, stderr)
	assert.Equal(t, want, read(t, filepath.Join(dir, "one.pem")))
	assert.Equal(t, []string{manifestName, "one.pem"}, names(t, dir))
	assert.NotContains(t, read(t, filepath.Join(dir, manifestName)), "two.pem")
}

func TestOutManifest(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim.pem")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	for name, manifest := range map[string]string{
		"not JSON": "x", "newer": `{"version":2}`, "a path": `{"version":1,"files":{"../victim.pem":["` + digest([]byte("precious")) + `"]}}`,
		"hidden": `{"version":1,"files":{".x.pem":[]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, manifestName), []byte(manifest), 0o600))
			code, _, stderr := out(t, dir, document(t, "one"))
			assert.Equal(t, exitNothing, code)
			assert.Contains(t, stderr, "its manifest")
			assert.Equal(t, []string{manifestName}, names(t, dir))
		})
	}
	assert.Equal(t, "precious", read(t, victim))
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

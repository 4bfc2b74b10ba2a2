package keydir

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// hostileKeyIDs are what a cluster could try to get out of the directory with, or to
// overwrite something in it.
var hostileKeyIDs = []string{
	"", ".", "..", "../../etc/passwd", "/etc/passwd", `..\..\windows`, ".ssh", Manifest, "a/b", "a\x00b", "a\nb", "CON", "~",
	"ключ", "a%2fb", "a b", "-rf", strings.Repeat("x", 256), strings.Repeat("x", 255) + "y", strings.Repeat("é", 128),
}

// withKeyIDs returns keys that differ, with these kids.
func withKeyIDs(t testing.TB, ids ...string) []Key {
	t.Helper()
	var keys []Key
	for i, id := range ids {
		private := ed25519.NewKeyFromSeed(fmt.Appendf(nil, "%032d", i))
		block := pem.Block{Public: private.Public()}
		text, err := block.MarshalText()
		require.NoError(t, err)
		keys = append(keys, Key{Key: jwks.Key{KeyID: id}, Block: block, Text: append(text, '\n')})
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
		assert.Equal(t, text.Escape(name), name)
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
		names := fileNames(withKeyIDs(t, a, b))
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

// write makes a directory hold keys with these kids, and returns what changed.
func write(t *testing.T, dir string, ids ...string) (changes []string, err error) {
	t.Helper()
	err = Write(dir, withKeyIDs(t, ids...), false, func(c Change, file string) {
		assert.Equal(t, dir, filepath.Dir(file))
		changes = append(changes, string(c)+" "+filepath.Base(file))
	})
	return changes, err
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

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

// TestForeign: what harvest didn't write, or somebody changed since, stays as it is.
func TestForeign(t *testing.T) {
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
			changes, err := write(t, dir, "one", "two")
			assert.Empty(t, changes)
			assert.ErrorContains(t, err, "two.pem not written by harvest, or changed since: nothing was written")
			assert.Equal(t, before, names(t, dir))
			assert.Equal(t, "precious", read(t, victim))
			_, err = os.Lstat(victim + ".none")
			assert.ErrorIs(t, err, os.ErrNotExist)
		})
	}
}

// TestCutShort: what a run that was cut short left is made good by the next one.
func TestCutShort(t *testing.T) {
	dir := t.TempDir()
	_, err := write(t, dir, "one")
	require.NoError(t, err)
	want := read(t, filepath.Join(dir, "one.pem"))
	d, err := open(dir)
	require.NoError(t, err)
	d.owned.Files["two.pem"] = []string{digest([]byte("never written"))}
	d.owned.Files["one.pem"] = []string{digest([]byte("an older key")), digest([]byte(want))}
	require.NoError(t, d.writeManifest())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "one.pem"), []byte("an older key"), 0o600))
	d.close()

	_, err = write(t, dir, "one")
	require.NoError(t, err)
	assert.Equal(t, want, read(t, filepath.Join(dir, "one.pem")))
	assert.Equal(t, []string{Manifest, "one.pem"}, names(t, dir))
	assert.NotContains(t, read(t, filepath.Join(dir, Manifest)), "two.pem")
}

func TestManifest(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim.pem")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	for name, manifest := range map[string]string{
		"not JSON": "x", "newer": `{"version":2}`, "a path": `{"version":1,"files":{"../victim.pem":["` + digest([]byte("precious")) + `"]}}`,
		"hidden": `{"version":1,"files":{".x.pem":[]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, Manifest), []byte(manifest), 0o600))
			_, err := write(t, dir, "one")
			assert.ErrorContains(t, err, "its manifest")
			assert.Equal(t, []string{Manifest}, names(t, dir))
		})
	}
	assert.Equal(t, "precious", read(t, victim))
}

// TestLinkedManifest: a link isn't taken for a manifest, which says what may be removed.
func TestLinkedManifest(t *testing.T) {
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "manifest")
	require.NoError(t, os.WriteFile(victim, []byte(`{"version":1}`), 0o600))
	require.NoError(t, os.Symlink(victim, filepath.Join(dir, Manifest)))
	changes, err := write(t, dir, "one")
	assert.Empty(t, changes)
	assert.ErrorContains(t, err, "not a regular file")
	assert.Equal(t, `{"version":1}`, read(t, victim))
	assert.Equal(t, []string{Manifest}, names(t, dir))
}

// replace writes a file of a directory.
func replace(dir, name string, data []byte) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return (&directory{root: root, path: dir}).replace(name, data)
}

// TestWholeFiles: anyone who reads while a file is written sees the old contents or the new
// ones, nothing between, and afterwards the file alone is there.
func TestWholeFiles(t *testing.T) {
	dir := t.TempDir()
	contents := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 300_000)}
	require.NoError(t, replace(dir, "x", contents[0]))
	stop, torn := make(chan struct{}), make(chan string, 1)
	go func() {
		defer close(torn)
		for {
			data, err := os.ReadFile(filepath.Join(dir, "x"))
			if err != nil || !bytes.Equal(data, contents[0]) && !bytes.Equal(data, contents[1]) {
				torn <- "torn"
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for i := range 50 {
		require.NoError(t, replace(dir, "x", contents[i%2]))
	}
	close(stop)
	assert.Empty(t, <-torn)
	assert.Equal(t, []string{"x"}, names(t, dir))
	if runtime.GOOS != "windows" {
		info, err := os.Stat(filepath.Join(dir, "x"))
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o644), info.Mode(), "there are no secrets in it")
	}
}

// TestLinksAreReplaced: a link in the place of a file is replaced, and what it leads to
// stays as it is, or isn't made.
func TestLinksAreReplaced(t *testing.T) {
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
	for _, target := range []string{victim, victim + ".none"} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, "x")))
		require.NoError(t, replace(dir, "x", []byte("new")))
		info, err := os.Lstat(filepath.Join(dir, "x"))
		require.NoError(t, err)
		assert.True(t, info.Mode().IsRegular())
		assert.Equal(t, "precious", read(t, victim))
		_, err = os.Lstat(victim + ".none")
		assert.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, os.Remove(filepath.Join(dir, "x")))
	}
}

package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// write writes a metrics file.
func write(dir, name string, data []byte) error { return replaceFile(filepath.Join(dir, name), data) }

// TestWholeFiles: whoever reads while a file is written sees the old contents or the new
// ones, nothing between, and afterwards the file alone is there.
func TestWholeFiles(t *testing.T) {
	dir := t.TempDir()
	contents := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 300_000)}
	require.NoError(t, write(dir, "x", contents[0]))
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
		require.NoError(t, write(dir, "x", contents[i%2]))
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
		require.NoError(t, write(dir, "x", []byte("new")))
		info, err := os.Lstat(filepath.Join(dir, "x"))
		require.NoError(t, err)
		assert.True(t, info.Mode().IsRegular())
		assert.Equal(t, "precious", read(t, victim))
		_, err = os.Lstat(victim + ".none")
		assert.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, os.Remove(filepath.Join(dir, "x")))
	}
}

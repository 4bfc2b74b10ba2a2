package relay

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
)

// smallDisk returns a directory on a file system of 64 KiB, which only root can mount.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k,mode=755")
	if errors.Is(err, fs.ErrPermission) && os.Getenv("CI") != "true" { // which runs as root
		t.Skip("only root can mount a small disk")
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// On a real disk that is full, or can't be written, the old files stay, a denial is served at once,
// and what is added waits for the disk.
func TestDiskThatTakesNothing(t *testing.T) {
	for name, of := range map[string]struct {
		spoil, mend func(t *testing.T, dir string)
		want        error
	}{
		"full": {
			func(t *testing.T, dir string) {
				f, err := os.Create(filepath.Join(dir, "filler"))
				require.NoError(t, err)
				defer f.Close()
				for err == nil {
					_, err = f.Write(make([]byte, 4096))
				}
				require.ErrorIs(t, err, syscall.ENOSPC)
			},
			func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "filler"))) },
			syscall.ENOSPC,
		},
		"read-only": {
			func(t *testing.T, dir string) {
				require.NoError(t, syscall.Mount("none", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
			},
			func(t *testing.T, dir string) {
				require.NoError(t, syscall.Mount("none", dir, "", syscall.MS_REMOUNT, ""))
			},
			syscall.EROFS,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := smallDisk(t)
			r := open(t, dir)
			require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1", "k2")))
			state, set := read(t, dir, "keys.pem"), read(t, dir, "jwks.json")
			of.spoil(t, dir)
			denies("k2")(r)
			err := publish(t, r, fakekeys.Publish("a", "k1", "k2", "k3"))
			require.ErrorIs(t, err, of.want)
			require.ErrorContains(t, err, "relay/nomad: "+dir+"/keys.pem")
			assert.Equal(t, []string{"k1"}, servedBy(t, r))
			assert.Equal(t, []string{"k1"}, servedBy(t, open(t, dir, denies("k2"))), "after a restart too")
			assert.Equal(t, state, read(t, dir, "keys.pem"))
			assert.Equal(t, set, read(t, dir, "jwks.json"))

			of.mend(t, dir)
			require.NoError(t, publish(t, r, fakekeys.Publish("a", "k1", "k2", "k3")))
			assert.ElementsMatch(t, []string{"k1", "k3"}, servedBy(t, r))
			assert.ElementsMatch(t, []string{"k1", "k3"}, kids(t, []byte(read(t, dir, "jwks.json"))))
		})
	}
}

// A service's umask is for what is secret. What a relay publishes is for all to read.
func TestDocumentsAreForAllToReadWhateverTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	dir := t.TempDir()
	require.NoError(t, publish(t, open(t, dir, func(r *Relay) { r.Issuer = "https://keys.example.com" }), fakekeys.Publish("a", "k1")))
	for name, want := range map[string]fs.FileMode{"keys.pem": 0o644, "jwks.json": 0o644, ".well-known": 0o755, discoveryFile: 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want, info.Mode().Perm(), name)
	}
}

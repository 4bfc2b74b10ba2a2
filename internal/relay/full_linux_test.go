package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/internal/fixture"
)

// smallDisk returns a directory on a file system of 64 KiB, which only root can mount.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k,mode=755")
	fixture.Needs(t, !errors.Is(err, fs.ErrPermission), "only root can mount a small disk")
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

// Who may write a relay's directory, or its state, chooses whom others trust.
func TestFilesThatSomebodyElseMayWriteAreRefused(t *testing.T) {
	const stranger, ours = 54321, -1
	for name, of := range map[string]struct {
		user, group int
		mode        fs.FileMode // besides what there is
		want        string
	}{
		"another user's":         {stranger, ours, 0, "it belongs to user 54321"},
		"another group's":        {ours, stranger, 0o020, "group 54321 may write it"},
		"another group's to see": {ours, stranger, 0, ""},
		"our group's":            {ours, ours, 0o020, ""},
		"everybody's":            {ours, ours, 0o002, "every user of this machine may write it"},
	} {
		for _, file := range []string{".", "keys.pem"} {
			t.Run(name+" "+file, func(t *testing.T) {
				dir := t.TempDir()
				require.NoError(t, os.Chmod(dir, 0o755))
				require.NoError(t, publish(t, open(t, dir), fakekeys.Publish("a", "k1")))
				path := filepath.Join(dir, file)
				err := os.Lchown(path, of.user, of.group)
				fixture.Needs(t, !errors.Is(err, fs.ErrPermission), "only root gives files away")
				require.NoError(t, err)
				info, err := os.Stat(path)
				require.NoError(t, err)
				require.NoError(t, os.Chmod(path, info.Mode().Perm()|of.mode))
				r := open(t, dir)
				err = publish(t, r, fakekeys.Publish("a", "k2"))
				if of.want == "" {
					require.NoError(t, err)
					assert.Equal(t, []string{"k2"}, servedBy(t, r))
					return
				}
				require.ErrorContains(t, err, of.want)
				require.ErrorContains(t, err, filepath.Clean(path))
				assert.Nil(t, servedBy(t, r))
			})
		}
	}
}

// A pipe that nobody writes to is no certificate, and holds no handshake up.
func TestCertificateThatIsAPipe(t *testing.T) {
	dir := t.TempDir()
	files := Listening{Address: "127.0.0.1:0", Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	require.NoError(t, syscall.Mkfifo(files.Cert, 0o600))
	_, err := files.Listen(t.Context(), slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, files.Cert+": not a regular file")

	require.NoError(t, os.Remove(files.Cert))
	cert, key := certificateFor(t, "keys.example.com")
	require.NoError(t, os.WriteFile(files.Cert, cert, 0o600))
	require.NoError(t, os.WriteFile(files.Key, key, 0o600))
	var log fixture.Log
	listener, err := files.Listen(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	t.Cleanup(new(Server).Serve(listener, slog.New(slog.DiscardHandler)))
	require.NoError(t, os.Remove(files.Cert))
	require.NoError(t, syscall.Mkfifo(files.Cert, 0o600))
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "not a regular file") }, 20*time.Second, 10*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
	require.NoError(t, err, "the last good one stays")
	require.NoError(t, conn.Close())
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

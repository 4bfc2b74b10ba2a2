//go:build unix

package vaultsync

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
)

// TestKindOfAFile: a file that can't be read is no network that fails, and a pipe that nobody
// writes to takes time.
func TestKindOfAFile(t *testing.T) {
	dir := t.TempDir()
	pipe, loop := filepath.Join(dir, "pipe"), filepath.Join(dir, "loop")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Symlink(loop, loop))
	for _, name := range []string{filepath.Join(dir, "missing"), filepath.Join(dir, "missing", "x"), filepath.Join(pipe, "x"), loop, dir, "nul\x00"} {
		_, err := jwks.File(name).Fetch(t.Context())
		require.Error(t, err)
		assert.Equal(t, "files", Kind(err), err)
		require.NotErrorIs(t, &MountError{Err: err}, ErrUnreachable)
		_, err = jwks.File(name).(jwks.Poller).Poll(t.Context(), jwks.Query{})
		assert.Equal(t, "files", Kind(err), err)
	}
	_, err := jwks.File(pipe).(jwks.Poller).Poll(t.Context(), jwks.Query{})
	assert.Equal(t, "files", Kind(err), err)

	writer, err := os.OpenFile(pipe, os.O_RDWR, 0)
	require.NoError(t, err)
	defer writer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = jwks.File(pipe).Fetch(ctx)
	assert.Equal(t, "timeout", Kind(err), err)
}

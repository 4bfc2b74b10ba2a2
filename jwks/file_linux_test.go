package jwks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pipe returns the ends of a pipe: the name of the one, as a shell gives it for <(…), and
// the other.
func pipe(t *testing.T) (name string, write *os.File) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { read.Close(); write.Close() })
	return fmt.Sprintf("/proc/self/fd/%d", read.Fd()), write
}

// fetchSoon fetches with little time.
func fetchSoon(t *testing.T, name string) (*Set, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	return File(name).Fetch(ctx)
}

func TestFilePipe(t *testing.T) {
	document := readTestdata(t, "nomad-docs.json")

	t.Run("a fetch that has ended takes nothing of what comes later", func(t *testing.T) {
		name, write := pipe(t)
		_, err := fetchSoon(t, name)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "file "+name)

		_, err = write.Write(document)
		require.NoError(t, err)
		require.NoError(t, write.Close())
		set, err := File(name).Fetch(t.Context())
		require.NoError(t, err)
		assert.Len(t, set.Keys, 1)
	})
	t.Run("in parts", func(t *testing.T) {
		name, write := pipe(t)
		_, err := write.Write(document[:100])
		require.NoError(t, err)
		written := make(chan error, 1)
		go func() {
			_, err := write.Write(document[100:])
			written <- errors.Join(err, write.Close())
		}()
		set, err := File(name).Fetch(t.Context())
		require.NoError(t, err)
		require.NoError(t, <-written)
		assert.Len(t, set.Keys, 1)
	})
	t.Run("half a document", func(t *testing.T) {
		name, write := pipe(t)
		_, err := write.Write(document[:100])
		require.NoError(t, err)
		_, err = fetchSoon(t, name)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	t.Run("the writer failed", func(t *testing.T) {
		name, write := pipe(t)
		require.NoError(t, write.Close())
		_, err := File(name).Fetch(t.Context())
		require.ErrorIs(t, err, ErrMalformed)
		require.ErrorContains(t, err, name+": nothing came out of this pipe")
	})
	t.Run("named, without a writer", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "pipe")
		require.NoError(t, syscall.Mkfifo(name, 0o600))
		_, err := File(name).Fetch(t.Context())
		require.ErrorContains(t, err, "nothing came out of this pipe")
	})
}

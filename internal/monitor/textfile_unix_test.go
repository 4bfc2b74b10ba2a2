//go:build unix

package monitor

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// A pipe would be waited for, and a device replaced by a file.
func TestTextfileIsAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(name, 0o600))
	require.ErrorContains(t, writeTextfile(name, prometheus.NewRegistry()), "no regular file")
	(&Textfile{name: name}).families()
	require.ErrorContains(t, checkTextfile(os.DevNull), "no regular file")
	require.NoError(t, checkTextfile(filepath.Join(t.TempDir(), "new.prom")))
}

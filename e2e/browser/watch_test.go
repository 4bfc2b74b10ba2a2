package browser

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// watch runs harvest watch until the test ends, and returns where its page is.
func watch(t *testing.T, config string, env ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "harvest.hcl")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	cmd := exec.Command(harvestCommand, "watch", "-config", file, "-listen", "127.0.0.1:0", "-resync", "2s")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	address, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if m := regexp.MustCompile(`serving the status page, metrics and health" address=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
				address <- "http://" + m[1]
			}
		}
		close(address)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-read
		assert.NoError(t, cmd.Wait())
	})
	at, ok := <-address
	require.True(t, ok, "harvest watch serves nothing")
	return at
}

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
)

// pty returns both ends of a pseudo terminal with that many columns.
func pty(t *testing.T, columns uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: columns}))
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return master, slave
}

// atTerminal runs the command in a process of its own, with stdout and stderr on a
// terminal, and returns what came there.
func atTerminal(t *testing.T, columns uint16, env []string, args ...string) string {
	t.Helper()
	master, slave := pty(t, columns)
	cmd := exec.CommandContext(t.Context(), "harvest", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = slave, slave
	require.NoError(t, cmd.Start())
	require.NoError(t, slave.Close())
	text, _ := io.ReadAll(master) // ends with EIO when the last writer is gone
	_ = cmd.Wait()                // exit codes are for others to test
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// TestTerminal: colours and a width on a terminal; no colours where the user or the
// terminal has none of them; neither in a pipe.
func TestTerminal(t *testing.T) {
	config, _ := screenWorld(t)
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm-256color")
	const width = 72
	atAll := func(env ...string) (stdoutAndStderr string) {
		return atTerminal(t, width, env, "plan", "-config", config)
	}
	text := atAll()
	assert.Contains(t, text, "\x1b[32m+\x1b[0m ")
	assert.Contains(t, text, "\x1b[1;31mharvest:\x1b[0m cluster \"edge\"")
	report, _, found := strings.Cut(text, "harvest:")
	require.True(t, found)
	looksRight(t, strings.TrimSuffix(report, "\x1b[1;31m"), colours.ReplaceAllString(strings.TrimSuffix(report, "\x1b[1;31m"), ""), width)

	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		without := atAll(env)
		assert.NotContains(t, without, "\x1b", env)
		assert.Equal(t, colours.ReplaceAllString(text, ""), without, env)
	}

	var piped bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "harvest", "plan", "-config", config)
	cmd.Stdout = &piped
	_ = cmd.Run() // exit code 3: a cluster can't be read
	assert.NotContains(t, piped.String(), "\x1b")
	assert.Contains(t, piped.String(), longCluster+"  ", "names are whole in a pipe")
	assert.NotContains(t, piped.String(), "…")

	file := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(file)
	require.NoError(t, err)
	cmd = exec.CommandContext(t.Context(), "harvest", "plan", "-config", config)
	cmd.Stdout = out
	_ = cmd.Run()
	require.NoError(t, out.Close())
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, piped.String(), string(written))
}

// What is shown of the progress must not keep clusters from being asked.
func TestTerminalLint(t *testing.T) {
	nomad, vault := fakenomad.New(t), fakevault.New(t)
	vault.Enable("", "jwt-nomad", "jwt")
	require.NoError(t, vault.WriteConfig("", "jwt-nomad", map[string]any{"jwt_validation_pubkeys": []string{
		element(t, keysOf(t, "../../jwks/testdata/nomad-upgraded.json")["3f0f"], "us-east", now),
	}}))
	env := []string{"TERM=xterm-256color", "VAULT_ADDR=" + vault.URL, "VAULT_TOKEN=" + fakevault.RootToken, "HOME=" + t.TempDir()}
	args := []string{"-cluster", "us-east", "-nomad-address", nomad.URL, "-mount", "jwt-nomad"}
	text := atTerminal(t, 200, env, append([]string{"status", "-lint"}, args...)...)
	assert.Contains(t, text, "us-east has no oidc_issuer")
}

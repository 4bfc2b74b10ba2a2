//go:build unix

package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
)

// TestConfigValidateExposed: a credential that everybody can read is a warning, and one in
// a directory of the owner's alone is not.
func TestConfigValidateExposed(t *testing.T) {
	set, err := os.ReadFile("testdata/us-east.json")
	require.NoError(t, err)
	dir := fixture.OpenDir(t)
	t.Chdir(dir)
	for name, data := range map[string]string{"us-east.json": string(set), "open": "secret\n", "c.hcl": `vault {
  auth "approle" {
    role_id = "r"
    secret_id_file = "open"
  }
}
cluster "a" { jwks_file = "us-east.json" }
mount "m" { clusters = ["a"] }
`} {
		require.NoError(t, os.WriteFile(name, []byte(data), 0o600))
	}
	require.NoError(t, os.Chmod("open", 0o644))
	const warning = ":4:5: warning: open holds a credential, and every user"
	for mode, warned := range map[os.FileMode]bool{0o755: true, 0o700: false} {
		require.NoError(t, os.Chmod(dir, mode))
		code, stdout, stderr := harvest(t, nil, "config", "validate", "-config", "c.hcl")
		assert.Zero(t, code)
		assert.Empty(t, stderr)
		assert.Equal(t, warned, strings.Contains(stdout, warning), stdout)
	}
}

// TestConfigValidatePipe: a key that comes through a pipe isn't waited for.
func TestConfigValidatePipe(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	certificatePair(t, dir, "a", now.Add(time.Hour))
	require.NoError(t, syscall.Mkfifo("pipe", 0o600))
	require.NoError(t, os.WriteFile("c.hcl", []byte(`cluster "a" {
  address     = "https://nomad.example.com:4646"
  client_cert = "a.pem"
  client_key  = "pipe"
}
mount "m" { clusters = ["a"] }
`), 0o600))
	code, stdout, _ := harvest(t, nil, "config", "validate", "-config", "c.hcl")
	assert.Zero(t, code)
	assert.Contains(t, stdout, "c.hcl:3:3: warning: pipe is no regular file: not read")
}

// TestExposedFiles: every file that a credential is read from is looked at, and each is
// told of once, though cron doesn't want to hear it each time.
func TestExposedFiles(t *testing.T) {
	m := newCoalmineIn(t, fixture.OpenDir(t))
	config := []string{"-config", m.file("harvest.hcl")}

	_, _, stderr := m.harvest(t, append([]string{"plan"}, config...)...)
	require.Empty(t, stderr)
	secrets := []string{"token", "secret-id", "service-account", "jwt", "vault-key.pem", "nomad-key.pem"}
	for _, name := range secrets {
		require.NoError(t, os.Chmod(m.file(name), 0o644))
	}
	for _, command := range []string{"plan", "sync", "status"} {
		code, _, stderr := m.harvest(t, append([]string{command}, config...)...)
		require.Equal(t, exitOK, code)
		assert.Equal(t, len(secrets), strings.Count(stderr, "\n"), stderr)
		for _, name := range secrets {
			assert.Contains(t, stderr, "warning: "+m.file(name)+" holds a credential, and every user of this machine can read it: chmod o-r ")
		}
	}
	_, _, stderr = m.harvest(t, append([]string{"verify", m.file("no-such.jwt")}, config...)...)
	for _, name := range secrets {
		assert.Contains(t, stderr, "warning: "+m.file(name)+" holds a credential", "verify")
	}
	_, _, stderr = m.harvest(t, append([]string{"sync", "-quiet"}, config...)...)
	assert.Empty(t, stderr)
	_, _, stderr = m.harvest(t, "pem", "-nomad-client-cert", m.file("nomad.pem"), "-nomad-client-key", m.file("nomad-key.pem"), m.nomad.URL)
	assert.Contains(t, stderr, "nomad-key.pem holds a credential")

	w := m.watch(t)
	for _, name := range secrets {
		w.until(t, `level=WARN msg="a file with a credential can be read by every user of this machine" file=`+m.file(name)+"\n")
	}
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGHUP))
	w.until(t, `msg="the configuration was reloaded"`)
	assert.Equal(t, len(secrets), strings.Count(w.log.String(), "can be read by every user"))
}

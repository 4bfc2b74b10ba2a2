//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
)

// TestTimeoutBoundsPipes: a pipe that nobody writes to, in the place of any file, is given up
// when -timeout is over, and named. A cluster's certificate costs only that cluster its turn.
func TestTimeoutBoundsPipes(t *testing.T) {
	vault, nomad := ownVault(t), fakenomad.New(t)
	t.Setenv("VAULT_MAX_RETRIES", "0")
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	t.Cleanup(func() { // who still waits for a writer is let go
		f, err := os.OpenFile(pipe, os.O_RDWR, 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	})

	const whole = `vault {
  %s
}
cluster "a" { address = %q }
cluster "b" {
  address = %q
  %s
}
mount %q {
  clusters = ["a", "b"]
  settle   = "200ms"
}
`
	tests := map[string]func(*testing.T){}
	for name, test := range map[string]struct{ vault, cluster string }{
		"token":      {vault: fmt.Sprintf("auth \"token_file\" {\n path = %q\n}", pipe)},
		"secret id":  {vault: fmt.Sprintf("auth \"approle\" {\n role_id = \"r\"\n secret_id_file = %q\n}", pipe)},
		"JWT":        {vault: fmt.Sprintf("auth \"jwt\" {\n mount = \"j\"\n role = \"r\"\n token_file = %q\n}", pipe)},
		"Vault's CA": {vault: fmt.Sprintf(`ca_cert = %q`, pipe)},
		"CA":         {cluster: fmt.Sprintf(`ca_cert = %q`, pipe)},
		"key":        {cluster: fmt.Sprintf("client_cert = %q\n client_key = %q", pipe, pipe)},
	} {
		mount := fmt.Sprint("jwt-", len(tests))
		vault.Enable("", mount, "jwt")
		tests[name] = func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.hcl")
			text := fmt.Sprintf(whole, test.vault, nomad.URL, nomad.URL, test.cluster, mount)
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			began := time.Now()
			timeout := "1s"
			if test.cluster != "" {
				timeout = "5s" // within which the other cluster's keys are written
			}
			code, _, stderr := harvest(t, nil, "sync", "-config", file, "-timeout", timeout)
			assert.Less(t, time.Since(began), 30*time.Second)
			assert.NotZero(t, code)
			assert.Contains(t, stderr, "pipe")
			if test.cluster != "" {
				assert.Equal(t, exitPartial, code, stderr)
				assert.NotEmpty(t, vault.Keys("", mount), "the other cluster's keys")
			}
		}
	}
	atOnce(t, tests)
	for _, command := range []string{"plan", "sync", "status", "setup"} {
		t.Run("configuration of "+command, func(t *testing.T) {
			began := time.Now()
			code, _, stderr := harvest(t, nil, command, "-config", pipe, "-timeout", "200ms")
			assert.Less(t, time.Since(began), 30*time.Second)
			assert.Equal(t, exitNothing, code)
			assert.Contains(t, stderr, "is it a pipe that nobody writes to?")
		})
	}
}

package vaultauth

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
)

// A pipe in the place of the token file, which nobody writes to, doesn't keep the token that there
// is from being renewed.
func TestKeeperRenewsBesideAPipe(t *testing.T) {
	fakevault.ClearEnvironment(t)
	s := fakevault.New(t)
	name := fixture.File(t, s.PolicyToken("", 2*time.Second))
	k := keep(t, config.Vault{Address: s.URL, Auth: &config.Auth{Method: "token_file", TokenFile: name}})
	require.NoError(t, k.next(t))
	require.NoError(t, os.Remove(name))
	require.NoError(t, syscall.Mkfifo(name, 0o600))
	await(t, s, 2, "PUT", "auth/token/renew-self")
}

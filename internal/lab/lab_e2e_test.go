//go:build e2e

package lab_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	nomadcases "github.com/jwksharvest/harvest/internal/fakenomad/conformance"
	vaultcases "github.com/jwksharvest/harvest/internal/fakevault/conformance"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/lab"
)

func startVault(t *testing.T, o lab.VaultOptions) *lab.Vault {
	t.Helper()
	begin := time.Now()
	v, err := lab.StartVault(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(v.Stop)
	t.Logf("Vault was up in %v", time.Since(begin).Round(time.Millisecond))
	return v
}

func startNomad(t *testing.T, o lab.NomadOptions) *lab.Nomad {
	t.Helper()
	begin := time.Now()
	n, err := lab.StartNomad(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(n.Stop)
	t.Logf("Nomad was up in %v", time.Since(begin).Round(time.Millisecond))
	return n
}

func TestVaultConformance(t *testing.T) {
	v := startVault(t, lab.VaultOptions{})
	vaultcases.Run(t, v.Client(), v.UnsealKey)
}

// Integrated storage takes no entry of more than a mebibyte.
func TestRaft(t *testing.T) {
	v := startVault(t, lab.VaultOptions{Raft: true})
	c := v.Client()
	require.NoError(t, c.Sys().Mount("secret", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	vaultcases.Run(t, c, v.UnsealKey)

	require.NoError(t, c.Sys().EnableAuth("jwt-big", "jwt", ""))
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	require.NoError(t, err)
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	write := func(size int) error {
		var keys []string
		for left := size; left > 0; {
			n := min(left, 4096)
			keys = append(keys, strings.Repeat("x", max(0, n-len(block)-4))+"\n"+block)
			left -= n
		}
		_, err := c.Logical().Write("auth/jwt-big/config", map[string]any{"jwt_validation_pubkeys": keys})
		return err
	}
	require.NoError(t, write(1<<20-16<<10))
	err = write(1<<20 + 16<<10)
	t.Logf("too large: %v", err)
	require.ErrorContains(t, err, "too large")
}

func TestNomadConformance(t *testing.T) {
	east := startNomad(t, lab.NomadOptions{Region: "us-east", Issuer: "self"})
	west := startNomad(t, lab.NomadOptions{Region: "eu-west"})
	require.NoError(t, east.Join(t.Context(), west))
	agent := func(n, other *lab.Nomad) nomadcases.Agent {
		return nomadcases.Agent{
			Address: n.Address, Region: n.Region, Other: other.Region,
			Rotate:     n.RotateKey,
			Prepublish: func(ctx context.Context) (string, error) { return n.PrepublishKey(ctx, time.Hour) },
			Remove:     func(ctx context.Context, id string) error { return n.RemoveKey(ctx, id, true) },
		}
	}
	with := agent(east, west)
	with.Issuer = east.Address
	t.Run("with issuer", func(t *testing.T) { nomadcases.Run(t, with) })
	t.Run("without issuer", func(t *testing.T) { nomadcases.Run(t, agent(west, east)) })
}

func TestAudit(t *testing.T) {
	v := startVault(t, lab.VaultOptions{Audit: true})
	fixture.Needs(t, v.Audits(), "the server takes no audit device from its API")
	c := v.Client()
	_, err := c.Logical().Read("auth/jwt-nomad/config")
	require.NoError(t, err)
	entries, err := v.Audit()
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "read auth/jwt-nomad/config", entries[0].String())

	require.NoError(t, v.ResetAudit())
	require.NoError(t, c.Sys().EnableAuth("jwt-nomad", "jwt", ""))
	entries, err = v.Audit()
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "update sys/auth/jwt-nomad", entries[0].String())
}

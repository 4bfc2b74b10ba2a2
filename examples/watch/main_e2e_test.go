//go:build e2e

package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
)

// A key that real Nomad rotates is trusted by real Vault without anybody asking.
func TestWatch(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	vault, err := lab.StartVault(ctx, lab.VaultOptions{})
	require.NoError(t, err)
	defer vault.Stop()
	nomad, err := lab.StartNomad(ctx, lab.NomadOptions{Region: "us-east"})
	require.NoError(t, err)
	defer nomad.Stop()
	require.NoError(t, vault.Client().Sys().EnableAuth("jwt-nomad", "jwt", ""))
	t.Setenv("VAULT_ADDR", vault.Address)
	t.Setenv("VAULT_TOKEN", vault.RootToken)

	watching, stop := context.WithCancel(ctx)
	events, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- watch(watching, out, "us-east", nomad.Address, "jwt-nomad") }()
	lines := bufio.NewScanner(events)
	added := func(what string) { // other events come in between
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "added us-east") && strings.Contains(lines.Text(), what) {
				return
			}
		}
		t.Fatal(lines.Err())
	}
	added("")
	id, err := nomad.RotateKey(ctx)
	require.NoError(t, err)
	added(id)
	go func() { _, _ = io.Copy(io.Discard, events) }()
	stop()
	require.NoError(t, <-ended)
}

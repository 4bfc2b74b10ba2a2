package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
)

func TestSync(t *testing.T) {
	vault, nomad := fakevault.New(t), fakenomad.New(t, "global")
	vault.Enable("", "jwt-nomad", "jwt")
	t.Setenv("VAULT_ADDR", vault.URL)
	t.Setenv("VAULT_TOKEN", fakevault.RootToken)
	require.NoError(t, sync(t.Context(), "us-east", nomad.URL, "jwt-nomad"))
	require.Len(t, vault.Keys("", "jwt-nomad"), 1)
	require.ErrorContains(t, sync(t.Context(), "us-east", nomad.URL, "jwt-other"), "vault auth enable")
}

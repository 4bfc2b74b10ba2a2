package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
)

func TestWatchRefuses(t *testing.T) {
	vault := fakevault.New(t)
	t.Setenv("VAULT_ADDR", vault.URL)
	var out bytes.Buffer
	require.ErrorContains(t, watch(t.Context(), &out, "us east", "http://127.0.0.1:1", "jwt-nomad"), "cluster name")
	require.Empty(t, out.String())
}

package config

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/jwks"
)

// A CA file that comes late mends its cluster without a reload.
func TestBrokenSourceHeals(t *testing.T) {
	nomad := fakenomad.NewInProcess()
	nomad.ListenTLS()
	defer nomad.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	source := Cluster{Name: "a", Address: nomad.URL, TLS: jwks.TLS{CACert: ca}}.Open(Reading{}).Sources[0]
	_, err := source.Fetch(t.Context())
	require.ErrorContains(t, err, ca)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: nomad.Certificate()})
	require.NoError(t, os.WriteFile(ca, text, 0o600))
	set, err := source.Fetch(t.Context())
	require.NoError(t, err)
	assert.Len(t, set.Keys, 1)
}

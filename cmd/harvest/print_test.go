package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares text with a file of testdata, the Vault's address being $VAULT there.
func golden(t *testing.T, name, got, vault string) {
	t.Helper()
	got = strings.ReplaceAll(got, vault, "$VAULT")
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// keysOf returns the keys of a document by the first letters of their kids.
func keysOf(t *testing.T, file string) map[string]jwks.Key {
	t.Helper()
	set, err := jwks.File(file).Fetch(t.Context())
	require.NoError(t, err)
	keys := map[string]jwks.Key{}
	for _, k := range set.Keys {
		keys[k.KeyID[:min(4, len(k.KeyID))]] = k
	}
	return keys
}

func element(t *testing.T, k jwks.Key, cluster string, added time.Time) string {
	t.Helper()
	b := pem.Block{Public: k.Public}
	if cluster != "" {
		b.Annotation = pem.Annotation{Version: 1, Cluster: cluster, KeyID: k.KeyID, Algorithms: k.Algorithms, Added: added}
	}
	text, err := b.MarshalText()
	require.NoError(t, err)
	return string(text)
}

// TestGolden: a plan with every sign there is, its JSON, a sync and the status after it.
func TestGolden(t *testing.T) {
	vault := ownVault(t)
	upgraded := keysOf(t, "../../jwks/testdata/nomad-upgraded.json")
	docs := keysOf(t, "../../jwks/testdata/nomad-docs.json")
	mixed := keysOf(t, "../../jwks/testdata/mixed.json")
	foreign := keysOf(t, "../../jwks/testdata/rfc7517-a1.json")
	denied, err := pem.FingerprintOf(mixed["p521"].Public)
	require.NoError(t, err)

	require.NoError(t, vault.WriteConfig("", "jwt-nomad", map[string]any{
		"bound_issuer": "https://nomad.example.com", "default_role": "harvest", "jwt_supported_algs": []string{"RS256", "ES384"},
		"jwt_validation_pubkeys": []string{
			element(t, upgraded["3f0f"], "us-east", now.Add(-3*time.Hour)),
			element(t, upgraded["fd33"], "us-east", now.Add(-40*24*time.Hour)),
			element(t, docs["110a"], "", now),
			element(t, foreign["2011"], "", now),
			element(t, mixed["p256"], "another\x1b[2J\u202e", now.Add(-90*24*time.Hour)),
			element(t, mixed["p384"], "edge", now.Add(-5*time.Minute)),
			element(t, mixed["p521"], "us-east", now.Add(-time.Hour)),
		},
	}))
	config := filepath.Join(t.TempDir(), "c.hcl")
	require.NoError(t, os.WriteFile(config, []byte(`
deny = ["`+denied.String()+`"]
cluster "us-east" { jwks_file = "testdata/us-east.json" }
cluster "us-west" { jwks_file = "../../jwks/testdata/nomad-docs.json" }
cluster "edge"    { jwks_file = "testdata/missing.json" }
mount "jwt-nomad" {
  clusters = ["us-east", "us-west", "edge"]
  settle   = "300ms"
}
`), 0o600))

	code, stdout, stderr := harvest(t, nil, "plan", "-config", config, "-detailed-exitcode")
	assert.Equal(t, exitPartial, code)
	golden(t, "plan.txt", stdout, vault.URL)
	golden(t, "plan.stderr.txt", stderr, vault.URL)
	_, again, _ := harvest(t, nil, "plan", "-config", config)
	assert.Equal(t, stdout, again)

	code, stdout, _ = harvest(t, nil, "plan", "-config", config, "-format", "json")
	assert.Equal(t, exitPartial, code)
	golden(t, "plan.json", stdout, vault.URL)

	code, stdout, _ = harvest(t, nil, "plan", "-config", config, "-format", "vault")
	assert.Equal(t, exitPartial, code)
	golden(t, "plan.vault.json", stdout, vault.URL)

	code, stdout, _ = harvest(t, nil, "sync", "-config", config)
	assert.Equal(t, exitPartial, code)
	golden(t, "sync.txt", stdout, vault.URL)
	assert.Equal(t, "https://nomad.example.com", vault.Config("", "jwt-nomad")["bound_issuer"])

	code, stdout, _ = harvest(t, nil, "status", "-config", config)
	assert.Equal(t, exitPartial, code)
	golden(t, "status.txt", stdout, vault.URL)
}

package main

import (
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
)

// goldenPage compares a page with a file, less what changes with each build.
func goldenPage(t *testing.T, name string, body []byte, vault string) {
	t.Helper()
	version := regexp.QuoteMeta("harvest " + buildInfo().Version)
	golden(t, name, regexp.MustCompile(version+"</p>").ReplaceAllLiteralString(string(body), "harvest 0.1.0</p>"), vault)
}

// status -format html writes what the text says, in one document.
func TestPageOfStatus(t *testing.T) {
	noVault(t)
	vault := fakevault.New(t)
	t.Setenv("VAULT_ADDR", vault.URL)
	t.Setenv("VAULT_TOKEN", fakevault.RootToken)
	upgraded, mixed := keysOf(t, "../../jwks/testdata/nomad-upgraded.json"), keysOf(t, "../../jwks/testdata/mixed.json")
	foreign := keysOf(t, "../../jwks/testdata/rfc7517-a1.json")
	denied, err := pem.FingerprintOf(mixed["p521"].Public)
	require.NoError(t, err)
	require.NoError(t, vault.WriteConfig("", "jwt-nomad", map[string]any{
		"jwt_validation_pubkeys": []string{
			element(t, upgraded["3f0f"], "us-east", now.Add(-3*time.Hour)),
			element(t, foreign["2011"], "", now),
			element(t, mixed["p256"], "another\x1b[2J\u202e", now.Add(-90*24*time.Hour)),
			element(t, mixed["p384"], "edge", now.Add(-5*time.Minute)),
			element(t, mixed["p521"], "us-east", now.Add(-time.Hour)),
		},
	}))
	config := fixture.File(t, `
deny = ["`+denied.String()+`"]
cluster "us-east" { jwks_file = "`+filepath.Join(wd(t), "testdata/us-east.json")+`" }
cluster "edge"    { jwks_file = "missing.json" }
mount "jwt-nomad" { clusters = ["us-east", "edge"] }
`)
	code, stdout, _ := harvest(t, nil, "status", "-config", config, "-format", "html")
	assert.Equal(t, exitPartial, code)
	goldenPage(t, "status.html", []byte(strings.ReplaceAll(stdout, filepath.Dir(config), "$DIR")), vault.URL)
	assert.NotContains(t, stdout, "refresh", "a file doesn't change")

	// What -lint finds is shown with what to do about it.
	_, stdout, _ = harvest(t, nil, "status", "-config", config, "-lint", "-format", "json")
	var found struct {
		Mounts []struct{ Lint []lint.Problem }
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &found))
	require.NotEmpty(t, found.Mounts[0].Lint)
	_, stdout, _ = harvest(t, nil, "status", "-config", config, "-lint", "-format", "html")
	for _, problem := range found.Mounts[0].Lint {
		assert.Contains(t, html.UnescapeString(stdout), text.Escape(problem.Message))
		assert.Contains(t, html.UnescapeString(stdout), text.Escape(problem.Fix))
	}

	code, stdout, _ = harvest(t, nil, "status", "-mount", "jwt-nomad", "-format", "html")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, stdout, "compared with no cluster")
	assert.Equal(t, 5, strings.Count(stdout, `data-label="Key id"`))
}

func wd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	return dir
}

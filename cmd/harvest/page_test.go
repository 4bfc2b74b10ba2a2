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

	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
)

// status -format html writes what the text says, in one document.
func TestPageOfStatus(t *testing.T) {
	vault := ownVault(t)
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
	var rows []string
	row := regexp.MustCompile(`<span class="state (\w+)">.*data-label="Key id" class="kid"><code>([^<]*)</code>.*data-label="Cluster">([^<]*)</td>`)
	for _, found := range row.FindAllStringSubmatch(stdout, -1) {
		rows = append(rows, strings.Join(found[1:], " "))
	}
	assert.Equal(t, []string{
		"pending 80ef5b3f-77f1-1c8a-60a7-52b7a3f6f1d2 us-east", "denied p521 us-east", "trusted p384 edge", "trusted 3f0fccd0-2a8e-4bd1-b1ea-8a1c1a7e4f10 us-east",
		`claimed p256 another\x1b[2J\u202e`, "foreign no kid nobody", "skipped encryption us-east",
	}, rows)
	for _, part := range []string{
		"<b>0 of 1</b> <span>mounts in sync", "<b>1 of 2</b> <span>clusters and regions read", "key set: open missing.json: no such file or directory",
		"1 of the trusted keys is no cluster&#39;s", "1 to add, 1 to remove", "kept: edge could not be read", vault.URL, buildInfo().Version,
	} {
		assert.Contains(t, stdout, part)
	}
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

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each test against real servers stands in one row, and no row names another.
func TestRows(t *testing.T) {
	var named, written []string
	for _, row := range rows {
		named = append(named, strings.Fields(row.tests)...)
	}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(t `)
	for _, pattern := range []string{"../*_test.go", "../../internal/lab/*_test.go", "../../examples/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range files {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			if !bytes.HasPrefix(text, []byte("//go:build e2e")) {
				continue
			}
			for _, m := range function.FindAllSubmatch(text, -1) {
				written = append(written, string(m[1]))
			}
		}
	}
	slices.Sort(named)
	slices.Sort(written)
	require.NotEmpty(t, written)
	assert.Equal(t, written, named)
}

const ran = `{"Action":"start","Package":"e2e"}
{"Action":"output","Package":"e2e","Output":"servers: Vault 1.12.0, Nomad 1.7.7\n"}
{"Action":"run","Package":"e2e","Test":"TestSetup"}
{"Action":"pass","Package":"e2e","Test":"TestSetup"}
{"Action":"run","Package":"e2e","Test":"TestMigrateURL/jwks_pairs"}
{"Action":"output","Package":"e2e","Test":"TestMigrateURL/jwks_pairs","Output":"    migrate_test.go:80: harvest sync: nothing\n"}
{"Action":"output","Package":"e2e","Test":"TestMigrateURL/jwks_pairs","Output":"    migrate_test.go:85: this Vault has no jwks_pairs\n"}
{"Action":"output","Package":"e2e","Test":"TestMigrateURL/jwks_pairs","Output":"    --- SKIP: TestMigrateURL/jwks_pairs (0.00s)\n"}
{"Action":"skip","Package":"e2e","Test":"TestMigrateURL/jwks_pairs"}
{"Action":"pass","Package":"e2e","Test":"TestMigrateURL"}
{"Action":"attr","Package":"e2e","Test":"TestHistory/kept","Key":"table","Value":"a fault | times"}
{"Action":"attr","Package":"e2e","Test":"TestHistory/kept","Key":"leader_killed","Value":"3"}
{"Action":"attr","Package":"e2e","Test":"TestHistory/kept","Key":"note","Value":"The load was 2."}
{"Action":"fail","Package":"e2e","Test":"TestKill"}
{"Action":"output","Package":"e2e","Test":"TestAudit","Output":"    conformance.go:9: no audit\n"}
{"Action":"skip","Package":"e2e","Test":"TestAudit"}
{"Action":"fail","Package":"e2e","Test":"TestLogins/jwt"}
{"Action":"fail","Package":"e2e","Test":"TestLogins"}
{"Action":"run","Package":"e2e","Test":"TestLogins"}
{"Action":"pass","Package":"e2e","Test":"TestLogins"}
{"Action":"fail","Package":"e2e"}
{"Action":"fail","Package":"lab"}
`

func TestTable(t *testing.T) {
	c, err := parse(strings.NewReader(ran))
	require.NoError(t, err)
	c.name = "floor"
	var wrong []string
	for _, err := range c.failures() {
		wrong = append(wrong, err.Error())
	}
	assert.Equal(t, []string{"floor: TestKill failed", "floor: lab failed outside its tests"}, wrong)

	text, err := serversTable([]*column{c})
	require.ErrorContains(t, err, "not run: TestSetupShared, TestSetupAdministrator")
	for _, line := range []string{
		"| | floor: Vault 1.12.0, Nomad 1.7.7 |\n",
		"(`setup`) | 1 passed, 7 not run |\n",
		"and back | 1 passed, 10 not run [1] |\n",
		"| **failed**: `TestKill` |\n",
		"| federated regions | not run |\n",
		"what it refuses | not run [2] |\n",
		"Agent and Proxy | 1 passed, 3 not run |\n",
		"\n1. this Vault has no jwks_pairs: `TestMigrateURL/jwks_pairs`\n2. no audit: `TestAudit`\n",
	} {
		assert.Contains(t, text, line)
	}
	assert.Equal(t, "`TestHistory/kept`:\n\n| a fault | times |\n| --- | --- |\n| leader killed | 3 |\n\nThe load was 2.\n",
		figuresTable([]*column{c}))
}

func TestReplace(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(page, []byte("before\n<!-- servers -->\nold\n<!-- end of servers -->\nafter\n"), 0o600))
	for range 2 {
		require.NoError(t, replace(page, "servers", "new\n"))
	}
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Equal(t, "before\n<!-- servers -->\n\nnew\n\n<!-- end of servers -->\nafter\n", string(text))
	require.ErrorContains(t, replace(page, "figures", ""), "has no lines")
}

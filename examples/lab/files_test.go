// Package walkthrough tests the walk-through of README.md.
package walkthrough

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each file of the walk-through is in the README's table, and each file there exists.
func TestFilesListed(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^\|[^|]*\| \[([^]]+)\]\(([^)]+)\) \|`).FindAllSubmatch(readme, -1) {
		assert.Equal(t, string(m[1]), string(m[2]))
		listed = append(listed, string(m[2]))
	}
	var there []string
	for _, pattern := range []string{"[0-9]*", "*.sh", "Makefile"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			if pattern != "*.sh" || name[0] > '9' {
				there = append(there, name)
			}
		}
	}
	assert.ElementsMatch(t, there, listed)
}

func TestFilesParse(t *testing.T) {
	scripts, err := filepath.Glob("*.sh")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	for _, name := range scripts {
		out, err := exec.CommandContext(t.Context(), "sh", "-n", name).CombinedOutput()
		assert.NoError(t, err, "%s", out)
	}
	files, err := filepath.Glob("*.hcl")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		_, diags := hclparse.NewParser().ParseHCLFile(name)
		assert.False(t, diags.HasErrors(), diags.Error())
	}
}

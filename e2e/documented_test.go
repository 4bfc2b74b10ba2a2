//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fenced"
	"github.com/jwksharvest/harvest/internal/lab"
)

// reader does what a page says, in a directory of its own.
type reader struct {
	t      *testing.T
	dir    string
	env    []string
	places *strings.Replacer // the page's example addresses and names to the lab's
	runs   int
}

func newReader(t *testing.T, places ...string) *reader {
	t.Helper()
	binaries, err := lab.Find(lab.PairFromEnv())
	require.NoError(t, err)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(harvestCommand, filepath.Join(bin, "harvest")))
	require.NoError(t, os.Symlink(binaries.Vault, filepath.Join(bin, "vault")))
	return &reader{
		t: t, dir: t.TempDir(),
		env: []string{
			"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + t.TempDir(),
			"VAULT_ADDR=" + vault.Address, "VAULT_TOKEN=" + vault.RootToken,
		},
		places: strings.NewReplacer(append(places,
			"https://nomad.us-east.example.com:4646", east1.Address,
			"https://nomad.eu-west.example.com:4646", west.Address,
			"https://vault.example.com:8200", vault.Address,
		)...),
	}
}

// read follows a page: a configuration is added to harvest.hcl, commands are run.
func (r *reader) read(page string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", page))
	require.NoError(r.t, err)
	blocks, ok := fenced.Blocks(string(text))
	require.True(r.t, ok)
	for _, b := range blocks {
		switch {
		case b.Language == "hcl" && page != "README.md":
			f, err := os.OpenFile(filepath.Join(r.dir, "harvest.hcl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			require.NoError(r.t, err)
			_, err = f.WriteString(r.replace(b.Text))
			require.NoError(r.t, err)
			require.NoError(r.t, f.Close())
		case b.Run(page):
			r.run(page, b)
		}
	}
}

// run runs a block's commands as a shell does, and wants all of them to go well.
func (r *reader) run(page string, b fenced.Block) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "bash", "-euo", "pipefail", "-c", r.replace(b.Text))
	cmd.Dir, cmd.Env = r.dir, r.env
	out, err := cmd.CombinedOutput()
	r.t.Logf("%s:%d\n%s%s", page, b.Line, r.replace(b.Text), out)
	require.NoError(r.t, err, "%s:%d", page, b.Line)
	require.NotContains(r.t, string(out), vault.RootToken, "a token was printed")
	r.runs++
}

// replace puts the lab's addresses and names into a block, and wants no example to be left.
func (r *reader) replace(text string) string {
	text = r.places.Replace(text)
	require.NotContains(r.t, text, "example.com")
	return text
}

// TestDocumentedCommands: docs/start.md, and what README.md says of its use, work as they
// stand there, with the addresses of the lab.
func TestDocumentedCommands(t *testing.T) {
	t.Run("start", func(t *testing.T) {
		r := newReader(t, "jwt-us-east", "jwt-read-us-east", "jwt-eu-west", "jwt-read-eu-west")
		require.NoError(t, os.WriteFile(filepath.Join(r.dir, "nomad_vault_default.jwt"), []byte(identity(t, east1)), 0o600))
		r.read("docs/start.md")
		assert.Equal(t, 6, r.runs)
		c := vault.Client()
		assert.Equal(t, published(t, east1), kids(t, c, "jwt-read-us-east", "us-east", ""))
		assert.Equal(t, published(t, west), kids(t, c, "jwt-read-eu-west", "eu-west", ""))
		assert.Len(t, owners(t, c, "jwt-read-us-east"), len(published(t, east1)), "and no key of the other cluster")
	})
	t.Run("README", func(t *testing.T) {
		c := enable(t, vault, "jwt-read-readme", nil)
		r := newReader(t, "jwt-nomad", "jwt-read-readme")
		r.read("README.md")
		assert.Equal(t, 1, r.runs)
		assert.Equal(t, published(t, east1), kids(t, c, "jwt-read-readme", "us-east", ""))
	})
}

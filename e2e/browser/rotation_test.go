//go:build e2e

package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/lab"
)

// A key that a real Nomad rotates comes to the page of a watch, and is trusted there.
func TestRotation(t *testing.T) {
	vault, err := lab.StartVault(t.Context(), lab.VaultOptions{})
	require.NoError(t, err)
	t.Cleanup(vault.Stop)
	nomad, err := lab.StartNomad(t.Context(), lab.NomadOptions{Region: "global"})
	require.NoError(t, err)
	t.Cleanup(nomad.Stop)
	require.NoError(t, vault.Client().Sys().EnableAuth("jwt-nomad", "jwt", ""))
	address := watch(t, fmt.Sprintf(`
cluster "us-east" { address = %q }
mount "jwt-nomad" {
  clusters = ["us-east"]
  settle   = "300ms"
}
`, nomad.Address), "VAULT_ADDR="+vault.Address, "VAULT_TOKEN="+vault.RootToken)

	b := open(t, desktop)
	b.run(t, chromedp.Navigate(address))
	keys := func() []string {
		return ask[[]string](t, b, `[...document.querySelectorAll('article tbody tr')].map(r => r.innerText)`)
	}
	inSync := func(n int) func() bool {
		return func() bool {
			return len(keys()) == n && ask[string](t, b, `document.querySelector('h1').innerText`) == "Everything is in sync"
		}
	}
	b.until(t, "in sync", inSync(1))
	id, err := nomad.RotateKey(t.Context())
	require.NoError(t, err)
	b.until(t, "in sync with the new key", inSync(2))
	newest := keys()[0]
	assert.Contains(t, newest, id)
	assert.Contains(t, newest, "trusted")
	assert.Contains(t, newest, "expected by")
	assert.Contains(t, keys()[1], "a newer key is here")
	assert.NotContains(t, strings.Join(keys(), ""), "pending")
}

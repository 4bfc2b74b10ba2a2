//go:build e2e

package e2e

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/pem"
)

// A cluster publishes a key that somebody pasted, and drops it again: the key goes on logging in,
// each run says so, and the command that is shown ends it.
func TestAdoptedKey(t *testing.T) {
	const path = "jwt-adopted"
	c := enable(t, vault, path, nil)
	victim, stray, own := fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA")
	var pasted []string
	for _, k := range []*fakenomad.Key{victim, stray} {
		element, err := pem.Encode(k.Public())
		require.NoError(t, err)
		pasted = append(pasted, string(element))
	}
	writeConfig(t, c, path, map[string]any{"jwt_validation_pubkeys": pasted})
	file := jwksFile(t, victim, own)
	args := []string{"-quiet", "-cluster", "edge", "-jwks-file", file, "-mount", path, "-foreign", "keep", "-settle", "200ms"}
	syncNow(t, 0, args...)
	assert.ElementsMatch(t, []string{"edge", "edge", ""}, owners(t, c, path))

	text, err := os.ReadFile(jwksFile(t, own))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	for range 2 {
		r := syncNow(t, 0, args...)
		assert.Regexp(t, `\? edge .* adopted, and no longer published since 20`, r.stdout)
		assert.Regexp(t, `(?m)^    harvest sync -quiet .* -deny `+regexp.QuoteMeta(fingerprintOf(t, victim))+`$`, r.stdout)
		require.NoError(t, login(c, path, ownToken(victim)), "the person who pasted it may need it")
	}
	syncNow(t, 0, append(args, "-deny", fingerprintOf(t, victim))...)
	require.Error(t, login(c, path, ownToken(victim)))
	require.NoError(t, login(c, path, ownToken(stray)))
	require.NoError(t, login(c, path, ownToken(own)))
	assert.Empty(t, syncNow(t, 0, args...).stdout)

	// Where all keys are this configuration's, an adopted one goes as any other.
	const alone = "jwt-adopted-alone"
	c = enable(t, vault, alone, map[string]any{"jwt_validation_pubkeys": pasted[:1]})
	args[6] = alone
	require.NoError(t, os.WriteFile(file, read(t, jwksFile(t, victim, own)), 0o600))
	syncNow(t, 0, args...)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	syncNow(t, 0, args...)
	require.Error(t, login(c, alone, ownToken(victim)))
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return text
}

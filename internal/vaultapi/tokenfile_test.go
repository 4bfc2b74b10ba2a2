package vaultapi

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadTokenFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/good", " s.token \n")
	token, err := ReadTokenFile(t.Context(), dir+"/good")
	require.NoError(t, err)
	assert.Equal(t, "s.token", token)
	for name, content := range map[string]string{
		"empty": " \n", "two": "secret1\nsecret2", "large": strings.Repeat("secret", maxTokenFile),
	} {
		write(t, dir+"/"+name, content)
		_, err := ReadTokenFile(t.Context(), dir+"/"+name)
		require.ErrorContains(t, err, name)
		assert.NotContains(t, err.Error(), "secret")
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
}

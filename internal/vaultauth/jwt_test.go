package vaultauth

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
)

func TestJWTLogin(t *testing.T) {
	dir := t.TempDir()
	v := fakevault.New(t)
	v.Enable("", "jwt-nomad", "jwt")
	client := v.ClientWith("")
	_, err := client.Auth().Login(t.Context(), JWTLogin{Mount: "jwt-nomad", TokenFile: dir + "/missing"})
	require.ErrorContains(t, err, "missing")
	write(t, dir+"/jwt", "not.a.jwt\n")
	_, err = client.Auth().Login(t.Context(), JWTLogin{Mount: "jwt-nomad", Role: "r", TokenFile: dir + "/jwt"})
	require.ErrorContains(t, err, "auth/jwt-nomad/login")
	assert.NotContains(t, err.Error(), "not.a.jwt")
}

func write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
}

// A server that repeats what it was sent doesn't get it into an error, not even a part of it
// where the text is cut.
func TestEchoedToken(t *testing.T) {
	const token = "a-token-of-no-known-form"
	client, err := api.NewClient(nil)
	require.NoError(t, err)
	for _, before := range []string{"", strings.Repeat("x", 245), strings.Repeat("x", 255)} {
		assert.NotContains(t, loginError(client, errors.New(before+token), token).Error(), token[:8])
		assert.NotContains(t, loginError(client, &api.ResponseError{StatusCode: 400, Errors: []string{before, token}}, token).Error(), token[:8])
	}
}

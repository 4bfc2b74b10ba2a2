package vaultapi

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPolicy(t *testing.T) {
	assert.Equal(t, `path "auth/a/config" {
  capabilities = ["read", "update"]
}

path "auth/b/config" {
  capabilities = ["read", "update"]
}
`, Policy("b", "a", "/b/"))
}

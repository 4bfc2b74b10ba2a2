package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A credential for Vault that would go over the network in the clear is told of: not to this
// machine, and not where none is sent.
func TestPlainVaults(t *testing.T) {
	c, err := Parse("c.hcl", []byte(`
vault "far" { address = "http://vault.example.com:8200" }
vault "near" { address = "http://127.0.0.1:8200" }
vault "safe" { address = "https://vault.example.com:8200" }
vault "agent" {
  address = "http://agent.example.com:8100"
  auth "none" {}
}
cluster "a" { address = "https://nomad.example.com:4646" }
mount "m1" {
  vault    = "far"
  clusters = ["a"]
}
mount "m2" {
  vault    = "near"
  clusters = ["a"]
}
mount "m3" {
  vault    = "safe"
  clusters = ["a"]
}
mount "m4" {
  vault    = "agent"
  clusters = ["a"]
}
mount "m5" {
  vault    = "far"
  clusters = ["a"]
}
`))
	require.NoError(t, err)
	assert.Equal(t, []string{"http://vault.example.com:8200"}, c.PlainVaults(func(string) string { return "" }))
}

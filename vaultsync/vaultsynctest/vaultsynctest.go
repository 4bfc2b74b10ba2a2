// Package vaultsynctest has a stand-in for Vault, for tests of programs that use vaultsync: JWT
// auth mounts in memory, without a socket, which work in a bubble of testing/synctest too.
//
// It does what harvest relies on in a real Vault, and refuses what that refuses: the same tests run
// against both.
package vaultsynctest

import (
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Vault is a Vault with JWT auth mounts. Its methods may be called while it is in use.
type Vault struct{ server *fakevault.Server }

// New returns a Vault without mounts, which ends with the test.
func New(tb testing.TB) *Vault {
	tb.Helper()
	server := fakevault.NewInProcess()
	tb.Cleanup(server.Close)
	return &Vault{server}
}

// Client returns a client with a root token, which ignores VAULT_ variables.
func (v *Vault) Client() *api.Client { return v.server.Client() }

// Listen opens a port on this machine, and returns the address for code that needs one. Call it
// before Client and Mount, and not in a bubble.
func (v *Vault) Listen() string {
	v.server.Listen()
	return v.server.URL
}

// Token returns a token with only these capabilities, such as "read" and "update", on the
// configuration of the mount at path.
func (v *Vault) Token(path string, capabilities ...string) string {
	return v.server.Token("", fakevault.Grants{"auth/" + path + "/config": capabilities})
}

// Mount enables the JWT auth method at path, such as "jwt-nomad", and returns the mount.
func (v *Vault) Mount(path string) *vaultsync.Mount {
	v.server.Enable("", path, "jwt")
	return vaultsync.NewMount(v.Client(), path)
}

// Keys returns the elements that the mount at path trusts.
func (v *Vault) Keys(path string) []string { return v.server.Keys("", path) }

// Write writes the whole configuration of the mount at path, as another writer does, and returns
// Vault's error.
func (v *Vault) Write(path string, config map[string]any) error {
	return v.server.WriteConfig("", path, config)
}

// Seal seals the Vault, or unseals it again.
func (v *Vault) Seal(sealed bool) {
	if sealed {
		v.server.Seal()
	} else {
		v.server.Unseal()
	}
}

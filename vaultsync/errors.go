package vaultsync

import (
	"errors"
	"fmt"

	"github.com/jwksharvest/harvest/internal/vaultapi"
)

var (
	// ErrNoMount: there is no auth method at the path, or it is no JWT one. To a setup one of
	// type oidc is none.
	ErrNoMount = vaultapi.ErrNoMount
	// ErrSealed: Vault is sealed or not initialized.
	ErrSealed = vaultapi.ErrSealed
	// ErrForbidden: the token is missing, expired, revoked, or lacks a capability.
	ErrForbidden = vaultapi.ErrForbidden
	// ErrNoNamespaces: the mount is in a namespace, and this Vault has none. It would
	// pass over the name and write the mount of that path in its only tree.
	ErrNoNamespaces = vaultapi.ErrNoNamespaces
	// ErrConflict: another writer undid each of several writes.
	ErrConflict = errors.New("another writer keeps changing the keys")
)

// MountError says which mount an error belongs to.
type MountError struct {
	MountID
	Err error
}

// Error implements error.
func (e *MountError) Error() string {
	return fmt.Sprintf("%s: %v", e.Title(), e.Err)
}

// Unwrap returns Err.
func (e *MountError) Unwrap() error { return e.Err }

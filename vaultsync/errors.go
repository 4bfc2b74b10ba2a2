package vaultsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

var (
	// ErrNoMount: there is no JWT auth method at the path. For a setup, one of type oidc doesn't
	// count.
	ErrNoMount = vaultapi.ErrNoMount
	// ErrSealed: Vault is sealed or not initialized.
	ErrSealed = vaultapi.ErrSealed
	// ErrForbidden: the token is missing, expired, revoked, or lacks a capability.
	ErrForbidden = vaultapi.ErrForbidden
	// ErrNoNamespaces: the mount is in a namespace, and this Vault has none. It would ignore the
	// name, and write the mount of that path in its only tree.
	ErrNoNamespaces = vaultapi.ErrNoNamespaces
	// ErrNotStaticKeys: the mount takes its keys from a URL or by OIDC discovery.
	ErrNotStaticKeys = mountconfig.ErrNotStaticKeys
	// ErrUnreadableFields: Vault leaves secrets of this mount's configuration out of
	// reads, so that writing back what was read would wipe them.
	ErrUnreadableFields = mountconfig.ErrUnreadableFields
	// ErrTooLarge: the configuration would exceed the 1 MiB that Vault's integrated storage takes.
	ErrTooLarge = vaultapi.ErrTooLarge
	// ErrUnreachable: there is no connection to Vault, or it broke. A timeout is another error.
	ErrUnreachable = errors.New("no connection")
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
	return fmt.Sprintf("%s: %v", e.title(), e.Err)
}

// Unwrap returns Err.
func (e *MountError) Unwrap() error { return e.Err }

// Is reports true for ErrUnreachable where Err is of that kind.
func (e *MountError) Is(target error) bool {
	return target == ErrUnreachable && Kind(e.Err) == "unreachable"
}

// ended has what went wrong after the end of a context wrap the context's error, whatever its
// cause.
func ended(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return vaultapi.Stopped(ctx, err)
}

package vaultsync

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Mount is a JWT auth method of a Vault: the client that reaches it, and a path.
type Mount struct {
	// Client holds address, TLS and token. It is cloned once and never changed. A token that is
	// renewed or replaced there is used from the next sync on. Whatever its http.Client does with
	// redirects, one is followed, as Vault's own command does: never from https to http, and to
	// another host only for the same path, as a standby sends it. VAULT_DISABLE_REDIRECTS in the
	// environment, or a CheckRedirect that returns an error, refuses this one too. (The
	// DisableRedirects of an api.Config can't be honoured, because vault/api doesn't show it.)
	// The callbacks of WithRequestCallbacks and WithResponseCallbacks aren't called, because
	// vault/api copies none: an http.RoundTripper in its http.Client sees each request.
	Client *api.Client
	// Namespace is that of the mount; "" is the client's own.
	Namespace string
	// Path is that of the mount without "auth/", such as "jwt-nomad".
	Path string
	// Store, if not nil, holds the keys in place of a Vault. Client is not used then, and Path is
	// only a name.
	Store Store

	inNamespace atomic.Bool // Vault was asked whether it has namespaces, and then answered a read

	mu    sync.Mutex
	clone *api.Client // made once: see open
}

// NewMount returns the mount at path ("jwt-nomad", "auth/jwt-nomad/") of c's Vault and
// namespace.
func NewMount(c *api.Client, path string) *Mount {
	path = strings.Trim(path, "/")
	return &Mount{Client: c, Path: strings.TrimPrefix(path, "auth/")}
}

// vault returns the address of the mount's Vault, without user name and password; "" where a
// Store has the keys.
func (m *Mount) vault() string {
	if m.Store != nil || m.Client == nil {
		return ""
	}
	address, err := url.Parse(m.Client.Address())
	if err != nil || address.Opaque != "" { // user:password@host is a scheme, user, and the rest
		return "(an address that can't be read)"
	}
	address.User = nil
	return address.String()
}

// namespace returns the namespace in effect.
func (m *Mount) namespace() string {
	if m.Namespace != "" || m.Store != nil || m.Client == nil {
		return strings.Trim(m.Namespace, "/")
	}
	return strings.Trim(m.Client.Namespace(), "/")
}

// String returns the path, the namespace and the address.
func (m *Mount) String() string { return m.ID().String() }

// Wrap returns err as a *MountError of this mount, or nil.
func (m *Mount) Wrap(err error) error {
	if err == nil {
		return nil
	}
	return &MountError{m.ID(), err}
}

func (m *Mount) configPath() string { return "auth/" + m.Path + "/config" }

// Trusted returns the keys that the mount trusts, in the order of its list: with an annotation
// those of clusters, without one foreign ones, and with the zero fingerprint what can't be read as
// a key. The error is that of [Mount.Read].
func (m *Mount) Trusted(ctx context.Context) ([]plan.Key, error) {
	config, err := m.Read(ctx)
	return config.Trusted(), err
}

// Read returns the mount's configuration, or the zero Config if it was never configured, for
// harvest's own packages: its type is internal to this module. [Mount.Trusted] has the keys. It
// needs the capability "read" on auth/<path>/config. The error is a *MountError, and wraps
// [ErrNoMount], [ErrForbidden] or [ErrSealed] if it is one of these.
func (m *Mount) Read(ctx context.Context) (mountconfig.Config, error) {
	s, err := m.open()
	if err != nil {
		return mountconfig.Config{}, m.Wrap(err)
	}
	config, err := s.read(ctx)
	return config, m.Wrap(ended(ctx, err))
}

// Session returns the client with which setup, verify and lint ask Vault, so that they read what
// this mount wrote. Its type is internal to this module, and may change.
func (m *Mount) Session() (*vaultapi.Session, error) {
	s, err := m.open()
	if err == nil && m.Store != nil {
		err = errNoVault
	}
	if err != nil {
		return nil, m.Wrap(err)
	}
	return s.Session, nil
}

// session is that of a mount.
type session struct {
	*vaultapi.Session
	mount *Mount
}

// String keeps the client's token out of what prints a session.
func (s *session) String() string { return s.mount.String() }

// check refuses what can't be a mount's path, and a client that no server is named for.
func (m *Mount) check() error {
	switch {
	case m.Path == "" || strings.Contains(m.Path, ".."):
		return fmt.Errorf("mount path %q: want the path of a JWT auth method, such as jwt-nomad", m.Path)
	case m.Store != nil:
		return nil
	case m.Client == nil:
		return errors.New("the mount has no client")
	case strings.HasPrefix(m.Path, "auth/") || strings.Trim(m.Path, "/") != m.Path:
		return fmt.Errorf("mount path %q: want it without auth/ and slashes around it, as NewMount makes it", m.Path)
	}
	if address, err := url.Parse(m.Client.Address()); err != nil || address.Scheme == "" || address.Opaque != "" {
		return errors.New("Vault's address: want one such as https://vault.example.com:8200")
	}
	return nil
}

func (m *Mount) open() (*session, error) {
	if err := m.check(); err != nil {
		return nil, &wrong{err}
	}
	if m.Store != nil {
		return &session{&vaultapi.Session{Path: m.Path}, m}, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clone == nil {
		namespace := ""
		if m.Namespace != "" {
			namespace = m.namespace()
		}
		c, err := vaultapi.Clone(m.Client, namespace)
		if err != nil {
			return nil, err
		}
		m.clone = c
	}
	m.clone.SetToken(m.Client.Token())
	return &session{&vaultapi.Session{API: m.clone, Namespace: m.namespace(), Path: m.Path}, m}, nil
}

// read needs no lock: Vault gives one state of the entry.
func (s *session) read(ctx context.Context) (mountconfig.Config, error) {
	if s.mount.Store != nil {
		return s.mount.list(ctx)
	}
	if !s.mount.inNamespace.Load() { // else the mount of that path in the only tree would be read
		if err := s.HasNamespaces(ctx); err != nil {
			return mountconfig.Config{}, err
		}
	}
	path := s.mount.configPath()
	fields, err := s.Lookup(ctx, path)
	if err != nil {
		return mountconfig.Config{}, err
	}
	s.mount.inNamespace.Store(true)
	if fields == nil {
		return mountconfig.Config{}, nil
	}
	if _, ok := fields[keysField]; !ok {
		return mountconfig.Config{}, fmt.Errorf("%w: the configuration at %s has no %s", ErrNoMount, path, keysField)
	}
	return mountconfig.New(fields), nil
}

// write sends the body of a plan once. An error may mean that it was carried out all the same.
func (s *session) write(ctx context.Context, p *plan.Plan, body map[string]any) error {
	if s.mount.Store != nil {
		return s.mount.Store.Write(ctx, p)
	}
	ctx, cancel := context.WithTimeout(vaultapi.Once(vaultapi.CountHops(ctx)), writeTimeout)
	defer cancel()
	path := s.mount.configPath()
	secret, err := s.API.Logical().WriteWithContext(ctx, path, body)
	if err == nil {
		err = vaultapi.Held(secret, path)
	}
	return err
}

// writeTimeout bounds one write. What takes longer is read back.
const writeTimeout = 30 * time.Second

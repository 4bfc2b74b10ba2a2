package vaultsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
)

// maxResponse bounds a reply of Vault in bytes: a configuration and its escapes.
const maxResponse = 4 * MaxConfig

// Mount is a JWT auth method of a Vault: the client that reaches it, and a path.
type Mount struct {
	// Client holds address, TLS and token. It is cloned once and never changed; a token
	// that is renewed or replaced there is used from the next sync on. Whatever its
	// http.Client does with redirects, one is followed, as Vault's own command does, never
	// from https to http, and to another host only where it asks there for the same path, as
	// a standby's does. VAULT_DISABLE_REDIRECTS in the environment refuses this one too; so
	// does a CheckRedirect that returns an error. (vault/api shows nobody the
	// DisableRedirects of an api.Config, so that this field alone can't be honoured.)
	Client *api.Client
	// Namespace is that of the mount; "" is the client's own.
	Namespace string
	// Path is that of the mount without "auth/", such as "jwt-nomad".
	Path string

	mu    sync.Mutex
	clone *api.Client // made once: see open
}

// NewMount returns the mount at path ("jwt-nomad", "auth/jwt-nomad/") of c's Vault and
// namespace.
func NewMount(c *api.Client, path string) *Mount {
	path = strings.Trim(path, "/")
	return &Mount{Client: c, Path: strings.TrimPrefix(path, "auth/")}
}

// Vault returns the address of the mount's Vault, without user name and password.
func (m *Mount) Vault() string {
	address, err := url.Parse(m.Client.Address())
	if err != nil || address.Opaque != "" { // user:password@host is a scheme, user, and the rest
		return "(an address that can't be read)"
	}
	address.User = nil
	return address.String()
}

// namespace returns the namespace in effect.
func (m *Mount) namespace() string {
	if m.Namespace != "" {
		return strings.Trim(m.Namespace, "/")
	}
	return strings.Trim(m.Client.Namespace(), "/")
}

// String returns the path, the namespace and the address.
func (m *Mount) String() string { return MountName(m.Vault(), m.namespace(), m.Path) }

func (m *Mount) wrap(err error) error {
	if err == nil {
		return nil
	}
	return &MountError{m.Vault(), m.namespace(), m.Path, err}
}

func (m *Mount) configPath() string { return "auth/" + m.Path + "/config" }

// Read returns the mount's configuration, the zero Config where it was never configured.
// It needs the capability "read" on auth/<path>/config. The error is a *MountError and
// wraps [ErrNoMount], [ErrForbidden] or [ErrSealed] where it is one of these.
func (m *Mount) Read(ctx context.Context) (Config, error) {
	s, err := m.open()
	if err != nil {
		return Config{}, m.wrap(err)
	}
	config, err := s.read(ctx)
	return config, m.wrap(err)
}

// session is a clone of the mount's client: reads follow the writes of the same clone where
// Vault has replicas.
type session struct {
	mount *Mount
	api   *api.Client
}

// String keeps the client's token out of what prints a session.
func (s *session) String() string { return s.mount.String() }

func (m *Mount) open() (*session, error) {
	if m.Path == "" || strings.Contains(m.Path, "..") {
		return nil, fmt.Errorf("mount path %q: want the path of a JWT auth method, such as jwt-nomad", m.Path)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clone == nil {
		c, err := m.newClone()
		if err != nil {
			return nil, err
		}
		m.clone = c
	}
	m.clone.SetToken(m.Client.Token())
	return &session{m, m.clone}, nil
}

// newClone returns a client of our own. vault/api changes the transport that clients share
// while it clones (for unix:// addresses), so it is done once, before any request.
func (m *Mount) newClone() (*api.Client, error) {
	c, err := m.Client.CloneWithHeaders()
	followed := true
	if err == nil {
		c, followed, err = ownRedirects(c)
	}
	if err != nil {
		return nil, fmt.Errorf("cloning the Vault client: %w", err)
	}
	if c.Address() != m.Client.Address() { // a clone goes back to VAULT_AGENT_ADDR
		if err := c.SetAddress(m.Client.Address()); err != nil {
			return nil, fmt.Errorf("cloning the Vault client: %w", err)
		}
	}
	if m.Namespace != "" {
		c.SetNamespace(m.namespace())
	}
	c.SetReadYourWrites(true)
	retry := c.CheckRetry()
	if retry == nil {
		retry = api.DefaultRetryPolicy
	}
	c.SetCheckRetry(func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if err == nil && resp != nil {
			if refused := refuseRedirect(ctx, resp, followed); refused != nil {
				return false, refused
			}
		}
		if ctx.Value(once{}) != nil {
			return false, nil
		}
		// An answer says more than that time ran out while waiting to ask again.
		if deadline, ok := ctx.Deadline(); ok && resp != nil && time.Until(deadline) < retryWait(resp) {
			return false, nil
		}
		return retry(ctx, resp, err)
	})
	return c, nil
}

// retryWait is the longest that vault/api may wait before it asks again: what a reply says
// in Retry-After, or thrice its usual 1.5 seconds.
func retryWait(resp *http.Response) time.Duration {
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	return 4500 * time.Millisecond
}

// once marks the context of a request that must not be sent twice: a write that is sent
// again without a look at what is there would undo somebody else's.
type once struct{}

// read needs no lock: Vault gives one state of the entry.
func (s *session) read(ctx context.Context) (Config, error) {
	path := s.mount.configPath()
	resp, err := s.api.Logical().ReadRawWithContext(ctx, path)
	if resp != nil && resp.Body != nil {
		defer resp.Body.Close()
	}
	if neverConfigured(err) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, explain(err, s.mount.Path, path, "read", s.api.Token())
	}
	if resp.StatusCode != http.StatusOK { // a redirect after the one that is followed
		return Config{}, fmt.Errorf("GET %s: Vault answered with status %d; of redirects one is followed: address the active node", path, resp.StatusCode)
	}
	var secret struct {
		Data map[string]any `json:"data"`
	}
	body := &io.LimitedReader{R: resp.Body, N: maxResponse}
	decoder := json.NewDecoder(body)
	decoder.UseNumber()
	if err := decoder.Decode(&secret); err != nil {
		return Config{}, fmt.Errorf("GET %s: Vault's answer can't be read: %w", path, err)
	}
	if len(secret.Data) == 0 {
		return Config{}, fmt.Errorf("GET %s: Vault's answer has no data: is this a Vault?", path)
	}
	if _, ok := secret.Data[keysField]; !ok {
		return Config{}, fmt.Errorf("%w: the configuration at %s has no %s", ErrNoMount, path, keysField)
	}
	return NewConfig(secret.Data), nil
}

// neverConfigured recognises the answer of a mount without configuration: 404 and
// {"errors":[]}, to the letter. A 404 of anything between here and Vault is not taken for
// it: the mount would be written as if it were empty.
func neverConfigured(err error) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && !answer.RawError &&
		answer.Errors != nil && len(answer.Errors) == 0
}

// hasNamespaces refuses a Vault that says it is not Enterprise. Others, OpenBao among them,
// don't say, and are taken to know the namespace or to refuse it.
func (s *session) hasNamespaces(ctx context.Context) error {
	namespace := s.mount.namespace()
	if namespace == "" {
		return nil
	}
	resp, err := s.api.WithNamespace("").Logical().ReadRawWithContext(ctx, "sys/health")
	if err != nil {
		return nil // not everybody may ask
	}
	defer resp.Body.Close()
	var health struct {
		Enterprise *bool `json:"enterprise"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxResponse)).Decode(&health)
	if err != nil || health.Enterprise == nil || *health.Enterprise {
		return nil
	}
	return fmt.Errorf("%w, and the mount is said to be in %q: a write would go to the mount of that path that everybody shares; "+
		"take the namespace away", ErrNoNamespaces, namespace)
}

// write sends the body once. An error may mean that it was carried out all the same.
func (s *session) write(ctx context.Context, body map[string]any) error {
	ctx, cancel := context.WithTimeout(context.WithValue(countHops(ctx), once{}, true), writeTimeout)
	defer cancel()
	_, err := s.api.Logical().WriteWithContext(ctx, s.mount.configPath(), body)
	return err
}

// writeTimeout bounds one write. What takes longer is read back.
const writeTimeout = 30 * time.Second

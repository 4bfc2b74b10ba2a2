// Package vaultapi asks one Vault about one auth mount: it follows one redirect, bounds what it
// reads, and explains errors.
package vaultapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// MaxConfig is the largest configuration that keys are added to, in bytes of JSON. Vault's
// integrated storage refuses an entry over 1 MiB, in which it wants some room for itself: 118
// bytes in Vault 1.21.1.
const MaxConfig = 1<<20 - 4<<10

// maxResponse bounds a reply of Vault in bytes: a configuration and its escapes.
const maxResponse = 4 * MaxConfig

// Session is a client of one mount's own. Where Vault has replicas, reads follow the writes of
// the same session.
type Session struct {
	API       *api.Client
	Namespace string // the one in effect; "" is the root namespace
	Path      string // of the mount, without "auth/"
}

// String keeps the client's token out of what prints a session.
func (s *Session) String() string { return "session with auth/" + s.Path }

// Clone returns a client like c for a session. vault/api changes the transport that clients
// share while it clones (for unix:// addresses), so it is called before any request.
func Clone(c *api.Client, namespace string) (*api.Client, error) {
	address := c.Address()
	clone, err := c.CloneWithHeaders()
	followed := true
	if err == nil {
		clone, followed, err = ownRedirects(clone)
	}
	if err != nil {
		return nil, fmt.Errorf("cloning the Vault client: %w", err)
	}
	if clone.Address() != address { // a clone goes back to VAULT_AGENT_ADDR
		if err := clone.SetAddress(address); err != nil {
			return nil, fmt.Errorf("cloning the Vault client: %w", err)
		}
	}
	if namespace != "" {
		clone.SetNamespace(namespace)
	}
	clone.SetReadYourWrites(true)
	clone.SetWrappingLookupFunc(func(string, string) string { return "" }) // VAULT_WRAP_TTL is for people
	RefuseRetries(clone)
	retry := clone.CheckRetry()
	clone.SetCheckRetry(func(ctx context.Context, resp *http.Response, err error) (bool, error) {
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
	return clone, nil
}

// RefuseRetries keeps a client from asking again where that is sure to fail as well: a server that
// doesn't speak TLS on this port doesn't a second later.
func RefuseRetries(c *api.Client) {
	retry := c.CheckRetry()
	if retry == nil {
		retry = api.DefaultRetryPolicy
	}
	c.SetCheckRetry(func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, new(tls.RecordHeaderError)) {
			return false, nil
		}
		return retry(ctx, resp, err)
	})
}

// retryWait is the longest that vault/api may wait before it asks again: what a reply says
// in Retry-After, or thrice its usual 1.5 seconds.
func retryWait(resp *http.Response) time.Duration {
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	return 4500 * time.Millisecond
}

type once struct{}

// Once returns the context of a request that must not be sent twice: a write that is sent
// again without a look at what is there would undo somebody else's.
func Once(ctx context.Context) context.Context { return context.WithValue(ctx, once{}, true) }

// Lookup returns what is at a path, numbers as json.Number, or nil where nothing is.
func (s *Session) Lookup(ctx context.Context, path string) (map[string]any, error) {
	resp, err := s.API.Logical().ReadRawWithContext(ctx, path)
	if resp != nil && resp.Body != nil {
		defer resp.Body.Close()
	}
	if isEmpty(err) || strings.HasPrefix(path, "sys/auth/") && noAuthEngine(err) {
		return nil, nil
	}
	if err != nil {
		return nil, s.Explain(err, path, "read")
	}
	if resp.StatusCode != http.StatusOK { // a redirect after the one that is followed
		return nil, fmt.Errorf("GET %s: Vault answered with status %d; of redirects one is followed: address the active node", path, resp.StatusCode)
	}
	var secret api.Secret
	decoder := json.NewDecoder(&io.LimitedReader{R: resp.Body, N: maxResponse})
	decoder.UseNumber()
	if err := decoder.Decode(&secret); err != nil {
		return nil, fmt.Errorf("GET %s: Vault's answer can't be read: %w", path, err)
	}
	if err := Held(&secret, path); err != nil {
		return nil, err
	}
	if len(secret.Data) == 0 {
		return nil, fmt.Errorf("GET %s: Vault's answer has no data: is this a Vault?", path)
	}
	return secret.Data, nil
}

// List returns the names at a path, in Vault's order; none where nothing is.
func (s *Session) List(ctx context.Context, path string) ([]string, error) {
	secret, err := s.API.Logical().ListWithContext(ctx, path)
	if err == nil {
		err = Held(secret, path)
	}
	if err != nil {
		return nil, s.Explain(err, path, "list")
	}
	if secret == nil {
		return nil, nil
	}
	return Strings(secret.Data["keys"]), nil
}

// Write writes body to a path. The second redirect of the request is an error, since vault/api
// takes it for success.
func (s *Session) Write(ctx context.Context, path string, body map[string]any) error {
	secret, err := s.API.Logical().WriteWithContext(CountHops(ctx), path, body)
	if err == nil {
		err = Held(secret, path)
	}
	if err != nil {
		return s.Explain(err, path, "create, update")
	}
	return nil
}

// Help returns what Vault says of a path's parameters, or "" where there is no such path.
// Every valid token may ask.
func (s *Session) Help(ctx context.Context, path string) (string, error) {
	resp, err := s.API.Logical().ReadRawWithDataWithContext(ctx, path, map[string][]string{"help": {"1"}})
	if resp != nil && resp.Body != nil {
		defer resp.Body.Close()
	}
	var answer *api.ResponseError
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return "", nil
	}
	if err != nil {
		return "", s.Explain(err, path, "read")
	}
	var said struct {
		Help string `json:"help"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxResponse)).Decode(&said); err != nil {
		return "", fmt.Errorf("GET %s?help=1: Vault's answer can't be read: %w", path, err)
	}
	return said.Help, nil
}

// Clock returns how far Vault's clock is ahead of this machine's, to about a second: Vault's
// is what tokens expire by. It needs no capability.
func (s *Session) Clock(ctx context.Context) (time.Duration, error) {
	asked := time.Now()
	resp, err := s.API.WithNamespace("").Logical().ReadRawWithDataWithContext(ctx, "sys/health", map[string][]string{
		"standbyok": {"true"}, "perfstandbyok": {"true"},
	})
	if resp != nil && resp.Body != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		return 0, s.Explain(err, "sys/health", "read")
	}
	took := time.Since(asked)
	var health struct {
		Time int64 `json:"server_time_utc"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxResponse)).Decode(&health); err != nil || health.Time == 0 {
		return 0, errors.New("sys/health doesn't say what time it is")
	}
	const half = 500 * time.Millisecond // it is cut to the second
	return time.Unix(health.Time, 0).Add(half).Sub(asked.Add(took / 2)), nil
}

// HasNamespaces refuses a Vault without namespaces where the mount is in one. Newer Vaults say
// whether they are Enterprise. Others, OpenBao among them, are asked for something in a namespace
// that can't be: a Vault that answers it passes over the name.
func (s *Session) HasNamespaces(ctx context.Context) error {
	if s.Namespace == "" {
		return nil
	}
	enterprise, err := s.enterprise(ctx)
	switch {
	case err != nil:
		return err
	case enterprise != nil && *enterprise, enterprise == nil && !s.passesOverNamespaces(ctx):
		return nil
	}
	return fmt.Errorf("%w, and the mount is said to be in %q: a write would go to the mount of that path that everybody shares; "+
		"take the namespace away", ErrNoNamespaces, s.Namespace)
}

// enterprise is what Vault says of its edition, or nil. The error is that of no answer.
func (s *Session) enterprise(ctx context.Context) (*bool, error) {
	resp, err := s.API.WithNamespace("").Logical().ReadRawWithDataWithContext(ctx, "sys/health", map[string][]string{
		"standbyok": {"true"}, "perfstandbyok": {"true"},
	})
	if resp != nil && resp.Body != nil {
		defer resp.Body.Close()
	}
	if _, answered := errors.AsType[*api.ResponseError](err); answered {
		return nil, nil // not everybody may ask
	}
	if err != nil {
		return nil, s.Explain(err, s.config(), "read")
	}
	var health struct {
		Enterprise *bool `json:"enterprise"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, maxResponse)).Decode(&health) != nil {
		return nil, nil
	}
	return health.Enterprise, nil
}

// passesOverNamespaces reports whether Vault answers as if a namespace that nobody has weren't
// named: of the mount, or of the token where there is no such mount.
func (s *Session) passesOverNamespaces(ctx context.Context) bool {
	nowhere := s.API.WithNamespace(s.Namespace + "/harvest-asks-for-none")
	for _, path := range []string{s.config(), "auth/token/lookup-self"} {
		resp, err := nowhere.Logical().ReadRawWithContext(Once(ctx), path)
		if resp != nil && resp.Body != nil {
			_ = resp.Body.Close()
		}
		if isEmpty(err) || err == nil && resp.StatusCode == http.StatusOK {
			return true
		}
	}
	return false
}

func (s *Session) config() string { return "auth/" + s.Path + "/config" }

// isEmpty recognises the answer of a path where nothing is: 404 and {"errors":[]}, to the letter.
// A 404 of anything between here and Vault is not taken for it: a mount would be written as if it
// were empty.
func isEmpty(err error) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && !answer.RawError &&
		answer.Errors != nil && len(answer.Errors) == 0
}

// noAuthEngine recognises what sys/auth/<path> answers where there is none.
func noAuthEngine(err error) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest &&
		strings.Contains(strings.Join(answer.Errors, " "), "No auth engine at")
}

// Package conformance holds what harvest relies on Vault to do, as cases that run against
// any Vault: the stand-in in every test run, the lab's real servers under the e2e tag.
// Where the two differ it is the stand-in that is wrong.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
)

// Run runs every case. The client's token is root on a Vault that has no other use, for
// the cases leave mounts behind. As a dev server has it, there is a KV engine of version 2
// at secret/. With an unseal key the last case seals the Vault and opens it again.
func Run(t *testing.T, c *api.Client, unsealKey string) {
	v := &vault{address: c.Address(), root: c.Token(), client: c, http: c.CloneConfig().HttpClient}
	asked := v.mount(t)
	v.write(t, asked, object{"jwt_validation_pubkeys": []string{pkixOf(t, rsaKey(t).Public())}})
	_, v.pairs = v.read(t, asked)["jwks_pairs"]
	for _, group := range []struct {
		name string
		run  func(*testing.T, *vault)
	}{
		{"missing", missing},
		{"permissions", permissions},
		{"config", config},
		{"elements", elements},
		{"modes", modes},
		{"login", login},
		{"roles", roles},
		{"mounts", mounts},
		{"namespaces", namespaces},
	} {
		t.Run(group.name, func(t *testing.T) { group.run(t, v) })
	}
	if unsealKey != "" {
		t.Run("sealed", func(t *testing.T) { sealed(t, v, unsealKey) })
	}
}

// vault is the server that is asked, spoken to without a client library in between where
// the very status and body matter.
type vault struct {
	address, root string
	client        *api.Client
	http          *http.Client
	mounts        atomic.Int64
	pairs         bool // its JWT method has jwks_pairs, as the stand-in's
}

// recent skips a case in which Vault has changed its words since the days without jwks_pairs.
func (v *vault) recent(t *testing.T) {
	t.Helper()
	fixture.Needs(t, v.pairs, "the server's JWT method has no jwks_pairs; the stand-in is a newer one")
}

// reply is a status and a body.
type reply struct {
	status int
	body   map[string]any
	raw    string
}

func (r reply) data() map[string]any {
	d, _ := r.body["data"].(map[string]any)
	return d
}

func (r reply) auth() map[string]any {
	a, _ := r.body["auth"].(map[string]any)
	return a
}

// errors is the list of errors, nil where the body has none.
func (r reply) errors() []string {
	list, ok := r.body["errors"].([]any)
	if !ok {
		return nil
	}
	out := []string{}
	for _, e := range list {
		out = append(out, fmt.Sprint(e))
	}
	return out
}

// do asks with the root token.
func (v *vault) do(t *testing.T, method, path string, body any) reply {
	t.Helper()
	return v.as(t, v.root, method, path, body)
}

// as asks with any token, "" being none.
func (v *vault) as(t *testing.T, token, method, path string, body any) reply {
	t.Helper()
	return v.within(t, "", token, method, path, body)
}

// within asks in a namespace.
func (v *vault) within(t *testing.T, namespace, token, method, path string, body any) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(t, err)
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, v.address+"/v1/"+path, in)
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if namespace != "" {
		req.Header.Set("X-Vault-Namespace", namespace)
	}
	resp, err := v.http.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	r := reply{status: resp.StatusCode, raw: string(raw)}
	if len(bytes.TrimSpace(raw)) > 0 {
		require.NoError(t, json.Unmarshal(raw, &r.body), "%s %s: %s", method, path, raw)
	}
	return r
}

// mount enables a fresh JWT mount and returns its path below auth/.
func (v *vault) mount(t *testing.T) string {
	t.Helper()
	path := fmt.Sprintf("jwt-case-%d", v.mounts.Add(1))
	r := v.do(t, "POST", "sys/auth/"+path, object{"type": "jwt"})
	require.Equal(t, http.StatusNoContent, r.status, r.raw)
	return path
}

// write writes a mount's config and expects it to be taken.
func (v *vault) write(t *testing.T, mount string, fields object) {
	t.Helper()
	r := v.do(t, "PUT", "auth/"+mount+"/config", fields)
	require.Equal(t, http.StatusNoContent, r.status, r.raw)
}

// read reads a mount's config.
func (v *vault) read(t *testing.T, mount string) map[string]any {
	t.Helper()
	r := v.do(t, "GET", "auth/"+mount+"/config", nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	return r.data()
}

// refuses expects a config to be refused with 400 and these words.
func (v *vault) refuses(t *testing.T, mount string, fields object, words string) {
	t.Helper()
	r := v.do(t, "PUT", "auth/"+mount+"/config", fields)
	require.Equal(t, http.StatusBadRequest, r.status, r.raw)
	require.Contains(t, strings.Join(r.errors(), "\n"), words)
}

// token makes a token with a policy of its own.
func (v *vault) token(t *testing.T, name, policy string) string {
	t.Helper()
	r := v.do(t, "PUT", "sys/policies/acl/"+name, object{"policy": policy})
	require.Equal(t, http.StatusNoContent, r.status, r.raw)
	r = v.do(t, "POST", "auth/token/create", object{"policies": []string{name}, "ttl": "1h"})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	token, _ := r.auth()["client_token"].(string)
	require.NotEmpty(t, token)
	return token
}

type object = map[string]any

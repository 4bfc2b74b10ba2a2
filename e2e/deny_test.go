//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/pem"
)

// fingerprintOfToken returns the fingerprint of the trusted key that signed a token, from
// where an operator has it.
func fingerprintOfToken(t *testing.T, path, cluster, token string) string {
	t.Helper()
	r := harvest(t, nil, "status", "-mount", path, "-format", "json")
	require.Equal(t, 0, r.code)
	var status struct {
		Mounts []struct {
			Trusted []statusKey `json:"trusted"`
		} `json:"mounts"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &status))
	for _, k := range status.Mounts[0].Trusted {
		if k.Cluster == cluster && k.KeyID == keyID(t, token) {
			return k.SHA256
		}
	}
	require.Fail(t, "no key of the token's on the mount")
	return ""
}

// keyID returns the kid of a token's header.
func keyID(t *testing.T, token string) string {
	t.Helper()
	encoded, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	require.NoError(t, err)
	var header struct {
		KID string `json:"kid"`
	}
	require.NoError(t, json.Unmarshal(text, &header))
	return header.KID
}

// TestDenyEverywhere: a key that signs for a real cluster is gone from every mount with the
// next sync, be it foreign, another harvester's, or kept for a cluster that is down, and its
// tokens log in nowhere.
func TestDenyEverywhere(t *testing.T) {
	paths := []string{"jwt-deny-own", "jwt-deny-down", "jwt-deny-foreign", "jwt-deny-claimed"}
	var c *api.Client
	for _, path := range paths {
		c = enable(t, vault, path, nil)
	}
	edge := fakenomad.NewKey("EdDSA")
	file := jwksFile(t, edge)
	config := func(deny, eu string) string {
		return configFile(t, fmt.Sprintf(`
%s
cluster "eu-west" { address = %q }
cluster "edge"    { jwks_file = %q }
mount "jwt-deny-own" {
  clusters = ["eu-west", "edge"]
  settle   = "100ms"
}
mount "jwt-deny-down" {
  clusters = ["eu-west", "edge"]
  settle   = "100ms"
}
mount "jwt-deny-foreign" {
  clusters = ["edge"]
  settle   = "100ms"
}
mount "jwt-deny-claimed" {
  clusters = ["edge"]
  settle   = "100ms"
}
`, deny, eu, file))
	}
	syncNow(t, 0, "-cluster", "another", "-nomad-address", west.Address, "-mount", "jwt-deny-claimed", "-settle", "100ms")
	var pasted []string // by hand
	for _, k := range trusted(t, c, "jwt-deny-claimed") {
		element, err := pem.Encode(k.Public)
		require.NoError(t, err)
		pasted = append(pasted, string(element))
	}
	writeConfig(t, c, "jwt-deny-foreign", map[string]any{"jwt_validation_pubkeys": pasted})
	syncNow(t, 0, "-config", config("", west.Address))
	token := identity(t, west)
	denied := fingerprintOfToken(t, "jwt-deny-own", "eu-west", token)
	for _, path := range paths {
		require.NoError(t, login(c, path, token), path)
		require.Contains(t, fingerprints(t, c, path), denied, path)
	}

	session, err := c.Logical().Write("auth/jwt-deny-own/login", map[string]any{"role": "nomad-workloads", "jwt": token})
	require.NoError(t, err)

	// The cluster can't be read, and still publishes the key.
	r := harvest(t, nil, "sync", "-config", config(fmt.Sprintf("deny = [%q]", denied), "http://127.0.0.1:1"))
	require.Equal(t, 3, r.code, "the cluster could not be read")
	for _, path := range paths {
		require.Error(t, login(c, path, token), path)
		assert.NotContains(t, fingerprints(t, c, path), denied, path)
		assert.Contains(t, owners(t, c, path), "edge", path)
	}
	assert.Equal(t, len(paths), strings.Count(r.stdout, "  denied\n"), r.stdout)

	// What logged in before stays logged in, until that is ended too.
	lookup := func() error {
		_, err := c.Auth().Token().Lookup(session.Auth.ClientToken)
		return err
	}
	require.NoError(t, lookup())
	require.NoError(t, c.Sys().RevokePrefix("auth/jwt-deny-own/login"))
	require.Error(t, lookup())

	// It can be read again: the key isn't taken back.
	r = syncNow(t, 0, "-config", config(fmt.Sprintf("deny = [%q]", denied), west.Address))
	assert.Regexp(t, `x eu-west +\S+ +RS256 +`+regexp.QuoteMeta(denied[:15])+` +denied`, r.stdout)
	for _, path := range paths {
		require.Error(t, login(c, path, token), path)
	}
}

// TestDenyWatching: a reload with a denied key removes it at once, though one cluster says
// nothing at all, and nothing else.
func TestDenyWatching(t *testing.T) {
	c := enable(t, vault, "jwt-deny-watch", nil)
	first, second := fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA")
	file := jwksFile(t, first, second)
	content := func(deny, silent, clusters string) string {
		return fmt.Sprintf(`
%s
%s
cluster "edge" { jwks_file = %q }
mount "jwt-deny-watch" {
  clusters = %s
  settle   = "100ms"
}
`, deny, silent, file, clusters)
	}
	config := configFile(t, content("", "", `["edge"]`))
	w := watch(t, "-config", config)
	await(t, c, "jwt-deny-watch", "edge", func(kids []string) bool { return len(kids) == 2 })
	require.NoError(t, login(c, "jwt-deny-watch", ownToken(first)))

	changed := content(fmt.Sprintf("deny = [%q]", fingerprintOf(t, first)), fmt.Sprintf("cluster \"silent\" { address = %q }", newSilence(t)), `["edge", "silent"]`)
	require.NoError(t, os.WriteFile(config, []byte(changed), 0o600))
	began := time.Now()
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGHUP))
	await(t, c, "jwt-deny-watch", "edge", func(kids []string) bool { return len(kids) == 1 })
	t.Logf("denied after %v", time.Since(began))
	require.Error(t, login(c, "jwt-deny-watch", ownToken(first)))
	require.NoError(t, login(c, "jwt-deny-watch", ownToken(second)))
	assert.Contains(t, w.stderr.String(), `msg="key removed"`)
	assert.Contains(t, w.stderr.String(), "reason=denied")
}

// newSilence returns the address of a server that takes connections and never answers.
func newSilence(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return "http://" + listener.Addr().String()
}

//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
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

// What an operator can decide about trust, each with its message: deny, pin, the refusals
// of a turnover, of the last key and of connections that prove nothing.

// fingerprintOf returns the fingerprint of a key, as -deny and -pin take it.
func fingerprintOf(t *testing.T, k *fakenomad.Key) string {
	t.Helper()
	f, err := pem.FingerprintOf(k.Public())
	require.NoError(t, err)
	return f.String()
}

// statusKey is a key in what status and plan print as JSON.
type statusKey struct {
	Cluster string `json:"cluster"`
	KeyID   string `json:"kid"`
	SHA256  string `json:"sha256"`
	Reason  string `json:"reason"`
}

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

// fingerprints returns those that a mount trusts.
func fingerprints(t *testing.T, c *api.Client, path string) []string {
	t.Helper()
	var all []string
	for _, k := range trusted(t, c, path) {
		all = append(all, k.Fingerprint.String())
	}
	return all
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

	// The cluster can't be read, and still publishes the key.
	r := harvest(t, nil, "sync", "-config", config(fmt.Sprintf("deny = [%q]", denied), "http://127.0.0.1:1"))
	require.Equal(t, 3, r.code, "the cluster could not be read")
	for _, path := range paths {
		require.Error(t, login(c, path, token), path)
		assert.NotContains(t, fingerprints(t, c, path), denied, path)
		assert.Contains(t, owners(t, c, path), "edge", path)
	}
	assert.Equal(t, len(paths), strings.Count(r.stdout, "  denied\n"), r.stdout)

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

// TestLastKey: the last key goes only when that is asked for. Then nobody can log in, until
// a sync finds a key again.
func TestLastKey(t *testing.T) {
	c := enable(t, vault, "jwt-last", nil)
	first, second := fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA")
	args := func(k *fakenomad.Key, more ...string) []string {
		return append([]string{"-cluster", "edge", "-jwks-file", jwksFile(t, k), "-mount", "jwt-last", "-settle", "100ms"}, more...)
	}
	syncNow(t, 0, args(first)...)
	before := readConfig(t, c, "jwt-last")
	r := syncNow(t, 1, args(first, "-deny", fingerprintOf(t, first))...)
	assert.Contains(t, r.stdout+r.stderr, "no key would be left on the mount: 1 would go (denied), and Vault takes no empty list")
	assert.Equal(t, before, readConfig(t, c, "jwt-last"))
	require.NoError(t, login(c, "jwt-last", ownToken(first)))

	runPrinted(t, printed(t, r.stderr), func(r result) {
		require.Equal(t, 0, r.code)
		assert.Contains(t, r.stdout, "nobody will be able to log in on this mount")
	})
	require.Len(t, trusted(t, c, "jwt-last"), 1)
	assert.NotContains(t, fingerprints(t, c, "jwt-last"), fingerprintOf(t, first))
	require.Error(t, login(c, "jwt-last", ownToken(first)))
	require.Error(t, login(c, "jwt-last", ownToken(second)))

	r = syncNow(t, 0, args(second)...)
	assert.Contains(t, r.stdout, "stood in for an empty list")
	assert.Equal(t, []string{fingerprintOf(t, second)}, fingerprints(t, c, "jwt-last"))
	require.NoError(t, login(c, "jwt-last", ownToken(second)))
	require.Error(t, login(c, "jwt-last", ownToken(first)))
}

// TestPin: of a cluster with pins the pinned keys alone are trusted, whatever it publishes
// and whatever was trusted before; the others are listed.
func TestPin(t *testing.T) {
	c := enable(t, vault, "jwt-pin", nil)
	keys := []*fakenomad.Key{fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA")}
	args := []string{"-cluster", "edge", "-jwks-file", jwksFile(t, keys...), "-mount", "jwt-pin", "-settle", "100ms"}
	syncNow(t, 0, args...)
	for _, k := range keys {
		require.NoError(t, login(c, "jwt-pin", ownToken(k)))
	}
	pinned, other := keys[0], keys[1]
	args = append(args, "-pin", fingerprintOf(t, pinned))

	r := harvest(t, nil, append([]string{"plan"}, args...)...)
	require.Equal(t, 0, r.code)
	short := regexp.QuoteMeta(fingerprintOf(t, other)[:15])
	assert.Regexp(t, `- edge +\S+ +EdDSA +`+short+` +not pinned`, r.stdout)
	assert.Regexp(t, `x edge +\S+ +EdDSA +`+short+` +not pinned`, r.stdout)
	assert.Contains(t, r.stdout, "1 to remove; 1 kept, 1 not trusted.")

	r = harvest(t, nil, append([]string{"plan", "-format", "json"}, args...)...)
	require.Equal(t, 0, r.code)
	var plan struct {
		Mounts []struct {
			Remove  []statusKey `json:"remove"`
			Skipped []statusKey `json:"skipped"`
		} `json:"mounts"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &plan))
	for _, list := range [][]statusKey{plan.Mounts[0].Remove, plan.Mounts[0].Skipped} {
		assert.Equal(t, []statusKey{{"edge", other.ID, fingerprintOf(t, other), "not pinned"}}, list)
	}

	syncNow(t, 0, args...)
	require.NoError(t, login(c, "jwt-pin", ownToken(pinned)))
	require.Error(t, login(c, "jwt-pin", ownToken(other)))
}

// TestTurnoverCommand: the refusal shows both sides' fingerprints, and the command that it
// prints, run as it stands, lets the turnover pass.
func TestTurnoverCommand(t *testing.T) {
	c := enable(t, vault, "jwt-turned", nil)
	first, second := fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA")
	file := filepath.Join(t.TempDir(), "key set of edge.json")
	for _, k := range []*fakenomad.Key{first, second} {
		document, err := os.ReadFile(jwksFile(t, k))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, document, 0o600))
		if k == first {
			syncNow(t, 0, "-cluster", "edge", "-jwks-file", file, "-mount", "jwt-turned", "-settle", "100ms")
		}
	}
	before := readConfig(t, c, "jwt-turned")
	r := syncNow(t, 3, "-cluster", "edge", "-jwks-file", file, "-mount", "jwt-turned", "-settle", "100ms")
	assert.Contains(t, r.stderr, "none of the published keys is trusted already")
	assert.Contains(t, r.stderr, "trusted now:   "+fingerprintOf(t, first)+"\n")
	assert.Contains(t, r.stderr, "published now: "+fingerprintOf(t, second)+"\n")
	assert.Equal(t, before, readConfig(t, c, "jwt-turned"))

	runPrinted(t, printed(t, r.stderr), func(r result) { require.Equal(t, 0, r.code) })
	assert.Equal(t, []string{fingerprintOf(t, second)}, fingerprints(t, c, "jwt-turned"))
	require.NoError(t, login(c, "jwt-turned", ownToken(second)))
	require.Error(t, login(c, "jwt-turned", ownToken(first)))
}

// printed returns the command that stderr ends with.
func printed(t *testing.T, stderr string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	command := strings.TrimSpace(lines[len(lines)-1])
	require.True(t, strings.HasPrefix(command, "harvest "), command)
	return command
}

// TestUnauthenticated: keys that come over plain HTTP from elsewhere, or from a server whose
// certificate isn't looked at, are refused by sync before anything is sent; plan
// warns. The cluster's own word lets them pass.
func TestUnauthenticated(t *testing.T) {
	plain := newProxy(t, west.Address) // stands between harvest and a machine elsewhere
	target, err := url.Parse(west.Address)
	require.NoError(t, err)
	tls := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(target))
	t.Cleanup(tls.Close)
	for name, test := range map[string]struct {
		args []string
		env  []string
		want string
		line string // for a file
	}{
		"plain HTTP":        {[]string{"-nomad-address", "http://nomad.example.com:4646"}, []string{"HTTP_PROXY=" + plain.URL}, "read over plain HTTP", "address = \"http://nomad.example.com:4646\""},
		"unverified":        {[]string{"-nomad-address", tls.URL, "-nomad-tls-skip-verify"}, nil, "read without verifying its certificate", fmt.Sprintf("address = %q\n  tls_skip_verify = true", tls.URL)},
		"unverified by env": {[]string{"-nomad-address", tls.URL}, []string{"NOMAD_SKIP_VERIFY=true"}, "read without verifying its certificate", fmt.Sprintf("address = %q\n  tls_skip_verify = true", tls.URL)},
	} {
		t.Run(name, func(t *testing.T) {
			path := "jwt-" + strings.ReplaceAll(strings.ToLower(name), " ", "-")
			c := enable(t, vault, path, nil)
			args := append(test.args, "-cluster", "eu-west", "-mount", path)
			r := harvest(t, test.env, append([]string{"sync"}, args...)...)
			require.Equal(t, 1, r.code)
			assert.Contains(t, r.stderr, "connection is not authenticated")
			assert.True(t, strings.HasSuffix(printed(t, r.stderr), " -allow-plaintext"), r.stderr)
			assert.Zero(t, plain.gets.Load(), "nothing was sent")
			secret, err := c.Logical().Read("auth/" + path + "/config")
			require.NoError(t, err)
			require.Nil(t, secret, "the mount was written")

			config := configFile(t, fmt.Sprintf("cluster \"eu-west\" {\n  %s\n}\nmount %q { clusters = [\"eu-west\"] }\n", test.line, path))
			r = harvest(t, test.env, "sync", "-config", config)
			require.Equal(t, 1, r.code)
			assert.Contains(t, r.stderr, "allow_plaintext = true", "it says the line to add")

			r = harvest(t, test.env, append([]string{"plan"}, args...)...)
			require.Equal(t, 0, r.code)
			assert.Contains(t, r.stderr, test.want)
			r = harvest(t, test.env, append([]string{"sync", "-allow-plaintext", "-settle", "100ms"}, args...)...)
			require.Equal(t, 0, r.code)
			assert.Equal(t, published(t, west), kids(t, c, path, "eu-west", ""))
			plain.gets.Store(0)
		})
	}
}

// runPrinted runs a command as it was printed, by a shell.
func runPrinted(t *testing.T, command string, check func(result)) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", command)
	cmd.Env = []string{"PATH=" + filepath.Dir(harvestCommand), "HOME=" + t.TempDir(), "VAULT_ADDR=" + vault.Address, "VAULT_TOKEN=" + vault.RootToken}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, _ := cmd.Output()
	t.Logf("%s\n%s%s", command, stdout, stderr.String())
	check(result{string(stdout), stderr.String(), cmd.ProcessState.ExitCode()})
}

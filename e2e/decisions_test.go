//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/pem"
)

// What an operator can decide about trust, each with its message: pin, the refusals of a
// turnover, of the last key and of connections that prove nothing. deny_test.go has deny.

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

// fingerprints returns those that a mount trusts.
func fingerprints(t *testing.T, c *api.Client, path string) []string {
	t.Helper()
	var all []string
	for _, k := range trusted(t, c, path) {
		all = append(all, k.Fingerprint.String())
	}
	return all
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
	assert.Contains(t, r.stderr, "Trusted now:\n    "+fingerprintOf(t, first)+"\n")
	assert.Contains(t, r.stderr, "Published now:\n    "+fingerprintOf(t, second)+"\n")
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

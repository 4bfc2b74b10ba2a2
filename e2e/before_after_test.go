//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
)

// What goes wrong with curl | jq | pem-jwk | vault write, each case on real servers, and
// what harvest makes of the same scene. docs/migrate.md tells them in this order.

// unreachable is an address where nobody listens, nor begins to: a port that was just let go
// can be another server's by the time that it is asked.
const unreachable = "http://127.0.0.1:1"

// Vault takes PKIX and nothing else; pem-jwk prints PKCS#1.
func TestBeforePKCS1(t *testing.T) {
	c := enable(t, vault, "jwt-before-pkcs1", nil)
	jwt := identity(t, west)
	out, code := pipeline(t, "NOMAD_ADDRS="+west.Address, "MOUNT=jwt-before-pkcs1")
	assert.NotZero(t, code)
	assert.Contains(t, out, "x509: malformed tbs certificate")
	require.Error(t, login(c, "jwt-before-pkcs1", jwt))

	out, code = pipeline(t, "NOMAD_ADDRS="+west.Address, "MOUNT=jwt-before-pkcs1", "PKIX=1")
	require.Zero(t, code, out)
	require.NoError(t, login(c, "jwt-before-pkcs1", jwt), "openssl mends that, and the rest of the script works")

	c = enable(t, vault, "jwt-pkcs1-after", nil)
	syncNow(t, 0, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-pkcs1-after")
	require.NoError(t, login(c, "jwt-pkcs1-after", jwt))
}

// A write of the keys alone takes every other setting of the mount away.
func TestBeforeSettings(t *testing.T) {
	jwt := identity(t, west)
	settings := map[string]any{"default_role": "nomad-workloads", "jwt_supported_algs": []string{"RS256"}, "jwt_validation_pubkeys": []string{examplePEM(t)}}
	c := enable(t, vault, "jwt-before-wiped", settings)
	noRole := func() error {
		_, err := c.Logical().Write("auth/jwt-before-wiped/login", map[string]any{"jwt": jwt})
		return err
	}
	syncNow(t, 0, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-before-wiped")
	require.NoError(t, noRole(), "harvest writes the rest back as it was")
	assert.Equal(t, "nomad-workloads", readConfig(t, c, "jwt-before-wiped")["default_role"])

	_, code := pipeline(t, "NOMAD_ADDRS="+west.Address, "MOUNT=jwt-before-wiped", "PKIX=1")
	require.Zero(t, code, "and nothing says what it took")
	require.ErrorContains(t, noRole(), "missing role")
	config := readConfig(t, c, "jwt-before-wiped")
	assert.Empty(t, config["default_role"])
	assert.Empty(t, config["jwt_supported_algs"])

	settings["bound_issuer"] = "https://nomad.example.com"
	for _, by := range []string{"harvest", "script"} {
		writeConfig(t, c, "jwt-before-wiped", settings)
		if by == "harvest" {
			syncNow(t, 0, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-before-wiped")
			assert.Equal(t, "https://nomad.example.com", readConfig(t, c, "jwt-before-wiped")["bound_issuer"])
			require.ErrorContains(t, login(c, "jwt-before-wiped", jwt), "iss", "a token of no issuer is refused")
			continue
		}
		_, code := pipeline(t, "NOMAD_ADDRS="+west.Address, "MOUNT=jwt-before-wiped", "PKIX=1")
		require.Zero(t, code)
		assert.Empty(t, readConfig(t, c, "jwt-before-wiped")["bound_issuer"])
		require.NoError(t, login(c, "jwt-before-wiped", jwt), "tokens of any issuer are taken from then on")
	}
}

// A cluster that doesn't answer loses its keys, and the script says that all went well.
func TestBeforeUnreachable(t *testing.T) {
	eastJWT, westJWT := identity(t, east1), identity(t, west)
	c := enable(t, vault, "jwt-before-gone", nil)
	both := func(east, mount string) string {
		return configFile(t, fmt.Sprintf("cluster \"us-east\" { address = %q }\ncluster \"eu-west\" { address = %q }\nmount %q { clusters = [\"us-east\", \"eu-west\"] }\n", east, west.Address, mount))
	}
	_, code := pipeline(t, "NOMAD_ADDRS="+east1.Address+" "+west.Address, "MOUNT=jwt-before-gone", "PKIX=1")
	require.Zero(t, code)
	require.NoError(t, login(c, "jwt-before-gone", eastJWT))
	require.NoError(t, login(c, "jwt-before-gone", westJWT))
	syncNow(t, 0, "-config", both(east1.Address, "jwt-before-gone"))
	r := syncNow(t, 3, "-config", both(unreachable, "jwt-before-gone"))
	assert.Contains(t, r.stderr, "us-east", "harvest names the cluster")
	require.NoError(t, login(c, "jwt-before-gone", eastJWT), "and it keeps its keys")
	require.NoError(t, login(c, "jwt-before-gone", westJWT))

	_, code = pipeline(t, "NOMAD_ADDRS="+unreachable+" "+west.Address, "MOUNT=jwt-before-gone", "PKIX=1")
	assert.Zero(t, code, "curl -s | jq fails in silence")
	require.Error(t, login(c, "jwt-before-gone", eastJWT))
	require.NoError(t, login(c, "jwt-before-gone", westJWT))

	// With no other cluster, the list is empty, which Vault happens to refuse.
	before := readConfig(t, c, "jwt-before-gone")
	_, code = pipeline(t, "NOMAD_ADDRS="+unreachable, "MOUNT=jwt-before-gone", "PKIX=1")
	assert.NotZero(t, code)
	assert.Equal(t, before, readConfig(t, c, "jwt-before-gone"))

	// A proxy's error page stops the script: now the other cluster isn't followed either.
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>502 Bad Gateway</html>")
	}))
	defer page.Close()
	c = enable(t, vault, "jwt-before-page", nil)
	_, code = pipeline(t, "NOMAD_ADDRS="+page.URL+" "+west.Address, "MOUNT=jwt-before-page", "PKIX=1")
	assert.NotZero(t, code)
	require.Error(t, login(c, "jwt-before-page", westJWT))
	syncNow(t, 3, "-config", both(page.URL, "jwt-before-page"))
	require.NoError(t, login(c, "jwt-before-page", westJWT))
}

// Two scripts beside two clusters undo each other on one mount.
func TestBeforeShared(t *testing.T) {
	eastJWT, westJWT := identity(t, east1), identity(t, west)
	c := enable(t, vault, "jwt-before-two", nil)
	for _, address := range []string{east1.Address, west.Address} {
		_, code := pipeline(t, "NOMAD_ADDRS="+address, "MOUNT=jwt-before-two", "PKIX=1")
		require.Zero(t, code)
	}
	require.Error(t, login(c, "jwt-before-two", eastJWT), "the second script took the first one's keys")
	require.NoError(t, login(c, "jwt-before-two", westJWT))

	syncNow(t, 0, "-cluster", "us-east", "-nomad-address", east1.Address, "-mount", "jwt-before-two")
	syncNow(t, 0, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-before-two")
	require.NoError(t, login(c, "jwt-before-two", eastJWT))
	require.NoError(t, login(c, "jwt-before-two", westJWT))
}

// After rotate -now, every login fails until the script's next run.
func TestBeforeRotation(t *testing.T) {
	c, after := enable(t, vault, "jwt-before-rotated", nil), enable(t, vault, "jwt-rotated-after", nil)
	_, code := pipeline(t, "NOMAD_ADDRS="+west.Address, "MOUNT=jwt-before-rotated", "PKIX=1")
	require.Zero(t, code)
	watch(t, "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", "jwt-rotated-after")
	await(t, after, "jwt-rotated-after", "eu-west", func(kids []string) bool { return len(kids) > 0 })

	id, err := west.RotateKey(t.Context())
	require.NoError(t, err)
	jwt := identity(t, west)
	require.Equal(t, id, keyID(t, jwt))
	require.Error(t, login(c, "jwt-before-rotated", jwt))
	await(t, after, "jwt-rotated-after", "eu-west", has(id))
	require.NoError(t, login(after, "jwt-rotated-after", jwt))

	_, code = pipeline(t, "NOMAD_ADDRS="+west.Address, "MOUNT=jwt-before-rotated", "PKIX=1")
	require.Zero(t, code)
	require.NoError(t, login(c, "jwt-before-rotated", jwt), "until the script has run")
}

// Keys written as one string are one element of the list. That goes well until a rotation
// makes two keys of one; then Vault refuses it.
func TestBeforeOneString(t *testing.T) {
	k1, k2 := fakenomad.NewKey("RS256"), fakenomad.NewKey("RS256")
	c := enable(t, vault, "jwt-before-string", nil)
	_, code := pipeline(t, "NOMAD_ADDRS="+publishing(t, k1), "MOUNT=jwt-before-string", "PKIX=1", "ONE=1")
	require.Zero(t, code)
	require.NoError(t, login(c, "jwt-before-string", ownToken(k1)))

	rotated := publishing(t, k1, k2)
	out, code := pipeline(t, "NOMAD_ADDRS="+rotated, "MOUNT=jwt-before-string", "PKIX=1", "ONE=1")
	assert.NotZero(t, code)
	assert.Contains(t, out, "unexpected trailing data after parsed PEM block")
	require.Error(t, login(c, "jwt-before-string", ownToken(k2)))

	syncNow(t, 0, "-cluster", "edge", "-jwks-url", rotated+"/.well-known/jwks.json", "-mount", "jwt-before-string")
	require.NoError(t, login(c, "jwt-before-string", ownToken(k1)))
	require.NoError(t, login(c, "jwt-before-string", ownToken(k2)))
}

// One key that isn't RSA stops the script, and with it all the others.
func TestBeforeEdDSA(t *testing.T) {
	k1, k2 := fakenomad.NewKey("RS256"), fakenomad.NewKey("EdDSA")
	source := publishing(t, k1, k2)
	c := enable(t, vault, "jwt-before-eddsa", nil)
	for _, env := range []string{"PKIX=", "PKIX=1"} {
		_, code := pipeline(t, "NOMAD_ADDRS="+source, "MOUNT=jwt-before-eddsa", env)
		assert.NotZero(t, code)
		require.Error(t, login(c, "jwt-before-eddsa", ownToken(k1)))
	}
	syncNow(t, 0, "-cluster", "edge", "-jwks-url", source+"/.well-known/jwks.json", "-mount", "jwt-before-eddsa")
	require.NoError(t, login(c, "jwt-before-eddsa", ownToken(k1)))
	require.NoError(t, login(c, "jwt-before-eddsa", ownToken(k2)))
}

// The script trusts what it is given; harvest leaves out a key that is too short.
func TestBeforeUnfit(t *testing.T) {
	c := enable(t, vault, "jwt-before-unfit", nil)
	weak, sound := weakKey(t), fakenomad.NewKey("RS256")
	source := publishing(t, weak, sound)
	_, code := pipeline(t, "NOMAD_ADDRS="+source, "MOUNT=jwt-before-unfit", "PKIX=1")
	require.Zero(t, code)
	require.NoError(t, login(c, "jwt-before-unfit", ownToken(weak)), "Vault doesn't mind either")

	r := syncNow(t, 0, "-cluster", "edge", "-jwks-url", source+"/.well-known/jwks.json", "-mount", "jwt-before-unfit", "-foreign", "remove")
	assert.Contains(t, r.stdout, "1024")
	require.Error(t, login(c, "jwt-before-unfit", ownToken(weak)))
	require.NoError(t, login(c, "jwt-before-unfit", ownToken(sound)))
}

// weakKey is an RSA key of 1024 bits.
func weakKey(t *testing.T) *fakenomad.Key {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 1024) // too short, that's the point
	require.NoError(t, err)
	return &fakenomad.Key{ID: "weak", Algorithm: "RS256", Private: private}
}

// publishing serves the public halves of keys where an agent does, and returns its address.
func publishing(t *testing.T, keys ...*fakenomad.Key) string {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.JWK())
	}
	document, err := json.Marshal(set)
	require.NoError(t, err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) }))
	t.Cleanup(s.Close)
	return s.URL
}

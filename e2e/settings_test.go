//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
)

// signedWith returns a token of a key by one of its algorithms.
func signedWith(t *testing.T, key *rsa.PrivateKey, alg string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, nil)
	require.NoError(t, err)
	claims, err := json.Marshal(object{"aud": "vault.io", "sub": "x", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})
	require.NoError(t, err)
	signed, err := signer.Sign(claims)
	require.NoError(t, err)
	token, err := signed.CompactSerialize()
	require.NoError(t, err)
	return token
}

// Access managers publish one key for several algorithms: each of them logs in on a mount that
// harvest made, and stating a list mends one that leaves them out.
func TestLoginsByEveryAlgorithm(t *testing.T) {
	const path = "jwt-algorithms"
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	var set jose.JSONWebKeySet
	algs := []string{"PS256", "PS384", "PS512", "RS512", "RS384", "RS256"}
	for _, alg := range algs {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &key.PublicKey, KeyID: "one", Use: "sig", Algorithm: alg})
	}
	document, err := json.Marshal(set)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "jwks.json")
	require.NoError(t, os.WriteFile(file, document, 0o600))
	c := enable(t, vault, path, nil)
	_, err = c.Logical().Write("auth/"+path+"/role/any", object{"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault.io"})
	require.NoError(t, err)
	logIn := func(alg string) error {
		_, err := c.Logical().Write("auth/"+path+"/login", object{"role": "any", "jwt": signedWith(t, key, alg)})
		return err
	}

	cluster := []string{"-cluster", "manager", "-jwks-file", file, "-mount", path}
	r := syncNow(t, 0, cluster...)
	assert.NotContains(t, r.stdout, "warning")
	for _, alg := range algs {
		require.NoError(t, logIn(alg), alg)
	}

	// A list that somebody wrote, with one of them.
	config := readConfig(t, c, path)
	writeConfig(t, c, path, fixture.Changed(config, object{"jwt_supported_algs": []string{"PS256"}}))
	require.NoError(t, logIn("PS256"))
	require.ErrorContains(t, logIn("RS256"), "(alg)")
	syncNow(t, 0, cluster...)
	lint := harvest(t, nil, append([]string{"status", "-lint"}, cluster...)...)
	assert.Equal(t, 3, lint.code)
	assert.Contains(t, lint.stdout, "warning (algorithm): manager signs with PS384, PS512, RS256, RS384, RS512")

	// And with none: no success, and the list isn't widened, until that is stated.
	writeConfig(t, c, path, fixture.Changed(config, object{"jwt_supported_algs": []string{"ES256"}}))
	r = syncNow(t, 3, append([]string{"-quiet"}, cluster...)...)
	assert.Contains(t, r.stderr, "logins are refused for their algorithm")
	assert.Contains(t, r.stderr, "-jwt-supported-algs ES256,PS256,PS384,PS512,RS256,RS384,RS512")
	assert.Equal(t, []any{"ES256"}, readConfig(t, c, path)["jwt_supported_algs"])
	require.Error(t, logIn("RS256"))
	syncNow(t, 0, append([]string{"-jwt-supported-algs", "ES256,PS256,PS384,PS512,RS256,RS384,RS512"}, cluster...)...)
	for _, alg := range algs {
		require.NoError(t, logIn(alg), alg)
	}
}

// What a mount block states is put back on a real Vault when somebody changes it, with the keys
// and without another field.
func TestStatedSettings(t *testing.T) {
	const path = "jwt-stated"
	c := enable(t, vault, path, nil)
	config := configFile(t, `
cluster "us-east" { address = "`+east1.Address+`" }
mount "`+path+`" {
  clusters           = ["us-east"]
  jwt_supported_algs = ["RS256", "EdDSA"]
  bound_issuer       = ""
  default_role       = "nomad-workloads"
}
`)
	r := syncNow(t, 0, "-config", config)
	assert.Contains(t, r.stdout, `default_role: nothing -> "nomad-workloads"`)
	before := readConfig(t, c, path)
	assert.ElementsMatch(t, []any{"RS256", "EdDSA"}, before["jwt_supported_algs"])
	assert.Equal(t, "nomad-workloads", before["default_role"])

	// By hand: this is what wipes the keys, or, with them, locks somebody out.
	writeConfig(t, c, path, fixture.Changed(before, object{"jwt_supported_algs": []string{"ES512"}, "bound_issuer": "https://elsewhere", "default_role": "", "oidc_response_mode": ""}))
	r = harvest(t, nil, "plan", "-detailed-exitcode", "-config", config)
	assert.Equal(t, 2, r.code)
	assert.Contains(t, r.stdout, "3 settings to change")
	syncNow(t, 0, "-config", config)
	assert.Equal(t, before, readConfig(t, c, path))
	r = syncNow(t, 0, "-config", config, "-quiet")
	assert.Empty(t, r.stdout)

	// Empty is stated as "".
	syncNow(t, 0, "-cluster", "us-east", "-nomad-address", east1.Address, "-mount", path, "-default-role=", "-jwt-supported-algs=")
	after := readConfig(t, c, path)
	assert.Equal(t, fixture.Changed(before, object{"default_role": "", "jwt_supported_algs": []any{}}), after)
}

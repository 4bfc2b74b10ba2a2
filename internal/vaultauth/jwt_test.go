package vaultauth

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

func TestJWTLogin(t *testing.T) {
	dir := t.TempDir()
	v := fakevault.New(t)
	v.Enable("", "jwt-nomad", "jwt")
	client := v.ClientWith("")
	_, err := client.Auth().Login(t.Context(), JWTLogin{Mount: "jwt-nomad", TokenFile: dir + "/missing"})
	require.ErrorContains(t, err, "missing")
	write(t, dir+"/jwt", "not.a.jwt\n")
	_, err = client.Auth().Login(t.Context(), JWTLogin{Mount: "jwt-nomad", Role: "r", TokenFile: dir + "/jwt"})
	require.ErrorContains(t, err, "auth/jwt-nomad/login")
	assert.NotContains(t, err.Error(), "not.a.jwt")
}

func write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
}

// A server that repeats what it was sent doesn't get it into an error, not even a part of it
// where the text is cut.
func TestEchoedToken(t *testing.T) {
	const token = "a-token-of-no-known-form"
	client, err := api.NewClient(nil)
	require.NoError(t, err)
	for _, before := range []string{"", strings.Repeat("x", 245), strings.Repeat("x", 255)} {
		assert.NotContains(t, loginError(client, "auth/m", errors.New(before+token), token).Error(), token[:8])
		assert.NotContains(t, attempt{}.explain(client, &api.ResponseError{StatusCode: 400, Errors: []string{before, token}}, token).Error(), token[:8])
	}
}

// What Vault says of a login that it refuses comes with what to do about it: the words are those of
// Vault 1.21.
func TestLoginRefused(t *testing.T) {
	client, err := api.NewClient(nil)
	require.NoError(t, err)
	const noToken = "error validating token: "
	for name, test := range map[string]struct {
		method string
		status int
		said   string
		do     string
	}{
		"no such role":              {"jwt", 400, `role "r" could not be found`, "`vault list auth/m/role` lists the roles"},
		"no role named":             {"jwt", 400, "missing role", "default_role"},
		"a mount without keys":      {"jwt", 400, "could not load configuration", "run harvest sync once"},
		"an unknown key":            {"jwt", 400, noToken + "error verifying token signature: no known key successfully validated the token signature", "`harvest verify /f` tells whose key it is"},
		"no JWT":                    {"jwt", 400, noToken + "error verifying token signature: go-jose/go-jose: compact JWS format must have three parts", "/f holds no JWT"},
		"another algorithm":         {"jwt", 400, noToken + "invalid algorithm (alg) header parameter: token signed with unexpected algorithm", "jwt_supported_algs"},
		"another audience":          {"jwt", 400, noToken + "invalid audience (aud) claim: audience claim does not match any expected audience", "(`vault read auth/m/role/r`)"},
		"an audience unasked":       {"jwt", 400, "audience claim found in JWT but no audiences bound to the role", "list it as bound_audiences"},
		"another issuer":            {"jwt", 400, noToken + "invalid issuer (iss) claim", "bound_issuer"},
		"an expired token":          {"jwt", 400, noToken + "invalid expiration time (exp) claim: token is expired", "nobody has renewed /f"},
		"a token of tomorrow":       {"jwt", 400, noToken + "invalid not before (nbf) claim: token not yet valid", "a clock is wrong"},
		"issued tomorrow":           {"jwt", 400, noToken + "invalid issued at (iat) claim: token issued in the future", "a clock is wrong"},
		"another claim":             {"jwt", 400, `error validating claims: claim "x" does not match any associated bound claim values`, "`harvest verify /f -role r` compares"},
		"no mount":                  {"jwt", 403, "permission denied", "no auth method is at auth/m"},
		"a stale secret ID":         {"approle", 400, "invalid role or secret ID", "`vault write -f auth/m/role/NAME/secret-id` makes another"},
		"a role ID locked out":      {"approle", 403, "permission denied", "locked the role ID out"},
		"another address":           {"approle", 400, `source address "192.0.2.1" unauthorized through CIDR restrictions on the secret ID`, "secret_id_bound_cidrs"},
		"no such Kubernetes role":   {"kubernetes", 400, `invalid role name "r"`, "`vault list auth/m/role`"},
		"another service account":   {"kubernetes", 403, "service account name not authorized", "bound_service_account_names"},
		"refused by Kubernetes":     {"kubernetes", 403, "permission denied", "system:auth-delegator"},
		"a mount that isn't set up": {"kubernetes", 500, "could not load backend configuration", "write auth/m/config"},
		"sealed":                    {"approle", 503, "Vault is sealed", "it has to be unsealed"},
		"a quota":                   {"approle", 429, "request path \"x\": rate limit quota exceeded", "raise the quota for auth/m/login"},
		"something else":            {"approle", 400, "something else", "Vault answered 400: something else"},
	} {
		t.Run(name, func(t *testing.T) {
			a := attempt{test.method, "auth/m", "r", "/f"}
			err := a.explain(client, &api.ResponseError{StatusCode: test.status, Errors: []string{test.said}})
			require.ErrorContains(t, err, test.do)
			assert.NotRegexp(t, "PATH|FILE|ROLE", err.Error())
			assert.Equal(t, test.status == 503, errors.Is(err, vaultapi.ErrSealed))
		})
	}
	page := &api.ResponseError{StatusCode: 403, RawError: true, Errors: []string{"Forbidden"}}
	require.ErrorContains(t, attempt{method: "jwt"}.explain(client, page), "isn't Vault's")
}

// The error names the mount of the method where the block names none, and the file of the block.
func TestLoginRefusedNamesItsMount(t *testing.T) {
	fakevault.ClearEnvironment(t)
	s, file := fakevault.New(t), t.TempDir()+"/secret"
	s.EnableAppRole("", "approle", "harvest", "s3cr3t")
	write(t, file, "used-up")
	v := config.Vault{Address: s.URL, Auth: &config.Auth{Method: "approle", RoleID: "harvest", SecretIDFile: file}}
	client, err := NewClient(v)
	require.NoError(t, err)
	_, err = LogIn(t.Context(), v, client)
	require.ErrorContains(t, err, "login to Vault by approle: Vault answered 400: invalid role or secret ID; the secret ID of "+file+" has expired")
	require.ErrorContains(t, err, "`vault write -f auth/approle/role/NAME/secret-id`")
}

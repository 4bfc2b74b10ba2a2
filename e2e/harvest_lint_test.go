//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/discover"
	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/lab"
	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// linted runs harvest status -lint and returns "lint severity cluster role" of what it found.
func linted(t *testing.T, code int, env []string, args ...string) []string {
	t.Helper()
	r := harvest(t, env, append([]string{"status", "-lint", "-format", "json"}, args...)...)
	require.Equal(t, code, r.code)
	var out struct {
		Mounts []struct{ Lint []lint.Problem }
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &out))
	require.Len(t, out.Mounts, 1)
	var found []string
	for _, p := range out.Mounts[0].Lint {
		found = append(found, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", p.Lint, p.Severity, p.Cluster, p.Role)))
	}
	slices.Sort(found)
	return found
}

// rewrite changes fields of a mount's configuration, and leaves the others.
func rewrite(t *testing.T, c *api.Client, path string, change object) {
	t.Helper()
	writeConfig(t, c, path, fixture.Changed(readConfig(t, c, path), change))
}

// Each finding is provoked on real servers, and those that are said to refuse logins do.
func TestLint(t *testing.T) {
	const path = "jwt-lint"
	c := enable(t, vault, path, nil)
	issuing, err := lab.StartNomad(t.Context(), lab.NomadOptions{Region: "eu-west", Issuer: "https://issuing.example.com"})
	require.NoError(t, err)
	t.Cleanup(issuing.Stop)
	config := configFile(t, fmt.Sprintf(`
cluster "west" { address = %q }
cluster "issuing" { address = %q }
mount %q { clusters = ["west", "issuing"] }
`, west.Address, issuing.Address, path))
	syncNow(t, 0, "-config", config)

	// A token that may do what harvest policy -roles says, and no more.
	require.NoError(t, c.Sys().PutPolicy("lint", harvest(t, nil, "policy", "-config", config, "-roles").stdout))
	token, err := c.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"lint"}, NoDefaultPolicy: true})
	require.NoError(t, err)
	env := []string{"VAULT_TOKEN=" + token.Auth.ClientToken}

	shared := []string{"no_issuer warning west", "role_issuer warning  nomad-workloads", "same_region warning issuing"}
	assert.Equal(t, shared, linted(t, 3, env, "-config", config))
	assert.Empty(t, linted(t, 0, env, "-config", config, "-ignore", "no_issuer,role_issuer,same_region"))

	// Whatever is said of logins, Vault does.
	jwt, issued := identity(t, west), identity(t, issuing)
	require.NoError(t, login(c, path, jwt))
	require.NoError(t, login(c, path, issued))

	rewrite(t, c, path, object{"jwt_supported_algs": []string{"ES256"}})
	assert.Equal(t, slices.Concat([]string{"algorithm error issuing", "algorithm error west"}, shared), linted(t, 3, env, "-config", config))
	require.ErrorContains(t, login(c, path, jwt), "(alg)")
	rewrite(t, c, path, object{"jwt_supported_algs": []string{"RS256"}})

	rewrite(t, c, path, object{"bound_issuer": "https://issuing.example.com"})
	assert.Equal(t, []string{"bound_issuer error west", "same_region warning issuing"}, linted(t, 3, env, "-config", config))
	require.ErrorContains(t, login(c, path, jwt), "(iss)")
	require.NoError(t, login(c, path, issued))
	rewrite(t, c, path, object{"bound_issuer": ""})

	_, err = c.Logical().Write("auth/"+path+"/role/nobody", object{
		"role_type": "jwt", "user_claim": "/nomad_job_id", "user_claim_json_pointer": true, "bound_claims": object{"/nomad_namespace": "default", "iss": "x"},
	})
	require.NoError(t, err)
	assert.Equal(t, slices.Concat(shared[:1], []string{"role_audience error  nobody", shared[1], "role_nobody error  nobody"}, shared[2:]), linted(t, 3, env, "-config", config))
	_, err = c.Logical().Write("auth/"+path+"/login", object{"role": "nobody", "jwt": jwt})
	require.Error(t, err)
	require.Regexp(t, `audience|claim "iss" is missing`, err.Error(), "before 1.17, Vault takes any audience there and goes on")
	_, err = c.Logical().Write("auth/"+path+"/role/nobody", object{
		"role_type": "jwt", "user_claim": "/nomad_job_id", "user_claim_json_pointer": true, "bound_audiences": "vault.io", "bound_claims": object{"iss": "https://issuing.example.com/"},
	})
	require.NoError(t, err)
	_, err = c.Logical().Write("auth/"+path+"/login", object{"role": "nobody", "jwt": issued})
	require.ErrorContains(t, err, `claim "iss" does not match`)
	_, err = c.Logical().Write("auth/"+path+"/login", object{"role": "nobody", "jwt": jwt})
	require.ErrorContains(t, err, `claim "iss" is missing`)
	_, err = c.Logical().Delete("auth/" + path + "/role/nobody")
	require.NoError(t, err)

	// A star is any text in a glob of bound_claims, and a star everywhere else.
	star := object{"role_type": "jwt", "user_claim": "/nomad_job_id", "user_claim_json_pointer": true, "bound_audiences": "vault.io"}
	starred := slices.Concat(shared[:2], []string{"role_star error  star"}, shared[2:])
	asStar := func() error {
		_, err := c.Logical().Write("auth/"+path+"/login", object{"role": "star", "jwt": jwt})
		return err
	}
	_, err = c.Logical().Write("auth/"+path+"/role/star", fixture.Changed(star, object{"bound_claims": object{"sub": "eu-west:*"}}))
	require.NoError(t, err)
	assert.Equal(t, starred, linted(t, 3, env, "-config", config))
	require.ErrorContains(t, asStar(), `claim "sub" does not match`)
	_, err = c.Logical().Write("auth/"+path+"/role/star", object{"role_type": "jwt", "bound_claims_type": "glob"}) // as the fix says
	require.NoError(t, err)
	assert.Equal(t, shared, linted(t, 3, env, "-config", config))
	require.NoError(t, asStar())
	_, err = c.Logical().Write("auth/"+path+"/role/star", object{"role_type": "jwt", "bound_claims_type": "glob", "bound_subject": "eu-west:*"})
	require.NoError(t, err)
	assert.Equal(t, starred, linted(t, 3, env, "-config", config))
	require.ErrorContains(t, asStar(), "(sub)")
	_, err = c.Logical().Delete("auth/" + path + "/role/star")
	require.NoError(t, err)

	// A key as old as if it had never been rotated, and one of a cluster that is gone.
	var elements []string
	for _, element := range mountconfig.New(readConfig(t, c, path)).Keys() {
		var b pem.Block
		require.NoError(t, b.UnmarshalText([]byte(element)))
		if b.Annotation.Cluster == "west" {
			b.Annotation.Added = time.Now().Add(-40 * 24 * time.Hour)
		}
		text, err := b.MarshalText()
		require.NoError(t, err)
		elements = append(elements, string(text))
	}
	rewrite(t, c, path, object{"jwt_validation_pubkeys": elements})
	syncNow(t, 0, "-cluster", "gone", "-nomad-address", east1.Address, "-mount", path)
	assert.Equal(t, slices.Concat(shared[:1], []string{shared[1], "rotation warning west", shared[2], "unconfigured warning gone"}), linted(t, 3, env, "-config", config))
	require.NoError(t, login(c, path, identity(t, east1)), "an unconfigured cluster's jobs do log in")

	// Without the policy, the rest is still said.
	require.NoError(t, c.Sys().PutPolicy("lint", harvest(t, nil, "policy", "-config", config).stdout))
	assert.Equal(t, []string{"no_issuer warning west", "roles warning", "rotation warning west", "same_region warning issuing", "unconfigured warning gone"},
		linted(t, 3, env, "-config", config))
}

// An agent that was given no region to ask for is in one all the same: among several, its keys
// tell which.
func TestLintNamesRegions(t *testing.T) {
	for region, agent := range map[string]*lab.Nomad{"us-east-1": east1, "us-east-2": east2} {
		found := discover.All(t.Context(), []jwks.Cluster{{Name: "own", Sources: []jwks.Source{jwks.Nomad{Address: agent.Address}}}})
		require.Len(t, found, 1)
		require.NoError(t, found[0].Err)
		assert.Equal(t, region, found[0].RegionName)
	}
}

// RFC 9864's name of EdDSA is one that Vault refuses: an issuer that rotates to such a key logs
// in all the same, on a mount that setup made.
func TestSetupEd25519(t *testing.T) {
	first, next := fakenomad.NewKey("RS256"), fakenomad.NewKey("EdDSA")
	jwk := next.JWK()
	jwk.Algorithm = "Ed25519"
	var keys atomic.Value
	keys.Store(object{"keys": []any{first.JWK()}})
	mux := http.NewServeMux()
	issuer := httptest.NewServer(mux)
	t.Cleanup(issuer.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(object{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "Ed25519"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(keys.Load()) })
	const path = "jwt-ed25519"
	cluster := []string{"-cluster", "a", "-oidc-issuer", issuer.URL, "-mount", path}
	require.Zero(t, harvest(t, nil, append([]string{"setup", "-y", "-role", "ed25519"}, cluster...)...).code)
	c := vault.Client()
	config := readConfig(t, c, path)
	assert.Empty(t, config["jwt_supported_algs"])
	_, err := c.Logical().Write("auth/"+path+"/config", fixture.Changed(config, object{"jwt_supported_algs": []string{"Ed25519"}}))
	require.ErrorContains(t, err, "unsupported")

	keys.Store(object{"keys": []any{first.JWK(), jwk}})
	syncNow(t, 0, cluster...)
	claims := object{"aud": "vault.io", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "sub": "x:default:mongo:db:mongo:vault_default", "nomad_job_id": "mongo", "nomad_namespace": "default"}
	_, err = c.Logical().Write("auth/"+path+"/login", object{"role": "ed25519", "jwt": fakenomad.Sign(next, claims)})
	require.NoError(t, err)
}

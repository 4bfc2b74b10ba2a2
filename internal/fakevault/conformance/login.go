package conformance

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
)

const noKey = "error validating token: error verifying token signature: no known key successfully validated the token signature"

// workloads is the role that Nomad's documentation suggests.
func workloads() object {
	return object{
		"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "/nomad_job_id", "user_claim_json_pointer": true,
		"claim_mappings": object{"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id"},
		"token_type":     "service", "token_policies": []string{"nomad-workloads"}, "token_period": "30m",
	}
}

// role writes that role, or a changed one.
func (v *vault) role(t *testing.T, mount, name string, change object) {
	t.Helper()
	role := workloads()
	maps.Copy(role, change)
	r := v.do(t, "PUT", "auth/"+mount+"/role/"+name, role)
	require.Equal(t, http.StatusNoContent, r.status, r.raw)
}

func (v *vault) login(t *testing.T, mount, role, jwt string) reply {
	t.Helper()
	return v.as(t, "", "POST", "auth/"+mount+"/login", object{"role": role, "jwt": jwt})
}

// in expects a login to succeed.
func (v *vault) in(t *testing.T, mount, role, jwt string) reply {
	t.Helper()
	r := v.login(t, mount, role, jwt)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.NotEmpty(t, r.auth()["client_token"])
	return r
}

// out expects a login to be refused with these words.
func (v *vault) out(t *testing.T, mount, role, jwt, words string) {
	t.Helper()
	r := v.login(t, mount, role, jwt)
	require.Equal(t, http.StatusBadRequest, r.status, r.raw)
	require.Contains(t, strings.Join(r.errors(), "\n"), words)
}

// login: which tokens a list of keys lets in.
func login(t *testing.T, v *vault) {
	east, west := fakenomad.New(t, "us-east").Region(""), fakenomad.New(t, "eu-west").Region("")
	eastKey, westKey := pkixOf(t, east.Active().Public()), pkixOf(t, west.Active().Public())
	m := v.mount(t)

	t.Run("without config", func(t *testing.T) {
		v.out(t, m, "workloads", east.Token(fakenomad.Workload{}), "could not load configuration")
	})
	v.write(t, m, object{"jwt_validation_pubkeys": []string{eastKey}, "default_role": "workloads"})
	v.role(t, m, "workloads", nil)

	t.Run("the right key", func(t *testing.T) {
		auth := v.in(t, m, "workloads", east.Token(fakenomad.Workload{})).auth()
		require.ElementsMatch(t, []any{"default", "nomad-workloads"}, auth["policies"])
		require.Equal(t, object{"role": "workloads", "nomad_namespace": "default", "nomad_job_id": "mongo"}, auth["metadata"])
		require.EqualValues(t, 1800, auth["lease_duration"])
	})
	t.Run("the default role", func(t *testing.T) {
		v.in(t, m, "", east.Token(fakenomad.Workload{}))
	})
	t.Run("a policy that no login gets", func(t *testing.T) {
		v.role(t, m, "rooted", object{"token_policies": []string{"x", " Root "}})
		v.out(t, m, "rooted", east.Token(fakenomad.Workload{}), "auth methods cannot create root tokens")
		v.role(t, m, "wrapped", object{"token_policies": "response-wrapping"})
		v.out(t, m, "wrapped", east.Token(fakenomad.Workload{}), `cannot assign policy "response-wrapping"`)
	})
	t.Run("another key", func(t *testing.T) {
		v.out(t, m, "workloads", west.Token(fakenomad.Workload{}), noKey)
	})
	t.Run("no token, no role", func(t *testing.T) {
		v.out(t, m, "workloads", "", "missing token")
		v.out(t, m, "nobody", "x", `role "nobody" could not be found`)
		v.out(t, m, "workloads", "x", "error validating token: error verifying token signature")
	})
	t.Run("no mount", func(t *testing.T) {
		r := v.login(t, "nowhere", "workloads", east.Token(fakenomad.Workload{}))
		require.Equal(t, http.StatusForbidden, r.status)
	})
	t.Run("claims", func(t *testing.T) {
		v.out(t, m, "workloads", east.Token(fakenomad.Workload{Audience: "other"}), "invalid audience (aud) claim")
		v.out(t, m, "workloads", east.Token(fakenomad.Workload{TTL: -time.Hour}), "invalid expiration time (exp) claim: token is expired")
	})
	t.Run("kid means nothing", func(t *testing.T) {
		k := *east.Active()
		k.ID = "another"
		v.in(t, m, "workloads", east.Token(fakenomad.Workload{Key: &k}))
	})
	t.Run("text before the key means nothing", func(t *testing.T) {
		v.write(t, m, object{"jwt_validation_pubkeys": []string{
			`harvest/1 cluster="eu-west" region="" kid="1" alg="RS256"` + "\n" + westKey,
			`harvest/1 cluster="us-east" region="" kid="2" alg="RS256"` + "\n" + eastKey,
		}})
		v.in(t, m, "workloads", east.Token(fakenomad.Workload{}))
		v.in(t, m, "workloads", west.Token(fakenomad.Workload{}))
	})
	t.Run("two clusters are one entity", func(t *testing.T) {
		a := v.in(t, m, "workloads", east.Token(fakenomad.Workload{})).auth()
		b := v.in(t, m, "workloads", west.Token(fakenomad.Workload{})).auth()
		c := v.in(t, m, "workloads", east.Token(fakenomad.Workload{Job: "redis"})).auth()
		require.NotEmpty(t, a["entity_id"])
		require.Equal(t, a["entity_id"], b["entity_id"])
		require.NotEqual(t, a["entity_id"], c["entity_id"])
	})
	t.Run("a key that is gone is gone at once", func(t *testing.T) {
		v.write(t, m, object{"jwt_validation_pubkeys": []string{westKey}})
		v.out(t, m, "workloads", east.Token(fakenomad.Workload{}), noKey)
		v.in(t, m, "workloads", west.Token(fakenomad.Workload{}))
	})
	t.Run("rotation", func(t *testing.T) {
		old := east.Active()
		v.write(t, m, object{"jwt_validation_pubkeys": []string{eastKey}})
		fresh := east.Rotate("RS256")
		v.out(t, m, "workloads", east.Token(fakenomad.Workload{}), noKey)
		v.write(t, m, object{"jwt_validation_pubkeys": []string{pkixOf(t, fresh.Public()), eastKey}})
		v.in(t, m, "workloads", east.Token(fakenomad.Workload{}))
		v.in(t, m, "workloads", east.Token(fakenomad.Workload{Key: old}))
	})
	t.Run("issuer", func(t *testing.T) {
		v.write(t, m, object{"jwt_validation_pubkeys": []string{westKey}, "bound_issuer": "https://nomad.example.com"})
		v.out(t, m, "workloads", west.Token(fakenomad.Workload{}), "invalid issuer (iss) claim")
		v.out(t, m, "workloads", west.Token(fakenomad.Workload{Issuer: "https://other.example.com"}), "invalid issuer (iss) claim")
		v.in(t, m, "workloads", west.Token(fakenomad.Workload{Issuer: "https://nomad.example.com"}))
	})
	t.Run("algorithms", func(t *testing.T) {
		edwards := fakenomad.NewKey("EdDSA")
		keys := []string{pkixOf(t, edwards.Public()), westKey}
		const unexpected = "invalid algorithm (alg) header parameter: token signed with unexpected algorithm"
		v.write(t, m, object{"jwt_validation_pubkeys": keys})
		v.in(t, m, "workloads", east.Token(fakenomad.Workload{Key: edwards}))
		v.write(t, m, object{"jwt_validation_pubkeys": keys, "jwt_supported_algs": []string{"RS256"}})
		v.out(t, m, "workloads", east.Token(fakenomad.Workload{Key: edwards}), unexpected)
		v.in(t, m, "workloads", west.Token(fakenomad.Workload{}))
		v.write(t, m, object{"jwt_validation_pubkeys": keys, "jwt_supported_algs": []string{"EdDSA"}})
		v.in(t, m, "workloads", east.Token(fakenomad.Workload{Key: edwards}))
		v.out(t, m, "workloads", west.Token(fakenomad.Workload{}), unexpected)
	})
	t.Run("bound claims", func(t *testing.T) {
		v.write(t, m, object{"jwt_validation_pubkeys": []string{westKey}})
		v.role(t, m, "only-redis", object{"bound_claims": object{"nomad_job_id": []string{"redis"}}})
		v.in(t, m, "only-redis", west.Token(fakenomad.Workload{Job: "redis"}))
		v.out(t, m, "only-redis", west.Token(fakenomad.Workload{}),
			`error validating claims: claim "nomad_job_id" does not match any associated bound claim values`)
	})
}

// roles: what the setup command writes and reads.
func roles(t *testing.T, v *vault) {
	m := v.mount(t)
	require.Equal(t, http.StatusNotFound, v.do(t, "GET", "auth/"+m+"/role/workloads", nil).status)
	require.Equal(t, http.StatusNotFound, v.do(t, "LIST", "auth/"+m+"/role", nil).status)
	v.role(t, m, "Workloads", nil)
	r := v.do(t, "GET", "auth/"+m+"/role/workloads", nil)
	require.Equal(t, http.StatusOK, r.status)
	got := r.data()
	require.Equal(t, "jwt", got["role_type"])
	require.Equal(t, []any{"vault.io"}, got["bound_audiences"])
	require.Equal(t, "/nomad_job_id", got["user_claim"])
	require.Equal(t, true, got["user_claim_json_pointer"])
	require.EqualValues(t, 1800, got["token_period"])
	require.Equal(t, []any{"nomad-workloads"}, got["token_policies"])
	require.Equal(t, object{"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id"}, got["claim_mappings"])
	require.Equal(t, []any{"workloads"}, v.do(t, "LIST", "auth/"+m+"/role", nil).data()["keys"])
	v.role(t, m, "more", nil)
	require.Equal(t, []any{"more", "workloads"}, v.do(t, "LIST", "auth/"+m+"/role", nil).data()["keys"])
	t.Run("who may list them", func(t *testing.T) {
		lister := v.token(t, "lister", `path "auth/`+m+`/role" { capabilities = ["list"] }`)
		reader := v.token(t, "role-reader", `path "auth/`+m+`/role/*" { capabilities = ["read"] }`)
		require.Equal(t, []any{"more", "workloads"}, v.as(t, lister, "LIST", "auth/"+m+"/role", nil).data()["keys"])
		require.Equal(t, http.StatusForbidden, v.as(t, lister, "GET", "auth/"+m+"/role/more", nil).status)
		require.Equal(t, http.StatusForbidden, v.as(t, reader, "LIST", "auth/"+m+"/role", nil).status)
		require.Equal(t, http.StatusOK, v.as(t, reader, "GET", "auth/"+m+"/role/more", nil).status)
	})
	require.Equal(t, http.StatusNoContent, v.do(t, "DELETE", "auth/"+m+"/role/more", nil).status)
	t.Run("names that no role can have", func(t *testing.T) {
		for _, name := range []string{"r.", "r-", "-r", ".r", "a/b", "a%20b"} {
			for _, method := range []string{"GET", "PUT"} {
				r := v.do(t, method, "auth/"+m+"/role/"+name, nil)
				require.Equal(t, http.StatusNotFound, r.status, name)
				require.Equal(t, []string{"1 error occurred:\n\t* unsupported path\n\n"}, r.errors(), name)
			}
		}
	})

	for name, c := range map[string]struct {
		role  object
		words string
	}{
		"no type":       {object{"user_claim": "sub"}, "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified."},
		"no user claim": {object{"role_type": "jwt"}, "a user claim must be defined on the role"},
		"no bound":      {object{"role_type": "jwt", "user_claim": "sub"}, "must have at least one bound constraint when creating/updating a role"},
	} {
		t.Run(name, func(t *testing.T) {
			r := v.do(t, "PUT", "auth/"+m+"/role/bad", c.role)
			require.Equal(t, http.StatusBadRequest, r.status, r.raw)
			require.Equal(t, []string{c.words}, r.errors())
		})
	}
}

// mounts: what the setup command asks of sys/auth and sys/policies.
func mounts(t *testing.T, v *vault) {
	m := v.mount(t)
	r := v.do(t, "POST", "sys/auth/"+m, object{"type": "jwt"})
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Equal(t, []string{"path is already in use at " + m + "/"}, r.errors())

	r = v.do(t, "GET", "sys/auth/"+m, nil)
	require.Equal(t, http.StatusOK, r.status)
	require.Equal(t, "jwt", r.data()["type"])
	require.NotEmpty(t, r.data()["accessor"])
	r = v.do(t, "GET", "sys/auth/nowhere", nil)
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Equal(t, []string{"No auth engine at nowhere/"}, r.errors())
	r = v.do(t, "POST", "sys/auth/odd", object{"type": "odd"})
	require.Equal(t, http.StatusBadRequest, r.status)

	t.Run("help tells a JWT method from another", func(t *testing.T) {
		nobody := v.token(t, "nobody", `path "nowhere" { capabilities = ["read"] }`)
		r := v.as(t, nobody, "GET", "auth/"+m+"/config?help=1", nil)
		require.Equal(t, http.StatusOK, r.status, "it takes no capability: %s", r.raw)
		require.Contains(t, r.body["help"], "jwt_validation_pubkeys")
		require.Equal(t, http.StatusForbidden, v.as(t, "", "GET", "auth/"+m+"/config?help=1", nil).status)
		for _, kind := range []string{"oidc", "approle"} {
			path := m + "-" + kind
			require.Equal(t, http.StatusNoContent, v.do(t, "POST", "sys/auth/"+path, object{"type": kind}).status)
			r := v.do(t, "GET", "auth/"+path+"/config?help=1", nil)
			if kind == "oidc" {
				require.Equal(t, http.StatusOK, r.status, r.raw)
				require.Contains(t, r.body["help"], "jwt_validation_pubkeys")
				continue
			}
			require.Equal(t, http.StatusNotFound, r.status, r.raw)
			require.Equal(t, []string{"1 error occurred:\n\t* unsupported path\n\n"}, r.errors())
		}
	})

	// Anyone who may do something on a mount is told its accessor, and others aren't.
	accessor := v.do(t, "GET", "sys/auth/"+m, nil)
	const ui = "sys/internal/ui/mounts/auth/"
	harvester := v.token(t, "harvester-of-"+m, `path "auth/`+m+`/config" { capabilities = ["read"] }`)
	for _, token := range []string{v.root, harvester} {
		r = v.as(t, token, "GET", ui+m, nil)
		require.Equal(t, http.StatusOK, r.status, r.raw)
		require.Equal(t, accessor.data()["accessor"], r.data()["accessor"])
	}
	for _, path := range []string{m, "nowhere"} {
		r = v.as(t, v.token(t, "stranger-to-"+m, `path "kv/x" { capabilities = ["read"] }`), "GET", ui+path, nil)
		require.Equal(t, http.StatusForbidden, r.status, r.raw)
		require.Contains(t, r.raw, "preflight capability check returned 403")
	}
	require.Equal(t, http.StatusForbidden, v.do(t, "GET", ui+"nowhere", nil).status)

	engines := v.do(t, "GET", "sys/mounts", nil).data()
	require.Contains(t, engines, "secret/")
	require.Equal(t, "kv", engines["secret/"].(map[string]any)["type"])
	require.Equal(t, object{"version": "2"}, engines["secret/"].(map[string]any)["options"])
	require.Contains(t, engines, "cubbyhole/")
	require.Nil(t, engines["cubbyhole/"].(map[string]any)["options"])

	all, err := v.client.Sys().ListAuthWithContext(t.Context())
	require.NoError(t, err)
	require.Contains(t, all, m+"/")
	require.Contains(t, all, "token/")

	require.Equal(t, http.StatusNotFound, v.do(t, "GET", "sys/policies/acl/unwritten", nil).status)
	require.Equal(t, http.StatusBadRequest, v.do(t, "PUT", "sys/policies/acl/broken", object{"policy": "path {"}).status)
	text := `path "kv/data/*" { capabilities = ["read"] }`
	require.Equal(t, http.StatusNoContent, v.do(t, "PUT", "sys/policies/acl/kv", object{"policy": text}).status)
	require.Equal(t, text, v.do(t, "GET", "sys/policies/acl/kv", nil).data()["policy"])

	require.Equal(t, http.StatusNoContent, v.do(t, "DELETE", "sys/auth/"+m, nil).status)
	require.Equal(t, http.StatusNotFound, v.do(t, "GET", "auth/"+m+"/config", nil).status)
}

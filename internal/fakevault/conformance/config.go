package conformance

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
)

const exactlyOne = "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' or 'oidc_discovery_url' must be set"

// ConfigFields are the fields that a read of auth/<mount>/config has after a write of one
// key and nothing else, and their values. Vault before 1.21 lacks the last.
func ConfigFields() map[string]any {
	return object{
		"bound_issuer":           "",
		"default_role":           "",
		"jwks_ca_pem":            "",
		"jwks_pairs":             []any{},
		"jwks_url":               "",
		"jwt_supported_algs":     []any{},
		"namespace_in_state":     true,
		"oidc_client_id":         "",
		"oidc_discovery_ca_pem":  "",
		"oidc_discovery_url":     "",
		"oidc_response_mode":     "",
		"oidc_response_types":    []any{},
		"provider_config":        object{},
		"jwt_validation_pubkeys": []any{},

		"unsupported_critical_cert_extensions": []any{},
	}
}

// missing: what isn't there is a 404, in two kinds.
func missing(t *testing.T, v *vault) {
	t.Run("no mount", func(t *testing.T) {
		for _, method := range []string{"GET", "PUT"} {
			r := v.do(t, method, "auth/nowhere/config", nil)
			require.Equal(t, http.StatusNotFound, r.status)
			require.Equal(t, []string{`no handler for route "auth/nowhere/config". route entry not found.`}, r.errors())
		}
		secret, err := v.client.Logical().ReadWithContext(t.Context(), "auth/nowhere/config")
		require.NoError(t, err)
		require.Nil(t, secret)
	})
	t.Run("mount without config", func(t *testing.T) {
		m := v.mount(t)
		r := v.do(t, "GET", "auth/"+m+"/config", nil)
		require.Equal(t, http.StatusNotFound, r.status)
		require.Equal(t, []string{}, r.errors())
		secret, err := v.client.Logical().ReadWithContext(t.Context(), "auth/"+m+"/config")
		require.NoError(t, err)
		require.Nil(t, secret)
	})
	t.Run("no such path under a mount", func(t *testing.T) {
		m := v.mount(t)
		r := v.do(t, "GET", "auth/"+m+"/nothing", nil)
		require.Equal(t, http.StatusNotFound, r.status)
		require.Equal(t, []string{"1 error occurred:\n\t* unsupported path\n\n"}, r.errors())
	})
	t.Run("no such operation", func(t *testing.T) {
		m := v.mount(t)
		r := v.do(t, "DELETE", "auth/"+m+"/config", nil)
		require.Equal(t, http.StatusMethodNotAllowed, r.status)
		r = v.do(t, "LIST", "auth/"+m+"/config", nil)
		require.Equal(t, http.StatusNotFound, r.status)
	})
}

// permissions: read and update on one path are all that harvest needs.
func permissions(t *testing.T, v *vault) {
	m := v.mount(t)
	other := v.mount(t)
	v.write(t, other, object{"jwt_validation_pubkeys": []string{pkixOf(t, rsaKey(t).Public())}})
	path := "auth/" + m + "/config"
	harvester := v.token(t, "harvester", `
path "`+path+`" { capabilities = ["read", "update"] }
path "auth/ghost/config" { capabilities = ["read", "update"] }
`)
	body := object{"jwt_validation_pubkeys": []string{pkixOf(t, rsaKey(t).Public())}}

	t.Run("none", func(t *testing.T) {
		r := v.as(t, "", "GET", path, nil)
		require.Equal(t, http.StatusForbidden, r.status)
		require.Equal(t, []string{"permission denied"}, r.errors())
	})
	t.Run("unknown token", func(t *testing.T) {
		v.recent(t)
		r := v.as(t, "hvs.unknown", "GET", path, nil)
		require.Equal(t, http.StatusForbidden, r.status)
		require.Equal(t, []string{"2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"}, r.errors())
	})
	t.Run("update suffices for the first write", func(t *testing.T) {
		require.Equal(t, http.StatusNotFound, v.as(t, harvester, "GET", path, nil).status)
		require.Equal(t, http.StatusNoContent, v.as(t, harvester, "PUT", path, body).status)
		require.Equal(t, http.StatusOK, v.as(t, harvester, "GET", path, nil).status)
	})
	t.Run("nothing else", func(t *testing.T) {
		for _, p := range []string{"auth/" + other + "/config", "auth/" + m + "/role/x", "auth/nowhere/config", "sys/auth"} {
			r := v.as(t, harvester, "GET", p, nil)
			require.Equal(t, http.StatusForbidden, r.status, p)
			require.Equal(t, []string{"1 error occurred:\n\t* permission denied\n\n"}, r.errors())
		}
		r := v.as(t, harvester, "PUT", "auth/"+other+"/config", body)
		require.Equal(t, http.StatusForbidden, r.status)
	})
	t.Run("no mount where one was granted", func(t *testing.T) {
		r := v.as(t, harvester, "GET", "auth/ghost/config", nil)
		require.Equal(t, http.StatusNotFound, r.status)
		require.Len(t, r.errors(), 1)
	})
	t.Run("read without update", func(t *testing.T) {
		reader := v.token(t, "reader", `path "`+path+`" { capabilities = ["read"] }`)
		require.Equal(t, http.StatusOK, v.as(t, reader, "GET", path, nil).status)
		require.Equal(t, http.StatusForbidden, v.as(t, reader, "PUT", path, body).status)
	})
	t.Run("a token knows itself", func(t *testing.T) {
		r := v.as(t, harvester, "GET", "auth/token/lookup-self", nil)
		require.Equal(t, http.StatusOK, r.status)
		require.ElementsMatch(t, []any{"default", "harvester"}, r.data()["policies"])
		r = v.as(t, harvester, "POST", "sys/capabilities-self", object{"paths": []string{path}})
		require.Equal(t, http.StatusOK, r.status)
		require.ElementsMatch(t, []any{"read", "update"}, r.data()[path])
	})
	t.Run("capabilities", func(t *testing.T) {
		for name, c := range map[string]struct {
			token string
			want  []any
		}{
			"root":      {v.root, []any{"root"}},
			"read only": {v.token(t, "reads", `path "`+path+`" { capabilities = ["read"] }`), []any{"read"}},
			"denied":    {v.token(t, "denies", `path "`+path+`" { capabilities = ["deny"] }`), []any{"deny"}},
			"elsewhere": {v.token(t, "elsewhere", `path "auth/ghost/config" { capabilities = ["read", "update"] }`), []any{"deny"}},
			"a pattern": {v.token(t, "pattern", `path "auth/+/config" { capabilities = ["read", "update"] }`), []any{"read", "update"}},
		} {
			for _, asked := range []string{path, "auth/nowhere-yet/config"} { // the mount needn't exist
				r := v.as(t, c.token, "PUT", "sys/capabilities-self", object{"paths": []string{asked}})
				require.Equal(t, http.StatusOK, r.status, name)
				if asked == path || name == "root" || name == "a pattern" {
					require.ElementsMatch(t, c.want, r.data()[asked], name)
				} else {
					require.Equal(t, []any{"deny"}, r.data()[asked], name)
				}
				require.Equal(t, r.data()[asked], r.data()["capabilities"], name)
			}
		}
		r := v.do(t, "POST", "auth/token/create", object{"policies": []string{"reads"}, "no_default_policy": true})
		require.Equal(t, http.StatusOK, r.status, r.raw)
		bare, _ := r.auth()["client_token"].(string)
		r = v.as(t, bare, "PUT", "sys/capabilities-self", object{"paths": []string{path}})
		require.Equal(t, http.StatusForbidden, r.status, "only the default policy lets a token ask")
		r = v.as(t, "hvs.unknown", "PUT", "sys/capabilities-self", object{"paths": []string{path}})
		require.Equal(t, http.StatusForbidden, r.status)
	})
	t.Run("revoked", func(t *testing.T) {
		require.Equal(t, http.StatusNoContent, v.as(t, harvester, "POST", "auth/token/revoke-self", nil).status)
		require.Equal(t, http.StatusForbidden, v.as(t, harvester, "GET", path, nil).status)
	})
}

// config: a write replaces everything, and everything that was read can be written back.
func config(t *testing.T, v *vault) {
	key := pkixOf(t, rsaKey(t).Public())

	t.Run("what a read has", func(t *testing.T) {
		v.recent(t)
		m := v.mount(t)
		v.write(t, m, object{"jwt_validation_pubkeys": []string{key}})
		want := ConfigFields()
		want["jwt_validation_pubkeys"] = []any{trimmed(key)}
		got := v.read(t, m)
		if _, ok := got["unsupported_critical_cert_extensions"]; !ok {
			delete(want, "unsupported_critical_cert_extensions")
		}
		require.Equal(t, want, got)
	})
	t.Run("a write replaces the whole", func(t *testing.T) {
		m := v.mount(t)
		v.write(t, m, object{
			"jwt_validation_pubkeys": []string{key}, "default_role": "Workloads", "bound_issuer": "https://nomad.example.com",
			"jwt_supported_algs": []string{"RS256", "EdDSA"}, "namespace_in_state": false,
		})
		got := v.read(t, m)
		require.Equal(t, "workloads", got["default_role"], "a role's name is in lower case")
		require.Equal(t, false, got["namespace_in_state"])

		v.write(t, m, object{"jwt_validation_pubkeys": []string{key}})
		got = v.read(t, m)
		require.Empty(t, got["default_role"])
		require.Empty(t, got["bound_issuer"])
		require.Equal(t, []any{}, got["jwt_supported_algs"])
		require.Equal(t, false, got["namespace_in_state"], "the one field that stays where it isn't written")
	})
	t.Run("what was read can be written back", func(t *testing.T) {
		m := v.mount(t)
		v.write(t, m, object{
			"jwt_validation_pubkeys": []string{key}, "default_role": "workloads", "bound_issuer": "https://nomad.example.com",
			"jwt_supported_algs": []string{"RS256", "EdDSA"}, "namespace_in_state": false,
			"oidc_response_types": []string{"code"}, "oidc_response_mode": "query", "jwks_ca_pem": "unused",
		})
		before := v.read(t, m)
		v.write(t, m, before)
		require.Equal(t, before, v.read(t, m))
	})
	t.Run("unknown fields are ignored", func(t *testing.T) {
		m := v.mount(t)
		v.write(t, m, object{"jwt_validation_pubkeys": []string{key}, "status": "valid", "no_such_field": object{"a": 1}})
		require.NotContains(t, v.read(t, m), "status")
	})
	t.Run("refused", func(t *testing.T) {
		v.recent(t)
		m := v.mount(t)
		v.refuses(t, m, object{}, exactlyOne)
		v.refuses(t, m, object{"jwt_validation_pubkeys": []string{}}, exactlyOne)
		v.refuses(t, m, object{"jwt_validation_pubkeys": nil}, exactlyOne)
		v.refuses(t, m, object{"jwt_validation_pubkeys": ""}, exactlyOne)
		v.refuses(t, m, object{"jwt_validation_pubkeys": []string{key}, "jwks_url": "http://127.0.0.1:1/jwks"}, exactlyOne)
		v.refuses(t, m, object{"jwt_validation_pubkeys": []string{key}, "jwt_supported_algs": []string{"HS256"}},
			`invalid jwt_supported_algs: unsupported signing algorithm "HS256"`)
		v.refuses(t, m, object{"jwt_validation_pubkeys": []string{key}, "jwt_supported_algs": []string{"Ed25519"}},
			`invalid jwt_supported_algs: unsupported signing algorithm "Ed25519"`)
		v.refuses(t, m, object{"jwt_validation_pubkeys": []string{key}, "oidc_client_id": "x"},
			"both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC")
		v.refuses(t, m, object{"jwt_validation_pubkeys": []string{key}, "provider_config": object{"a": "b"}},
			"invalid provider_config: 'provider' field not found in provider_config")
		v.refuses(t, m, object{"jwt_validation_pubkeys": []string{key}, "namespace_in_state": "perhaps"},
			"Field validation failed: error converting input")
		require.Equal(t, http.StatusNotFound, v.do(t, "GET", "auth/"+m+"/config", nil).status, "a refused write leaves nothing")
	})
}

// modes: static keys, a JWKS URL and discovery exclude each other.
func modes(t *testing.T, v *vault) {
	key := pkixOf(t, rsaKey(t).Public())
	nomad := fakenomad.New(t, "global")
	nomad.SetIssuer(nomad.URL)

	t.Run("from a JWKS URL to static keys", func(t *testing.T) {
		v.recent(t)
		m := v.mount(t)
		v.write(t, m, object{"jwks_url": nomad.URL + "/.well-known/jwks.json", "default_role": "x"})
		got := v.read(t, m)
		require.Equal(t, nomad.URL+"/.well-known/jwks.json", got["jwks_url"])
		require.Equal(t, []any{}, got["jwt_validation_pubkeys"])

		got["jwt_validation_pubkeys"] = []string{key}
		v.refuses(t, m, got, exactlyOne)
		got["jwks_url"] = ""
		v.write(t, m, got)
		require.Equal(t, "x", v.read(t, m)["default_role"])
	})
	t.Run("from discovery to static keys", func(t *testing.T) {
		v.recent(t)
		m := v.mount(t)
		v.write(t, m, object{"oidc_discovery_url": nomad.URL, "bound_issuer": nomad.URL})
		got := v.read(t, m)
		require.Equal(t, nomad.URL, got["oidc_discovery_url"])
		got["jwt_validation_pubkeys"] = []string{key}
		v.refuses(t, m, got, exactlyOne)
		got["oidc_discovery_url"] = ""
		v.write(t, m, got)
		require.Equal(t, nomad.URL, v.read(t, m)["bound_issuer"])
	})
	t.Run("several JWKS URLs", func(t *testing.T) {
		v.recent(t)
		m := v.mount(t)
		v.write(t, m, object{"jwks_pairs": []object{{"jwks_url": nomad.URL + "/.well-known/jwks.json", "jwks_ca_pem": ""}}})
		require.Len(t, v.read(t, m)["jwks_pairs"], 1)
	})
	t.Run("a client secret is not read back", func(t *testing.T) {
		m := v.mount(t)
		v.write(t, m, object{"oidc_discovery_url": nomad.URL, "oidc_client_id": "id", "oidc_client_secret": "hush"})
		got := v.read(t, m)
		require.Equal(t, "id", got["oidc_client_id"])
		require.NotContains(t, got, "oidc_client_secret")
	})
	t.Run("no one there", func(t *testing.T) {
		v.recent(t)
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		m := v.mount(t)
		v.refuses(t, m, object{"jwks_url": gone.URL}, "error checking jwks URL "+gone.URL)
		v.refuses(t, m, object{"oidc_discovery_url": gone.URL}, "error checking oidc discovery URL")
	})
}

// namespaces: a Community server takes no notice of them, and acts on the root one. Others refuse
// one that nobody made; OpenBao doesn't say which it is.
func namespaces(t *testing.T, v *vault) {
	m := v.mount(t)
	body := object{"jwt_validation_pubkeys": []string{pkixOf(t, rsaKey(t).Public())}}
	r := v.within(t, "team-a", v.root, "PUT", "auth/"+m+"/config", body)
	says := v.as(t, "", "GET", "sys/health", nil).body["enterprise"]
	if says == true || says == nil && r.status == http.StatusNotFound {
		require.Equal(t, http.StatusNotFound, r.status, r.raw)
		require.Equal(t, http.StatusNotFound, v.do(t, "GET", "auth/"+m+"/config", nil).status)
		return
	}
	require.Equal(t, http.StatusNoContent, r.status, r.raw)
	require.Len(t, v.read(t, m)["jwt_validation_pubkeys"], 1)
}

// sealed: everything but the seal's own paths is a 503.
func sealed(t *testing.T, v *vault, unsealKey string) {
	require.Equal(t, http.StatusOK, v.as(t, "", "GET", "sys/health", nil).status)
	m := v.mount(t)
	v.write(t, m, object{"jwt_validation_pubkeys": []string{pkixOf(t, rsaKey(t).Public())}})
	require.Equal(t, http.StatusNoContent, v.do(t, "PUT", "sys/seal", nil).status)

	for _, method := range []string{"GET", "PUT"} {
		r := v.do(t, method, "auth/"+m+"/config", nil)
		require.Equal(t, http.StatusServiceUnavailable, r.status)
		require.Equal(t, []string{"Vault is sealed"}, r.errors())
	}
	require.Equal(t, http.StatusServiceUnavailable, v.as(t, "", "GET", "sys/health", nil).status)
	r := v.as(t, "", "GET", "sys/seal-status", nil)
	require.Equal(t, http.StatusOK, r.status)
	require.Equal(t, true, r.body["sealed"])

	r = v.as(t, "", "PUT", "sys/unseal", object{"key": unsealKey})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Equal(t, false, r.body["sealed"])
	// With integrated storage it is unsealed before it leads, and answers with 500 between.
	require.Eventually(t, func() bool {
		return v.as(t, "", "GET", "sys/health", nil).status == http.StatusOK
	}, 30*time.Second, 20*time.Millisecond)
	require.Len(t, v.read(t, m)["jwt_validation_pubkeys"], 1)
}

package fakevault

import "strings"

// mount is one auth method at one path.
type mount struct {
	kind        string
	accessor    string
	description string
	config      map[string]any            // jwt
	roles       map[string]map[string]any // jwt, kubernetes
	logins      []login                   // approle, kubernetes
}

// isJWT reports whether a mount has the JWT plugin: one that is registered under a name of
// its own, such as jwt-today, too.
func isJWT(kind string) bool { return kind == "oidc" || strings.HasPrefix(kind, "jwt") }

// login is one pair of credentials that an AppRole or Kubernetes mount takes.
type login struct {
	id, secret string // role_id and secret_id, or role and jwt
	policies   []string
}

func newMount(kind string) *mount {
	return &mount{kind: kind, accessor: "auth_" + kind + "_" + newID()[:8], roles: map[string]map[string]any{}}
}

// describe is the mount as sys/auth shows it.
func (m *mount) describe() map[string]any {
	return map[string]any{
		"accessor": m.accessor, "description": m.description, "type": m.kind, "uuid": newID(),
		"config": map[string]any{
			"default_lease_ttl": 0, "force_no_cache": false, "max_lease_ttl": 0, "token_type": "default-service",
		},
		"external_entropy_access": false, "local": false, "options": map[string]any{}, "plugin_version": "",
		"running_plugin_version": "v0.25.0+builtin", "running_sha256": "", "seal_wrap": false,
		"deprecation_status": "supported",
	}
}

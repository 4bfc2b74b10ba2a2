package fakevault

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// roleName is what a role's name looks like in a path; no other path is one.
var roleName = regexp.MustCompile(`^\w([\w.-]*\w)?$`)

// jwt is everything under the path of a JWT auth mount.
func (s *Server) jwt(req *request, m *mount, under string) answer {
	role, isRole := strings.CutPrefix(under, "role/")
	switch {
	case under == "config" && req.op == "help":
		return bare(map[string]any{"help": configHelp(), "see_also": nil, "openapi": map[string]any{}}, http.StatusOK)
	case under == "config":
		return s.jwtConfig(req, m)
	case under == "login" && req.op == "update":
		return s.jwtLogin(req, m)
	case under == "role" && req.op == "list":
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(m.roles) == 0 {
			return notFound()
		}
		return found(map[string]any{"keys": slices.Sorted(maps.Keys(m.roles))})
	case isRole && roleName.MatchString(role):
		return s.jwtRole(req, m, strings.ToLower(role))
	}
	return multi(http.StatusNotFound, "unsupported path")
}

// configHelp is what `vault path-help auth/<mount>/config` shows, in short.
func configHelp() string {
	fields := slices.Sorted(slices.Values(slices.Concat(configStrings, configLists)))
	return "Request:        config\nMatching Route: ^config$\n\nConfigures the JWT authentication backend.\n\n## PARAMETERS\n\n    " +
		strings.Join(fields, "\n\n    ") + "\n"
}

func (s *Server) jwtConfig(req *request, m *mount) answer {
	switch req.op {
	case "read":
		s.mu.Lock()
		defer s.mu.Unlock()
		if m.config == nil {
			return notFound()
		}
		return found(readable(m.config))
	case "update":
		s.mu.Lock()
		old := copyMap(m.config)
		s.mu.Unlock()
		// Checked outside the lock: a jwks_url may be this very server's.
		cfg, err := parseConfig(req.http.Context(), req.body, old)
		if err != nil {
			return badRequest(err.Error())
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if entry, _ := json.Marshal(cfg); s.maxEntry > 0 && len(entry) > s.maxEntry {
			return multi(http.StatusInternalServerError, fmt.Sprintf(
				"put failed due to value being too large, max value size for key auth/%s/config is %d, got %d",
				m.accessor, s.maxEntry, len(entry)))
		}
		m.config = cfg
		return done()
	case "list":
		return multi(http.StatusNotFound, "unsupported path")
	}
	return multi(http.StatusMethodNotAllowed, "unsupported operation")
}

// roleDefaults are the fields of a role that was written with nothing but what it needs.
var roleDefaults = map[string]any{
	"allowed_redirect_uris": nil, "bound_audiences": nil, "bound_claims": nil, "bound_claims_type": "string",
	"bound_subject": "", "claim_mappings": nil, "clock_skew_leeway": 0, "expiration_leeway": 0,
	"groups_claim": "", "max_age": 0, "not_before_leeway": 0, "oidc_scopes": nil, "role_type": "oidc",
	"token_bound_cidrs": []string{}, "token_explicit_max_ttl": 0, "token_max_ttl": 0,
	"token_no_default_policy": false, "token_num_uses": 0, "token_period": 0, "token_policies": []string{},
	"token_ttl": 0, "token_type": "default", "user_claim": "", "user_claim_json_pointer": false,
	"verbose_oidc_logging": false,
}

func (s *Server) jwtRole(req *request, m *mount, name string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	role := m.roles[name]
	switch req.op {
	case "read":
		if role == nil {
			return notFound()
		}
		return found(copyMap(role))
	case "delete":
		delete(m.roles, name)
		return done()
	case "update":
		if role == nil {
			role = roleDefaults
		}
		role = copyMap(role)
		role["role_type"], role["bound_claims_type"] = "oidc", "string" // each write resets these
		for k, v := range req.body {
			if _, known := roleDefaults[k]; !known {
				continue
			}
			switch k {
			case "bound_audiences", "token_policies", "allowed_redirect_uris", "oidc_scopes", "token_bound_cidrs":
				list, err := stringList(v)
				if err != nil {
					return badRequest(fieldError(k, err).Error())
				}
				v = list
			case "token_ttl", "token_max_ttl", "token_period", "token_explicit_max_ttl":
				d, err := duration(v)
				if err != nil {
					return badRequest(fieldError(k, err).Error())
				}
				v = int(d.Seconds())
			case "user_claim_json_pointer", "token_no_default_policy", "verbose_oidc_logging":
				v = fmt.Sprint(v) == "true"
			}
			role[k] = v
		}
		if message := checkRole(role); message != "" {
			return badRequest(message)
		}
		m.roles[name] = role
		return done()
	}
	return multi(http.StatusMethodNotAllowed, "unsupported operation")
}

// checkRole returns what Vault would refuse the role with, or nothing.
func checkRole(role map[string]any) string {
	empty := func(field string) bool {
		switch v := role[field].(type) {
		case nil:
			return true
		case string:
			return v == ""
		case []string:
			return len(v) == 0
		case map[string]any:
			return len(v) == 0
		}
		return false
	}
	kind := role["role_type"]
	switch {
	case kind != "jwt" && kind != "oidc":
		return fmt.Sprintf("invalid 'role_type': %v", kind)
	case empty("user_claim"):
		return "a user claim must be defined on the role"
	case kind == "oidc" && empty("allowed_redirect_uris"):
		return "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified."
	case kind == "jwt" && empty("bound_audiences") && empty("token_bound_cidrs") && empty("bound_subject") && empty("bound_claims"):
		return "must have at least one bound constraint when creating/updating a role"
	}
	return ""
}

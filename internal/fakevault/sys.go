package fakevault

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// version is what the server says it is.
func (s *Server) version() string {
	if s.isCommunity() {
		return "1.21.1"
	}
	return "1.21.1+ent"
}

// status answers what needs no token and works on a sealed Vault.
func (s *Server) status(req *request) (answer, bool) {
	sealed := s.isSealed()
	switch req.path {
	case "sys/health":
		code := http.StatusOK
		if sealed {
			code = http.StatusServiceUnavailable
		}
		return bare(map[string]any{
			"initialized": true, "sealed": sealed, "standby": sealed, "performance_standby": false,
			"replication_performance_mode": "disabled", "replication_dr_mode": "disabled",
			"server_time_utc": time.Now().Unix(), "version": s.version(), "enterprise": !s.isCommunity(),
		}, code), true
	case "sys/seal-status":
		return bare(s.sealStatus(), http.StatusOK), true
	case "sys/unseal":
		if a, ok := req.read(); !ok {
			return a, true
		}
		if key, _ := req.body["key"].(string); key != unsealKey {
			return badRequest("'key' must be a valid hex or base64 string"), true
		}
		s.Unseal()
		return bare(s.sealStatus(), http.StatusOK), true
	}
	return answer{}, false
}

func (s *Server) sealStatus() map[string]any {
	return map[string]any{
		"type": "shamir", "initialized": true, "sealed": s.isSealed(), "t": 1, "n": 1, "progress": 0,
		"nonce": "", "version": s.version(), "migration": false, "recovery_seal": false, "storage_type": "inmem",
	}
}

// sys is everything under sys/ that needs a token.
func (s *Server) sys(req *request, rest string) answer {
	switch {
	case rest == "seal" && req.op == "update":
		s.Seal()
		return done()
	case rest == "auth" && req.op == "read":
		return s.listMounts(req)
	case rest == "mounts" && req.op == "read":
		return s.listEngines(req)
	case strings.HasPrefix(rest, "auth/"):
		path := clean(strings.TrimPrefix(rest, "auth/"))
		if under, ok := strings.CutSuffix(path, "/tune"); ok {
			return s.tune(req, under)
		}
		return s.mountPath(req, path)
	case strings.HasPrefix(req.path, mountsOfUI) && req.op == "read":
		return s.mountOfUI(req, clean(strings.TrimPrefix(req.path, mountsOfUI)))
	case rest == "capabilities-self" && req.op == "update":
		return s.capabilitiesSelf(req)
	case rest == "policies/acl" && req.op == "list":
		return s.listPolicies(req)
	case strings.HasPrefix(rest, "policies/acl/"):
		return s.policy(req, strings.TrimPrefix(rest, "policies/acl/"), "policy")
	case strings.HasPrefix(rest, "policy/"):
		return s.policy(req, strings.TrimPrefix(rest, "policy/"), "rules")
	}
	return multi(http.StatusNotFound, "unsupported path")
}

func (s *Server) listMounts(req *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := map[string]any{"token/": (&mount{kind: "token", accessor: "auth_token_0"}).describe()}
	for path, m := range s.ns(req.ns).mounts {
		data[path+"/"] = m.describe()
	}
	return answer{status: http.StatusOK, data: data, flat: true, kind: "system"}
}

func (s *Server) listEngines(req *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	engines := maps.Clone(s.ns(req.ns).engines)
	engines["sys"], engines["identity"], engines["cubbyhole"] = engine{kind: "system"}, engine{kind: "identity"}, engine{kind: "cubbyhole"}
	data := map[string]any{}
	for path, e := range engines {
		described := map[string]any{"type": e.kind, "accessor": e.kind + "_" + newID()[:8], "description": "", "options": nil, "local": false, "seal_wrap": false}
		if e.version != "" {
			described["options"] = map[string]any{"version": e.version}
		}
		data[path+"/"] = described
	}
	return answer{status: http.StatusOK, data: data, flat: true, kind: "system"}
}

// mountPath is sys/auth/<path>: enable, look at, disable.
func (s *Server) mountPath(req *request, path string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	mounts := s.ns(req.ns).mounts
	switch req.op {
	case "read":
		m := mounts[path]
		if m == nil {
			return badRequest(fmt.Sprintf("No auth engine at %s/", path))
		}
		return answer{status: http.StatusOK, data: m.describe(), flat: true, kind: "system"}
	case "delete":
		delete(mounts, path)
		return done()
	case "update":
		kind, _ := req.body["type"].(string)
		if !slices.Contains([]string{"jwt", "oidc", "approle", "kubernetes"}, kind) {
			return badRequest("plugin not found in the catalog: " + kind)
		}
		for other := range mounts {
			if other == path || strings.HasPrefix(other, path+"/") || strings.HasPrefix(path, other+"/") {
				return badRequest("path is already in use at " + other + "/")
			}
		}
		m := newMount(kind)
		m.description, _ = req.body["description"].(string)
		mounts[path] = m
		return done()
	}
	return multi(http.StatusMethodNotAllowed, "unsupported operation")
}

// mountsOfUI is where Vault describes a mount to every token that may do something on it.
const mountsOfUI = "sys/internal/ui/mounts/"

func (s *Server) mountOfUI(req *request, path string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.ns(req.ns).mounts[strings.TrimPrefix(path, "auth/")]
	if m == nil || !strings.HasPrefix(path, "auth/") || !s.reaches(req.tok, req.ns, path+"/") {
		return refused(http.StatusForbidden,
			fmt.Sprintf("preflight capability check returned 403, please ensure client's policies grant access to path %q", path+"/"))
	}
	data := m.describe()
	data["path"] = strings.TrimPrefix(path, "auth/") + "/"
	return answer{status: http.StatusOK, data: data, kind: "system"}
}

func (s *Server) tune(req *request, path string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.ns(req.ns).mounts[path]
	if m == nil {
		return badRequest(fmt.Sprintf("No auth engine at %s/", path))
	}
	if req.op == "update" {
		if d, ok := req.body["description"].(string); ok {
			m.description = d
		}
		return done()
	}
	return answer{status: http.StatusOK, flat: true, kind: "system", data: map[string]any{
		"default_lease_ttl": 2764800, "max_lease_ttl": 2764800, "force_no_cache": false,
		"token_type": "default-service", "description": m.description,
	}}
}

func (s *Server) listPolicies(req *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := append(slices.Collect(maps.Keys(s.ns(req.ns).policies)), "default", "root")
	slices.Sort(names)
	return found(map[string]any{"keys": slices.Compact(names)})
}

// policy is sys/policies/acl/<name>, and the older sys/policy/<name>.
func (s *Server) policy(req *request, name, field string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	policies := s.ns(req.ns).policies
	switch req.op {
	case "read":
		text, ok := policies[name]
		if !ok {
			return notFound()
		}
		a := found(map[string]any{"name": name, field: text})
		a.kind = "system"
		return a
	case "delete":
		delete(policies, name)
		return done()
	case "update":
		text, _ := req.body["policy"].(string)
		if text == "" {
			return badRequest("'policy' parameter not supplied or empty")
		}
		if _, err := parsePolicy(text); err != nil {
			return badRequest("failed to parse policy: " + err.Error())
		}
		policies[name] = text
		return done()
	}
	return multi(http.StatusMethodNotAllowed, "unsupported operation")
}

func (s *Server) capabilitiesSelf(req *request) answer {
	paths, _ := stringList(req.body["paths"])
	if one, _ := req.body["path"].(string); one != "" {
		paths = append(paths, one)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data := map[string]any{}
	for _, p := range paths {
		data[p] = s.capabilities(req.tok, req.ns, p)
	}
	if len(paths) == 1 {
		data["capabilities"] = data[paths[0]]
	}
	return answer{status: http.StatusOK, data: data, flat: true, kind: "system"}
}

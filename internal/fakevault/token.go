package fakevault

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// token is one client token. It is valid in its namespace and those below.
type token struct {
	id, accessor string
	ns           string
	policies     []string // names, in ns
	created      time.Time
	ttl          time.Duration // 0: for ever
	path         string
	display      string
	entity       string
	meta         map[string]string
	grants       map[string][]string // from Token, beside the policies
}

func (t *token) expired(now time.Time) bool {
	return t.ttl != 0 && now.After(t.created.Add(t.ttl))
}

func (t *token) isRoot() bool { return slices.Contains(t.policies, "root") }

// Grants say what a token may do: path to capabilities. A path may end in *.
type Grants map[string][]string

// Token makes a token for a namespace with just these grants.
//
//	tok := s.Token("", fakevault.Grants{"auth/jwt-nomad/config": {"read", "update"}})
func (s *Server) Token(namespace string, grants Grants) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.issue(clean(namespace), nil, 0)
	t.grants = grants
	return t.id
}

// PolicyToken makes a token with policies that were written to sys/policies/acl; ttl 0 is
// for ever.
func (s *Server) PolicyToken(namespace string, ttl time.Duration, policies ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issue(clean(namespace), policies, ttl).id
}

// Revoke ends a token.
func (s *Server) Revoke(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, id)
}

// Tokens returns the tokens that are valid now, but for the root one.
func (s *Server) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id := range s.tokens {
		if id != RootToken {
			ids = append(ids, id)
		}
	}
	return ids
}

// issue makes a token; s.mu must be held.
func (s *Server) issue(ns string, policies []string, ttl time.Duration) *token {
	t := &token{
		id: "hvs." + strings.ReplaceAll(newID(), "-", ""), accessor: newID(), ns: ns,
		policies: policies, created: time.Now(), ttl: ttl, path: "auth/token/create", display: "token",
	}
	if !slices.Contains(policies, "root") {
		t.policies = append([]string{"default"}, policies...)
		slices.Sort(t.policies)
		t.policies = slices.Compact(t.policies)
	}
	s.tokens[t.id] = t
	return t
}

// auth is the token as a login's answer.
func (t *token) auth() map[string]any {
	return map[string]any{
		"client_token": t.id, "accessor": t.accessor, "policies": t.policies, "token_policies": t.policies,
		"metadata": t.meta, "lease_duration": int(t.ttl.Seconds()), "renewable": t.ttl > 0,
		"entity_id": t.entity, "token_type": "service", "orphan": true, "mfa_requirement": nil, "num_uses": 0,
	}
}

// tokenStore is auth/token/…: create, lookup-self, renew-self, revoke-self.
func (s *Server) tokenStore(req *request, under string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := req.tok
	var a answer
	switch {
	case under == "lookup-self" && req.op == "read":
		data := map[string]any{
			"accessor": t.accessor, "creation_time": t.created.Unix(), "creation_ttl": int(t.ttl.Seconds()),
			"display_name": t.display, "entity_id": t.entity, "expire_time": nil, "explicit_max_ttl": 0,
			"id": t.id, "meta": t.meta, "num_uses": 0, "orphan": true, "path": t.path,
			"policies": t.policies, "renewable": t.ttl > 0, "ttl": 0, "type": "service",
		}
		if t.ttl > 0 {
			end := t.created.Add(t.ttl)
			data["expire_time"], data["ttl"] = end.UTC().Format(time.RFC3339Nano), int(time.Until(end).Seconds())
		}
		a = found(data)
	case under == "renew-self" && req.op == "update":
		if t.ttl == 0 {
			return badRequest("lease is not renewable")
		}
		t.created = time.Now()
		a = granted(t.auth())
	case under == "revoke-self" && req.op == "update":
		delete(s.tokens, t.id)
		a = done()
	case under == "create" && req.op == "update":
		policies, _ := stringList(req.body["policies"])
		ttl, err := duration(req.body["ttl"])
		if err != nil {
			return badRequest(err.Error())
		}
		if ttl == 0 && !slices.Contains(policies, "root") {
			ttl = 768 * time.Hour
		}
		t := s.issue(req.ns, policies, ttl)
		if without, _ := req.body["no_default_policy"].(bool); without {
			t.policies = slices.DeleteFunc(t.policies, func(name string) bool { return name == "default" })
		}
		a = granted(t.auth())
	default:
		a = multi(http.StatusNotFound, "unsupported path")
	}
	a.kind = "token"
	return a
}

// EnableAppRole mounts AppRole at auth/<path>, where that role_id and secret_id give a
// token with these policies and an hour to live.
func (s *Server) EnableAppRole(namespace, path, roleID, secretID string, policies ...string) {
	s.enableMachine(namespace, path, "approle", login{roleID, secretID, policies})
}

// EnableKubernetes mounts Kubernetes auth at auth/<path>, where that role and service
// account token give a token with these policies and an hour to live.
func (s *Server) EnableKubernetes(namespace, path, role, jwt string, policies ...string) {
	s.enableMachine(namespace, path, "kubernetes", login{role, jwt, policies})
}

func (s *Server) enableMachine(namespace, path, kind string, l login) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mounts := s.ns(namespace).mounts
	m := mounts[clean(path)]
	if m == nil {
		m = newMount(kind)
		mounts[clean(path)] = m
	}
	m.logins = append(m.logins, l)
}

// machine is what AppRole and Kubernetes mounts do here: log in.
func (s *Server) machine(req *request, m *mount, path, under string) answer {
	if under != "login" || req.op != "update" {
		return multi(http.StatusNotFound, "unsupported path")
	}
	id, secret, failed := "role_id", "secret_id", badRequest("invalid role or secret ID")
	if m.kind == "kubernetes" {
		id, secret, failed = "role", "jwt", refused(http.StatusForbidden, "permission denied")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range m.logins {
		if req.body[id] == l.id && req.body[secret] == l.secret {
			t := s.issue(req.ns, l.policies, time.Hour)
			t.path, t.display = "auth/"+path+"/login", m.kind
			return granted(t.auth())
		}
	}
	return failed
}

// duration reads "1h", "3600" and 3600.
func duration(v any) (time.Duration, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	default:
		text := fmt.Sprint(v)
		if text == "" {
			return 0, nil
		}
		if strings.Trim(text, "0123456789") == "" {
			text += "s"
		}
		return time.ParseDuration(text)
	}
}

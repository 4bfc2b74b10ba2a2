package fakevault

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// request is one call, past HTTP.
type request struct {
	http *http.Request
	op   string // read, list, help, update (create too), delete
	path string // without /v1/
	ns   string
	body map[string]any
	tok  *token // nil where the path needs none
}

// handle does what Vault does in Vault's order: sealed, then who asks, then whether he
// may, then whether there is such a path.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	req := &request{http: r, path: path}
	if !s.isCommunity() {
		req.ns = clean(r.Header.Get("X-Vault-Namespace"))
	}
	if a, done := s.status(req); done {
		a.write(w)
		return
	}
	if s.isSealed() {
		refused(http.StatusServiceUnavailable, "Vault is sealed").write(w)
		return
	}
	if a, ok := req.read(); !ok {
		a.write(w)
		return
	}
	if !isLogin(path) {
		if a, ok := s.authorize(req); !ok {
			a.write(w)
			return
		}
	}
	s.route(req).write(w)
}

// read finds the operation and the body.
func (req *request) read() (answer, bool) {
	r := req.http
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		req.op = "read"
		switch q := r.URL.Query(); {
		case q.Get("list") == "true":
			req.op = "list"
		case q.Get("help") != "":
			req.op = "help"
		}
	case "LIST":
		req.op = "list"
	case http.MethodPut, http.MethodPost:
		req.op = "update"
	case http.MethodDelete:
		req.op = "delete"
	case http.MethodPatch:
		return refused(http.StatusUnsupportedMediaType, "PATCH requires Content-Type of application/merge-patch+json, provided "+r.Header.Get("Content-Type")), false
	default:
		return answer{status: http.StatusMethodNotAllowed, errors: []string{}}, false
	}
	if req.op != "update" {
		return answer{}, true
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return badRequest(err.Error()), false
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		req.body = map[string]any{}
		return answer{}, true
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&req.body); err != nil {
		return badRequest("error parsing JSON: failed to parse JSON input: " + err.Error()), false
	}
	return answer{}, true
}

// isLogin reports whether the path is open to those without a token.
func isLogin(path string) bool {
	return strings.HasPrefix(path, "auth/") && strings.HasSuffix(path, "/login")
}

// authorize finds the token and what it may do.
func (s *Server) authorize(req *request) (answer, bool) {
	id := req.http.Header.Get("X-Vault-Token")
	if id == "" {
		bearer, _ := strings.CutPrefix(req.http.Header.Get("Authorization"), "Bearer ")
		id = bearer
	}
	if id == "" {
		return refused(http.StatusForbidden, "permission denied"), false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[id]
	if t == nil || t.expired(time.Now()) {
		return refused(http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"), false
	}
	req.tok = t
	if req.op != "help" && !strings.HasPrefix(req.path, mountsOfUI) && !s.may(t, req.ns, req.path, req.op) {
		return multi(http.StatusForbidden, "permission denied"), false
	}
	return answer{}, true
}

// route finds the path's handler: the longest mount, as Vault's router does.
func (s *Server) route(req *request) answer {
	if rest, ok := strings.CutPrefix(req.path, "sys/"); ok {
		return s.sys(req, rest)
	}
	rest, ok := strings.CutPrefix(req.path, "auth/")
	if !ok {
		return noRoute(req.path)
	}
	if under, ok := strings.CutPrefix(rest, "token/"); ok {
		return s.tokenStore(req, under)
	}
	s.mu.Lock()
	path, m := s.ns(req.ns).longest(rest)
	s.mu.Unlock()
	if m == nil {
		if isLogin(req.path) {
			return refused(http.StatusForbidden, "permission denied")
		}
		return noRoute(req.path)
	}
	under := strings.TrimPrefix(rest, path+"/")
	var a answer
	switch {
	case isJWT(m.kind):
		a = s.jwt(req, m, under)
	case m.kind == "approle", m.kind == "kubernetes":
		a = s.machine(req, m, path, under)
	default:
		a = multi(http.StatusNotFound, "unsupported path")
	}
	a.kind = m.kind
	return a
}

// longest finds the mount that a path (without auth/) is under.
func (n *namespace) longest(rest string) (string, *mount) {
	best := ""
	for path := range n.mounts {
		if strings.HasPrefix(rest, path+"/") && len(path) > len(best) {
			best = path
		}
	}
	return best, n.mounts[best]
}

func (s *Server) isSealed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sealed
}

func (s *Server) isCommunity() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.community
}

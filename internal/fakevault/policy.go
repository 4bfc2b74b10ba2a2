package fakevault

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// defaultPaths are those of Vault's default policy that a harvester could meet.
var defaultPaths = map[string][]string{
	"auth/token/lookup-self":        {"read"},
	"auth/token/renew-self":         {"update"},
	"auth/token/revoke-self":        {"update"},
	"sys/capabilities-self":         {"update"},
	"sys/internal/ui/resultant-acl": {"read"},
}

var (
	policyPath  = regexp.MustCompile(`path\s+"([^"]+)"\s*\{([^}]*)\}`)
	policyCaps  = regexp.MustCompile(`capabilities\s*=\s*\[([^\]]*)\]`)
	policyWord  = regexp.MustCompile(`"([a-z]+)"`)
	policyNoise = regexp.MustCompile(`(?m)(#|//).*$`)
)

// parsePolicy reads the part of a policy that matters here: paths and capabilities. It
// knows neither parameters nor templates.
func parsePolicy(text string) (map[string][]string, error) {
	text = policyNoise.ReplaceAllString(text, "")
	out := map[string][]string{}
	rest := text
	for _, m := range policyPath.FindAllStringSubmatch(text, -1) {
		rest = strings.Replace(rest, m[0], "", 1)
		caps := policyCaps.FindStringSubmatch(m[2])
		if caps == nil {
			return nil, errors.New(`path "` + m[1] + `": no capabilities`)
		}
		for _, w := range policyWord.FindAllStringSubmatch(caps[1], -1) {
			out[m[1]] = append(out[m[1]], w[1])
		}
	}
	if strings.TrimSpace(rest) != "" {
		return nil, errors.New("object expected closing RBRACE got: EOF")
	}
	return out, nil
}

// may reports whether the token's policies allow the operation; s.mu must be held.
func (s *Server) may(t *token, ns, path, op string) bool {
	caps := s.capabilities(t, ns, path)
	return slices.Contains(caps, "root") || slices.Contains(caps, op) ||
		op == "update" && slices.Contains(caps, "create") && createsHere(path)
}

// createsHere reports whether a write to the path needs create while nothing is there. The
// config of a JWT mount doesn't: Vault takes every write to it for an update.
func createsHere(path string) bool {
	return !strings.HasSuffix(path, "/config")
}

// capabilities of the token on a path of a namespace; s.mu must be held.
func (s *Server) capabilities(t *token, ns, path string) []string {
	if t.isRoot() {
		return []string{"root"}
	}
	// Policies are written for the token's own namespace: a path further down has the
	// way there before it.
	if ns != t.ns {
		below, ok := strings.CutPrefix(ns+"/", strings.TrimPrefix(t.ns+"/", "/"))
		if !ok {
			return []string{"deny"}
		}
		path = below + path
	}
	var caps []string
	for _, r := range s.rules(t) {
		for pattern, c := range r {
			if pathMatches(pattern, path) {
				caps = append(caps, c...)
			}
		}
	}
	if len(caps) == 0 || slices.Contains(caps, "deny") {
		return []string{"deny"}
	}
	slices.Sort(caps)
	return slices.Compact(caps)
}

// rules are the token's, by path; s.mu must be held.
func (s *Server) rules(t *token) []map[string][]string {
	rules := []map[string][]string{t.grants}
	for _, name := range t.policies {
		if name == "default" {
			rules = append(rules, defaultPaths)
			continue
		}
		if parsed, err := parsePolicy(s.ns(t.ns).policies[name]); err == nil {
			rules = append(rules, parsed)
		}
	}
	return rules
}

// reaches reports whether the token may do anything below a path of its own namespace; s.mu must
// be held.
func (s *Server) reaches(t *token, ns, path string) bool {
	if t.isRoot() {
		return true
	}
	for _, r := range s.rules(t) {
		for pattern, caps := range r {
			if ns == t.ns && strings.HasPrefix(pattern, path) && !slices.Contains(caps, "deny") {
				return true
			}
		}
	}
	return s.capabilities(t, ns, path)[0] != "deny"
}

// pathMatches knows a trailing * and + for one segment.
func pathMatches(pattern, path string) bool {
	glob := strings.HasSuffix(pattern, "*")
	pattern = strings.TrimSuffix(pattern, "*")
	if !strings.Contains(pattern, "+") {
		return path == pattern || glob && strings.HasPrefix(path, pattern)
	}
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(got) < len(want) || !glob && len(got) != len(want) {
		return false
	}
	for i, w := range want {
		last := i == len(want)-1
		if w != "+" && w != got[i] && (!last || !glob || !strings.HasPrefix(got[i], w)) {
			return false
		}
	}
	return true
}

package fakevault

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// leeway is what Vault forgives about a token's times.
const leeway = time.Minute

// jwtLogin is auth/<mount>/login: the signature against each key in the list's order, the
// algorithm, the claims, then a token with the role's policies.
func (s *Server) jwtLogin(req *request, m *mount) answer {
	s.mu.Lock()
	cfg := copyMap(m.config)
	s.mu.Unlock()
	if cfg == nil {
		return badRequest("could not load configuration")
	}
	name, _ := weakString(req.body["role"])
	name = strings.ToLower(name)
	if name == "" {
		name, _ = cfg["default_role"].(string)
	}
	if name == "" {
		return badRequest("missing role")
	}
	s.mu.Lock()
	role := copyMap(m.roles[name])
	s.mu.Unlock()
	if role == nil {
		return badRequest(fmt.Sprintf("role %q could not be found", name))
	}
	if role["role_type"] == "oidc" {
		return badRequest("role with oidc role_type is not allowed")
	}
	raw, _ := weakString(req.body["jwt"])
	if raw == "" {
		return badRequest("missing token")
	}
	claims, err := verify(req.http.Context(), cfg, raw)
	if err == nil {
		err = checkClaims(cfg, role, claims)
	}
	if err != nil {
		return badRequest("error validating token: " + err.Error())
	}
	if audiences, _ := role["bound_audiences"].([]string); len(audiences) == 0 && claims["aud"] != nil {
		return badRequest("audience claim found in JWT but no audiences bound to the role")
	}
	user, message := userName(role, claims)
	if message != "" {
		return badRequest(message)
	}
	if message := checkBoundClaims(role, claims); message != "" {
		return badRequest("error validating claims: " + message)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	policies, _ := role["token_policies"].([]string)
	for _, policy := range policies {
		switch policy = strings.ToLower(strings.TrimSpace(policy)); policy {
		case "root":
			return badRequest("auth methods cannot create root tokens")
		case "response-wrapping", "control-group":
			return badRequest(fmt.Sprintf("cannot assign policy %q", policy))
		}
	}
	ttl := 768 * time.Hour
	for _, f := range []string{"token_ttl", "token_period"} {
		if n, _ := role[f].(int); n > 0 {
			ttl = time.Duration(n) * time.Second
		}
	}
	t := s.issue(req.ns, policies, ttl)
	t.path, t.display = "auth/"+strings.TrimPrefix(req.path, "auth/"), user
	t.meta = map[string]string{"role": name}
	if mappings, ok := role["claim_mappings"].(map[string]any); ok {
		for source, target := range mappings {
			if v, ok := claim(claims, source).(string); ok {
				t.meta[fmt.Sprint(target)] = v
			}
		}
	}
	alias := req.ns + "\x00" + m.accessor + "\x00" + user
	if s.entities[alias] == "" {
		s.entities[alias] = newID()
	}
	t.entity = s.entities[alias]
	return granted(t.auth())
}

// verify tries the mount's keys in order. A key id means nothing.
func verify(ctx context.Context, cfg map[string]any, raw string) (map[string]any, error) {
	all := make([]jose.SignatureAlgorithm, len(supportedAlgs))
	for i, a := range supportedAlgs {
		all[i] = jose.SignatureAlgorithm(a)
	}
	parsed, err := jwt.ParseSigned(raw, all)
	if err != nil {
		return nil, fmt.Errorf("error verifying token signature: %w", err)
	}
	keys, err := configKeys(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("error verifying token signature: %w", err)
	}
	var claims map[string]any
	if !slices.ContainsFunc(keys, func(k crypto.PublicKey) bool { return parsed.Claims(k, &claims) == nil }) {
		return nil, errors.New("error verifying token signature: no known key successfully validated the token signature")
	}
	algs, _ := cfg["jwt_supported_algs"].([]string)
	if len(algs) == 0 {
		algs = supportedAlgs
	}
	if !slices.Contains(algs, parsed.Headers[0].Algorithm) {
		return nil, errors.New("invalid algorithm (alg) header parameter: token signed with unexpected algorithm")
	}
	return claims, nil
}

// configKeys are the keys of the mount's mode.
func configKeys(ctx context.Context, cfg map[string]any) ([]crypto.PublicKey, error) {
	if url, _ := cfg["jwks_url"].(string); url != "" {
		return fetchKeys(ctx, url)
	}
	elements, _ := cfg["jwt_validation_pubkeys"].([]string)
	var keys []crypto.PublicKey
	for _, e := range elements {
		k, err := parsePublicKey([]byte(e))
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func fetchKeys(ctx context.Context, url string) ([]crypto.PublicKey, error) {
	var set jose.JSONWebKeySet
	if err := fetchJSON(ctx, url, &set); err != nil {
		return nil, err
	}
	var keys []crypto.PublicKey
	for _, k := range set.Keys {
		keys = append(keys, k.Key)
	}
	return keys, nil
}

// checkClaims compares issuer, subject, audience and times.
func checkClaims(cfg, role, claims map[string]any) error {
	if issuer, _ := cfg["bound_issuer"].(string); issuer != "" && claims["iss"] != issuer {
		return errors.New("invalid issuer (iss) claim")
	}
	if subject, _ := role["bound_subject"].(string); subject != "" && claims["sub"] != subject {
		return errors.New("invalid subject (sub) claim")
	}
	if bound, _ := role["bound_audiences"].([]string); len(bound) > 0 {
		has, _ := stringList(claims["aud"])
		if !slices.ContainsFunc(bound, func(b string) bool { return slices.Contains(has, b) }) {
			return errors.New("invalid audience (aud) claim: audience claim does not match any expected audience")
		}
	}
	iat, exp, nbf := when(claims["iat"]), when(claims["exp"]), when(claims["nbf"])
	if iat.IsZero() && exp.IsZero() && nbf.IsZero() {
		return errors.New("no issued at (iat), not before (nbf), or expiration time (exp) claims in token")
	}
	now := time.Now()
	switch {
	case now.Add(leeway).Before(nbf):
		return errors.New("invalid not before (nbf) claim: token not yet valid")
	case !exp.IsZero() && now.Add(-leeway).After(exp):
		return errors.New("invalid expiration time (exp) claim: token is expired")
	case now.Add(leeway).Before(iat):
		return errors.New("invalid issued at (iat) claim: token issued in the future")
	}
	return nil
}

// userName is the claim that becomes the entity alias.
func userName(role, claims map[string]any) (name, message string) {
	field, _ := role["user_claim"].(string)
	v := claims[field]
	if role["user_claim_json_pointer"] == true {
		v = claim(claims, field)
	}
	if v == nil {
		return "", fmt.Sprintf("claim %q not found in token", field)
	}
	name, ok := v.(string)
	if !ok {
		return "", fmt.Sprintf("claim %q could not be converted to string", field)
	}
	return name, ""
}

func checkBoundClaims(role, claims map[string]any) string {
	bound, _ := role["bound_claims"].(map[string]any)
	for name, want := range bound {
		got := claim(claims, name)
		if got == nil {
			return fmt.Sprintf("claim %q is missing", name)
		}
		allowed, err := stringList(want)
		if s, ok := want.(string); ok {
			allowed = []string{s}
		}
		has, err2 := stringList(got)
		if err != nil || err2 != nil ||
			!slices.ContainsFunc(allowed, func(a string) bool { return slices.Contains(has, a) }) {
			return fmt.Sprintf("claim %q does not match any associated bound claim values", name)
		}
	}
	return ""
}

// claim finds a claim by name or, where the name starts with a slash, by JSON pointer.
func claim(claims map[string]any, name string) any {
	if !strings.HasPrefix(name, "/") {
		return claims[name]
	}
	var at any = claims
	for part := range strings.SplitSeq(name[1:], "/") {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return at
}

func when(v any) time.Time {
	if n, ok := v.(float64); ok && n > 0 {
		return time.Unix(int64(n), 0)
	}
	return time.Time{}
}

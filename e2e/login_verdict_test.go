//go:build e2e

package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/pem"
)

type object = fixture.Object

// verdictOf runs harvest verify on a token, wants none of it printed, and returns the exit
// code and the checks that failed.
func verdictOf(t *testing.T, token string, args ...string) (code int, failed []string) {
	t.Helper()
	r := harvest(t, nil, append([]string{"verify", fixture.File(t, token), "-format", "json", "-log-level", "debug"}, args...)...)
	for part := range strings.SplitSeq(token, ".") {
		if part != "" {
			require.NotContains(t, r.stdout+r.stderr, part, "a part of the token was printed")
		}
	}
	if r.code == 1 {
		return r.code, nil
	}
	var out struct {
		Verdicts []struct {
			Findings []struct{ Check, Outcome string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &out))
	require.Len(t, out.Verdicts, 1)
	for _, f := range out.Verdicts[0].Findings {
		if f.Outcome == "fail" {
			failed = append(failed, f.Check)
		}
	}
	return r.code, failed
}

// What Vault says where a check of harvest verify fails.
var vaultSays = map[string]string{
	"mount": "could not load configuration", "role": "role", "key": "error verifying token signature", "alg": `\(alg\)`, "iss": `\(iss\)`,
	"sub": `\(sub\)`, "aud": `\(aud\)|audience claim found`, "time": `\((exp|nbf|iat)\)`,
	"user_claim": "claim .* (not found|could not be converted)|missing name in alias", "claim_mappings": "error converting claim",
	"groups_claim": "groups", "bound_claims": "error validating claims", "policies": "cannot create root tokens|cannot assign policy",
}

const beforeVerdicts = "a JWT method of before Vault 1.17 takes any audience where none is bound; verify goes by newer ones"

// takesAnyAudience asks Vault whether a role that binds no audience takes a token that has one, as
// before 1.17.
func takesAnyAudience(t *testing.T, path string, role object, token string, elements []string) bool {
	t.Helper()
	c := vault.Client()
	writeConfig(t, c, path, object{"jwt_validation_pubkeys": elements})
	_, err := c.Logical().Write("auth/"+path+"/role/any-audience", role)
	require.NoError(t, err)
	_, err = c.Logical().Write("auth/"+path+"/login", object{"role": "any-audience", "jwt": token})
	return err == nil
}

// For every token, mount and role, harvest verify and Vault's login agree: on whether it
// gets in, and on what is in the way first.
func TestVerdictsAgreeWithLogins(t *testing.T) {
	edwards, rsaKey, stranger := fakenomad.NewKey("EdDSA"), fakenomad.NewKey("RS256"), fakenomad.NewKey("RS256")
	var elements []string
	for _, k := range []*fakenomad.Key{edwards, rsaKey} {
		text, err := pem.Encode(k.Public())
		require.NoError(t, err)
		elements = append(elements, string(text))
	}
	const path = "jwt-verdict"
	c := enable(t, vault, path, nil)
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	times := func(exp, nbf, iat any) object { return object{"exp": exp, "nbf": nbf, "iat": iat} }
	claims := object{
		"aud": "vault.io", "iat": at(0), "nbf": at(0), "exp": at(time.Hour), "nomad_job_id": "mongo", "nomad_namespace": "default",
		"sub": "eu-west:default:mongo:db:mongo:vault_default",
	}
	role := object{
		"role_type": "jwt", "bound_audiences": []string{"vault.io"}, "user_claim": "/nomad_job_id", "user_claim_json_pointer": true,
		"token_policies": "default",
	}
	// A role wants a bound: where audiences are to be none, any other that holds.
	unbound := func(change object) object {
		return fixture.Changed(object{"bound_audiences": []string{}, "bound_subject": claims["sub"]}, change)
	}
	globbed := func(bound object) object { return object{"bound_claims_type": "glob", "bound_claims": bound} }
	m := time.Minute
	old := takesAnyAudience(t, path, fixture.Changed(role, unbound(nil)), fakenomad.Sign(rsaKey, claims), elements)
	for name, x := range map[string]struct {
		key                  *fakenomad.Key // nil: the trusted RSA one
		claims, config, role object
		login                string // role to name; "-": none; "": the one of the case
		forge                func(string) string
		in                   bool
		recent               bool // Vault before 1.17 sees it otherwise
	}{
		"as Nomad has it":  {in: true},
		"by the other key": {key: edwards, in: true},
		"by nobody's key":  {key: stranger},
		"changed": {forge: func(s string) string {
			return changedClaims(s, `{"aud":"vault.io","exp":9999999999,"nomad_job_id":"x"}`)
		}},
		"cut off":                  {forge: func(s string) string { return s[:len(s)-4] }},
		"no signature":             {forge: func(s string) string { return s[:strings.LastIndex(s, ".")+1] }},
		"no token":                 {forge: func(string) string { return "no token" }},
		"white space around":       {forge: func(s string) string { return "\n" + s + " \n" }, in: true},
		"broken lines":             {forge: func(s string) string { return s[:40] + "\r\n" + s[40:90] + " \t" + s[90:] }, in: true},
		"a space that isn't ASCII": {forge: func(s string) string { return s[:40] + "\u2003" + s[40:] }, in: true},
		"padded":                   {forge: func(s string) string { return strings.ReplaceAll(s, ".", "=.") + "==" }, in: true, recent: true},
		"padded in front":          {forge: func(s string) string { return "=" + s }},
		"JSON, flattened":          {forge: func(s string) string { return asJSON(s, false, "") }, in: true},
		"JSON, general":            {forge: func(s string) string { return asJSON(s, true, "") }, in: true},
		"JSON, padded":             {forge: func(s string) string { return asJSON(s, false, "==") }, in: true, recent: true},
		"JSON, a signature too many": {forge: func(s string) string {
			one := asJSON(s, true, "")
			list := one[strings.Index(one, "[")+1 : strings.Index(one, "]")]
			return strings.Replace(one, "["+list, "["+list+","+list, 1)
		}},
		"JSON, alg unprotected": {forge: func(s string) string {
			return strings.Replace(asJSON(s, true, ""), `{"protected":`, `{"header":{"alg":5},"protected":`, 1)
		}, in: true},
		"a kid of a number":         {forge: reheaded(rsaKey, object{"kid": 1})},
		"no kid":                    {forge: reheaded(rsaKey, object{"kid": nil}), in: true},
		"a nonce of a number":       {forge: reheaded(rsaKey, object{"nonce": 1})},
		"a nonce":                   {forge: reheaded(rsaKey, object{"nonce": "x"}), in: true},
		"an extension":              {forge: reheaded(rsaKey, object{"crit": []string{"exp"}, "exp": 1})},
		"an extension that it has":  {forge: reheaded(rsaKey, object{"crit": []string{"b64"}, "b64": true}), in: true},
		"extensions of text":        {forge: reheaded(rsaKey, object{"crit": "exp"})},
		"JSON, without payload":     {forge: func(s string) string { return strings.Replace(asJSON(s, false, ""), "payload", "load", 1) }},
		"two tokens":                {forge: func(s string) string { return s + "\n" + s }},
		"its algorithm":             {config: object{"jwt_supported_algs": []string{"RS256"}}, in: true},
		"another algorithm":         {config: object{"jwt_supported_algs": []string{"ES256", "RS512"}}},
		"EdDSA not allowed":         {key: edwards, config: object{"jwt_supported_algs": []string{"RS256"}}},
		"its issuer":                {claims: object{"iss": "https://a"}, config: object{"bound_issuer": "https://a"}, in: true},
		"another issuer":            {claims: object{"iss": "https://a/"}, config: object{"bound_issuer": "https://a"}},
		"no issuer":                 {config: object{"bound_issuer": "https://a"}},
		"an issuer of another case": {claims: object{"ISS": "https://a"}, config: object{"bound_issuer": "https://a"}, in: true},
		"another subject":           {role: object{"bound_subject": "x"}},
		"another audience":          {claims: object{"aud": "other"}},
		"one of two audiences":      {claims: object{"aud": []string{"other", "vault.io"}}, in: true},
		"no audience":               {claims: object{"aud": nil}},
		"none bound":                {role: unbound(nil), recent: true},
		"none bound, none there":    {claims: object{"aud": nil}, role: unbound(nil), in: true},
		"none bound, an empty list": {claims: object{"aud": []string{}}, role: unbound(nil), in: true},
		"none bound, in capitals":   {claims: object{"aud": nil, "AUD": "x"}, role: unbound(nil), in: true},

		"expired, in the leeway":      {claims: times(at(-m/2), at(-2*m), at(-2*m)), in: true},
		"expired":                     {claims: times(at(-m-10*time.Second), at(-time.Hour), at(-time.Hour))},
		"expired, expiration_leeway":  {claims: times(at(-2*m), at(-time.Hour), at(-time.Hour)), role: object{"expiration_leeway": 3600}},
		"expired, clock_skew_leeway":  {claims: times(at(-2*m), at(-time.Hour), at(-time.Hour)), role: object{"clock_skew_leeway": 3600}, in: true},
		"expired, no leeway":          {claims: times(at(-5*time.Second), at(-time.Hour), at(-time.Hour)), role: object{"clock_skew_leeway": -1}},
		"early, in the leeway":        {claims: times(at(time.Hour), at(m/2), at(0)), in: true},
		"early":                       {claims: times(at(time.Hour), at(2*m), at(0))},
		"early, not_before_leeway":    {claims: times(at(time.Hour), at(2*m), at(0)), role: object{"not_before_leeway": 3600}},
		"issued in the future":        {claims: times(at(time.Hour), at(0), at(2*m))},
		"no exp, young":               {claims: times(nil, nil, at(-3*m)), in: true},
		"no exp, old":                 {claims: times(nil, nil, at(-4*m))},
		"no exp, expiration_leeway":   {claims: times(nil, nil, at(-time.Hour)), role: object{"expiration_leeway": 3600}, in: true},
		"no exp, none granted":        {claims: times(nil, nil, at(-2*m)), role: object{"expiration_leeway": -1}},
		"exp alone, near":             {claims: times(at(3*m), nil, nil), in: true},
		"exp alone, far":              {claims: times(at(time.Hour), nil, nil)},
		"exp alone, not_before_leewy": {claims: times(at(time.Hour), nil, nil), role: object{"not_before_leeway": 3600}, in: true},
		"no times":                    {claims: times(nil, nil, nil)},
		"times of 0":                  {claims: times(0, 0, 0)},
		"exp in capitals":             {claims: object{"exp": nil, "EXP": at(-time.Hour)}},
		"times in fractions":          {claims: times(float64(at(-50*time.Second))+0.9, at(-time.Hour), at(-time.Hour)), in: true},
		"exp an age away":             {claims: times(5e18, at(0), at(0)), in: true},
		"exp beyond 64 bits":          {claims: times(1e19, at(0), at(0))},
		"nbf beyond 64 bits":          {claims: times(at(time.Hour), 1e19, at(0)), in: true},
		"iat beyond 64 bits":          {claims: times(at(time.Hour), at(0), -1e300), in: true},
		"nbf in the year 1":           {claims: times(at(time.Hour), -62135596800, nil), in: true},
		"exp in the year 1":           {claims: times(-62135596800, at(0), at(0))},
		"exp of less than a second":   {claims: times(0.9, at(0), at(0)), in: true},
		"exp below 0":                 {claims: times(-1, at(0), at(0))},
		"nbf alone, below 0":          {claims: times(nil, -5, nil), role: object{"clock_skew_leeway": at(0) - 100}, in: true},
		"a time of text":              {claims: object{"exp": "tomorrow"}},

		"no user claim":            {claims: object{"nomad_job_id": nil}},
		"a number as user claim":   {claims: object{"nomad_job_id": 5}},
		"an empty user claim":      {claims: object{"nomad_job_id": ""}},
		"a pointer not taken":      {role: object{"user_claim_json_pointer": false}},
		"a deep user claim":        {claims: object{"a": object{"b/c": []any{"x", object{"~": "y"}}}}, role: object{"user_claim": "/a/b~1c/1/~0"}, in: true},
		"too deep a user claim":    {claims: object{"a": object{"b": []string{"x"}}}, role: object{"user_claim": "/a/b/1"}},
		"mappings":                 {role: object{"claim_mappings": object{"nomad_namespace": "m", "nope": "n"}}, in: true},
		"a mapping of a number":    {claims: object{"n": 5}, role: object{"claim_mappings": object{"n": "m"}}},
		"groups":                   {claims: object{"g": []string{"a"}}, role: object{"groups_claim": "g"}, in: true},
		"one group":                {claims: object{"g": "a"}, role: object{"groups_claim": "/g"}, in: true},
		"no groups":                {role: object{"groups_claim": "g"}},
		"groups of numbers":        {claims: object{"g": []int{1}}, role: object{"groups_claim": "g"}},
		"bound":                    {role: object{"bound_claims": object{"nomad_job_id": []string{"redis", "mongo"}}}, in: true},
		"bound to others":          {role: object{"bound_claims": object{"nomad_job_id": []string{"redis", "kafka"}}}},
		"bound, and missing":       {role: object{"bound_claims": object{"nope": "x"}}},
		"bound by pointer":         {claims: object{"a": object{"b": "c"}}, role: object{"bound_claims": object{"/a/b": "c"}}, in: true},
		"a list in the token":      {claims: object{"g": []string{"a", "b"}}, role: object{"bound_claims": object{"g": "b"}}, in: true},
		"a glob":                   {role: globbed(object{"/nomad_job_id": "m*o"}), in: true},
		"a glob of one character":  {role: globbed(object{"/nomad_job_id": "mong?"})},
		"a glob taken by its word": {role: object{"bound_claims": object{"nomad_job_id": "m*"}}},
		"a glob, and a number":     {claims: object{"n": 5}, role: globbed(object{"n": "*"})},
		"a number":                 {claims: object{"n": 5}, role: object{"bound_claims": object{"n": 5}}, in: true, recent: true},
		"a number in fractions":    {claims: object{"n": 5.7}, role: object{"bound_claims": object{"n": 5}}, in: true, recent: true},
		"a number in a list":       {claims: object{"n": []int{5}}, role: object{"bound_claims": object{"n": 5}}},
		"a number as text":         {claims: object{"n": 5}, role: object{"bound_claims": object{"n": "5"}}},
		"true":                     {claims: object{"n": true}, role: object{"bound_claims": object{"n": true}}, in: true},
		"an object":                {claims: object{"n": object{}}, role: object{"bound_claims": object{"n": "x"}}},
		"null in both lists":       {claims: object{"n": []any{nil}}, role: object{"bound_claims": object{"n": []any{"x", nil}}}, in: true},
		"null in one list":         {claims: object{"n": []any{"y"}}, role: object{"bound_claims": object{"n": []any{"x", nil}}}},
		"a hexadecimal index":      {claims: object{"a": []any{"x", "y"}}, role: object{"bound_claims": object{"/a/0x1": "y"}}, in: true},
		"a binary index":           {claims: object{"a": []any{"x", "y"}}, role: object{"user_claim": "/a/+0b1"}, in: true},
		"an octal index":           {claims: object{"a": []any{"x", "y"}}, role: object{"bound_claims": object{"/a/0_1": "y"}}, in: true},
		"an index of nothing":      {claims: object{"a": []any{"x", "y"}}, role: object{"user_claim": "/a/"}, in: true},
		"an index below 0":         {claims: object{"a": []any{"x", "y"}}, role: object{"bound_claims": object{"/a/-1": "y"}}},
		"an index past the end":    {claims: object{"a": []any{"x", "y"}}, role: object{"bound_claims": object{"/a/2": "y"}}},
		"an index that is none":    {claims: object{"a": []any{"x", "y"}}, role: object{"bound_claims": object{"/a/1e0": "y"}}},
		"the policy root":          {role: object{"token_policies": "root"}},
		"the policy root of three": {role: object{"token_policies": []string{"default", " ROOT ", "x"}}},
		"a policy of Vault's own":  {role: object{"token_policies": "response-wrapping"}},
		"a role with a dot":        {login: "r."},
		"a role with a dash":       {login: "r-"},
		"a role with a slash":      {login: "r/x"},
		"a role of blanks":         {login: "  "},
		"a default with a dash":    {config: object{"default_role": "r-"}, login: "-"},
		"an OIDC role":             {role: object{"role_type": "oidc", "allowed_redirect_uris": "http://127.0.0.1/x"}},
		"no such role":             {login: "nobody"},
		"no role":                  {login: "-"},
		"the default role":         {config: object{"default_role": "By-Default"}, role: object{"name": "by-default"}, login: "-", in: true},
		"a role in capitals":       {role: object{"name": "shouted"}, login: "SHOUTED", in: true},
		"two failures":             {claims: object{"aud": "other", "exp": at(-time.Hour)}, config: object{"bound_issuer": "https://a"}},
	} {
		t.Run(name, func(t *testing.T) {
			fixture.Needs(t, !old || !x.recent, beforeVerdicts)
			writeConfig(t, c, path, fixture.Changed(object{"jwt_validation_pubkeys": elements}, x.config))
			roleName := strings.Trim(regexp.MustCompile(`[^a-z]+`).ReplaceAllString(strings.ToLower(name), "-"), "-")
			fields := fixture.Changed(role, x.role)
			if other, ok := fields["name"].(string); ok {
				roleName = other
				delete(fields, "name")
			}
			_, err := c.Logical().Write("auth/"+path+"/role/"+roleName, fields)
			require.NoError(t, err)
			key := x.key
			if key == nil {
				key = rsaKey
			}
			token := fakenomad.Sign(key, fixture.Changed(claims, x.claims))
			if x.forge != nil {
				token = x.forge(token)
			}
			if x.login != "" {
				if roleName = x.login; roleName == "-" {
					roleName = ""
				}
			}
			_, err = c.Logical().Write("auth/"+path+"/login", object{"role": roleName, "jwt": token})
			args := []string{"-mount", path}
			if roleName != "" {
				args = append(args, "-role", roleName)
			}
			code, failed := verdictOf(t, token, args...)
			require.Equal(t, x.in, err == nil, "Vault: %v", err)
			switch {
			case x.in:
				require.Equal(t, 0, code, "Vault lets it in; failed: %v", failed)
			case code == 1: // no token at all, or one that nothing can be said of
				assert.Regexp(t, "error validating token", err.Error())
				assert.True(t, x.forge != nil || name == "a time of text", "it couldn't be read")
			default:
				require.Equal(t, 3, code)
				require.NotEmpty(t, failed)
				require.Contains(t, vaultSays, failed[0])
				assert.Regexp(t, vaultSays[failed[0]], err.Error())
			}
		})
	}
	t.Run("a disabled entity", func(t *testing.T) {
		writeConfig(t, c, path, object{"jwt_validation_pubkeys": elements})
		_, err := c.Logical().Write("auth/"+path+"/role/disabled", role)
		require.NoError(t, err)
		token := fakenomad.Sign(rsaKey, fixture.Changed(claims, object{"nomad_job_id": "disabled"}))
		body := object{"role": "disabled", "jwt": token}
		secret, err := c.Logical().Write("auth/"+path+"/login", body)
		require.NoError(t, err)
		_, err = c.Logical().Write("identity/entity/id/"+secret.Auth.EntityID, object{"disabled": true})
		require.NoError(t, err)
		_, err = c.Logical().Write("auth/"+path+"/login", body)
		require.ErrorContains(t, err, "permission denied")
		r := harvest(t, nil, "verify", fixture.File(t, token), "-mount", path, "-role", "disabled")
		assert.Equal(t, 0, r.code)
		assert.Regexp(t, `\? entity +not seen: Vault also refuses the login where the entity of this name is disabled`, r.stdout)
	})
	t.Run("a mount that was never configured", func(t *testing.T) {
		c := enable(t, vault, "jwt-verdict-new", nil)
		token := fakenomad.Sign(rsaKey, claims)
		require.Error(t, login(c, "jwt-verdict-new", token))
		code, failed := verdictOf(t, token, "-mount", "jwt-verdict-new", "-role", "nomad-workloads")
		assert.Equal(t, 3, code)
		assert.Equal(t, "mount", failed[0])
	})
}

// asJSON writes a token in the JSON serialization.
func asJSON(token string, general bool, padding string) string {
	parts := strings.Split(token, ".")
	signature := object{"protected": parts[0] + padding, "signature": parts[2] + padding}
	out := object{"payload": parts[1] + padding}
	if general {
		out["signatures"] = []object{signature}
	} else {
		maps.Copy(out, signature)
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// reheaded signs a token again, with other members in its header.
func reheaded(key *fakenomad.Key, header object) func(string) string {
	return func(token string) string {
		members, err := json.Marshal(fixture.Changed(object{"alg": "RS256", "typ": "JWT", "kid": key.ID}, header))
		if err != nil {
			panic(err)
		}
		signed := base64.RawURLEncoding.EncodeToString(members) + "." + strings.Split(token, ".")[1]
		digest := sha256.Sum256([]byte(signed))
		signature, err := key.Private.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			panic(err)
		}
		return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
}

// changedClaims puts other claims under a signature.
func changedClaims(token, claims string) string {
	parts := strings.Split(token, ".")
	parts[1] = strings.Split(fakenomad.Sign(fakenomad.NewKey("EdDSA"), mustDecode(claims)), ".")[1]
	return strings.Join(parts, ".")
}

func mustDecode(text string) (out object) {
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		panic(err)
	}
	return out
}

// Right behind a rotation the command that harvest verify prints mends the login.
func TestVerdictAfterRotation(t *testing.T) {
	const path = "jwt-rotated"
	c := enable(t, vault, path, nil)
	cluster := []string{"-cluster", "eu-west", "-nomad-address", west.Address, "-mount", path}
	syncNow(t, 0, cluster...)
	token := identity(t, west)
	require.NoError(t, login(c, path, token))
	code, failed := verdictOf(t, token, append(cluster, "-role", "nomad-workloads")...)
	require.Zero(t, code, failed)

	_, err := west.RotateKey(t.Context())
	require.NoError(t, err)
	token = identity(t, west)
	require.Error(t, login(c, path, token))
	args := append([]string{"verify", fixture.File(t, token), "-role", "nomad-workloads"}, cluster...)
	r := harvest(t, nil, args...)
	require.Equal(t, 3, r.code)
	assert.Contains(t, r.stdout, "published by eu-west, not yet trusted")
	command := regexp.MustCompile(`run harvest (sync .*)`).FindStringSubmatch(r.stdout)
	require.NotNil(t, command, r.stdout)
	require.Equal(t, fmt.Sprintf("sync -cluster eu-west -nomad-address %s -mount %s", west.Address, path), command[1])

	require.Equal(t, 0, harvest(t, nil, strings.Fields(command[1])...).code)
	require.NoError(t, login(c, path, token))
	require.Equal(t, 0, harvest(t, nil, args...).code)
	code, _ = verdictOf(t, token, "-jwks", west.Address)
	require.Zero(t, code)
}

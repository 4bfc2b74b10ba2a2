package verify

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// object is a JSON object. In a change of one, nil takes a member away.
type object = fixture.Object

// workload are the claims of a Nomad workload identity with an hour to live.
func workload(change object) object {
	return fixture.Changed(object{
		"aud": "vault.io", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"sub": "eu-west:default:mongo:db:mongo:vault_default", "nomad_job_id": "mongo", "nomad_namespace": "default",
	}, change)
}

// signedBy returns a token that names the key kid and that the key of that name signed.
func signedBy(t testing.TB, name, kid string, claims object) *Token {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	encode := func(v any) string {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := encode(object{"alg": "EdDSA", "kid": kid}) + "." + encode(claims)
	text += "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(seed[:]), []byte(text)))
	token, err := parseToken([]byte(text))
	require.NoError(t, err)
	return token
}

// fails returns "check: detail" of what failed.
func fails(v *Verdict) []string {
	out := []string{}
	for _, f := range v.Findings {
		if f.Outcome == OutcomeFail {
			out = append(out, f.Check+": "+f.Detail)
		}
	}
	return out
}

func findingsOf(v *Verdict) string {
	var b strings.Builder
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "%s %s: %s [%s]\n", f.Outcome, f.Check, f.Detail, f.Fix)
	}
	return b.String()
}

// Each claim against mount and role: want is the one failure, "" is that Vault lets it in.
func TestVerifyClaims(t *testing.T) {
	const skew = time.Minute
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	times := func(exp, nbf, iat any) object { return object{"exp": exp, "nbf": nbf, "iat": iat} }
	number := func(n int) json.Number { return json.Number(fmt.Sprint(n)) }
	for name, c := range map[string]struct {
		claims, config, role object
		want, fix            string
	}{
		"as Nomad has it": {},

		"no algorithms":    {config: object{"jwt_supported_algs": []any{}}},
		"its algorithm":    {config: object{"jwt_supported_algs": []any{"RS256", "EdDSA"}}},
		"other algorithms": {config: object{"jwt_supported_algs": []any{"RS256", "ES256"}}, want: "alg: signed with EdDSA, and jwt_supported_algs is [RS256, ES256]", fix: `state jwt_supported_algs = ["ES256", "EdDSA", "RS256"]`},

		"its issuer":   {claims: object{"iss": "https://a"}, config: object{"bound_issuer": "https://a"}},
		"any issuer":   {claims: object{"iss": "https://a"}},
		"other issuer": {claims: object{"iss": "https://a/"}, config: object{"bound_issuer": "https://a"}, want: `iss: iss is "https://a/", and bound_issuer is "https://a"`},
		"no issuer":    {config: object{"bound_issuer": "https://a"}, want: "iss: the token has no iss", fix: "oidc_issuer"},

		"its subject":   {claims: object{"sub": "a"}, role: object{"bound_subject": "a"}},
		"other subject": {claims: object{"sub": "b"}, role: object{"bound_subject": "a"}, want: `sub: sub is "b", and bound_subject is "a"`},

		"one of the audiences":     {claims: object{"aud": []any{"x", "vault.io"}}},
		"other audience":           {claims: object{"aud": "other"}, want: `aud: aud is ["other"], and bound_audiences is ["vault.io"]`, fix: "vault write auth/jwt-nomad/role/workloads role_type=jwt bound_audiences=vault.io,other"},
		"an audience for a shell":  {claims: object{"aud": "$(reboot)"}, want: "aud: ", fix: "bound_audiences=vault.io,AUDIENCE"},
		"no audience":              {claims: object{"aud": nil}, want: "aud: aud is []"},
		"no audience, none bound":  {claims: object{"aud": nil}, role: object{"bound_audiences": nil}},
		"empty list, none bound":   {claims: object{"aud": []any{}}, role: object{"bound_audiences": nil}},
		"an audience, none bound":  {role: object{"bound_audiences": nil}, want: `aud: aud is ["vault.io"], and the role has no bound_audiences`, fix: "bound_audiences=vault.io"},
		"AUD, none bound":          {claims: object{"aud": nil, "AUD": "x"}, role: object{"bound_audiences": nil}},
		"an audience by its glob":  {role: object{"bound_audiences": []any{"vault*"}}, want: "aud: "},
		"another, of a glob role":  {claims: object{"aud": "other"}, role: object{"bound_claims_type": "glob"}, want: "aud: ", fix: "role_type=jwt bound_claims_type=glob"},
		"audience differs by case": {claims: object{"aud": "Vault.io"}, want: "aud: "},

		"expired within the leeway": {claims: times(at(-skew), at(-time.Hour), at(-time.Hour))},
		"expired beyond it":         {claims: times(at(-skew-time.Second), at(-time.Hour), at(-time.Hour)), want: "time: expired at 2026-11-22 11:58:59 UTC, 1m1s ago, beyond the 1m0s", fix: "fresh"},
		"expired, no leeway":        {claims: times(at(-time.Second), nil, nil), role: object{"clock_skew_leeway": number(-1)}, want: "time: expired at"},
		"expiring, no leeway":       {claims: times(at(0), nil, nil), role: object{"clock_skew_leeway": number(-1)}},
		"expired, a longer leeway":  {claims: times(at(-2*skew), nil, nil), role: object{"clock_skew_leeway": number(120)}},
		// The leeway named for it isn't for an exp that is there.
		"expired, expiration_leeway": {claims: times(at(-2*skew), nil, nil), role: object{"expiration_leeway": number(3600)}, want: "time: expired at"},
		"early within the leeway":    {claims: times(at(time.Hour), at(skew), at(0))},
		"early beyond it":            {claims: times(at(time.Hour), at(skew+time.Second), at(0)), want: "time: not valid before 2026-11-22 12:01:01 UTC, 1m1s from now", fix: "NTP"},
		"early, not_before_leeway":   {claims: times(at(time.Hour), at(2*skew), at(0)), role: object{"not_before_leeway": number(3600)}, want: "time: not valid before"},
		"issued in the future":       {claims: times(at(time.Hour), at(0), at(skew+time.Second)), want: "time: issued at"},
		"iat alone, in the future":   {claims: times(nil, nil, at(skew+time.Second)), want: "time: not valid before"},
		"no exp, young":              {claims: times(nil, nil, at(-150*time.Second-skew))},
		"no exp, old":                {claims: times(nil, nil, at(-151*time.Second-skew)), want: "time: it has no exp, and so expired at", fix: "expiration_leeway"},
		"no exp, expiration_leeway":  {claims: times(nil, nil, at(-time.Hour)), role: object{"expiration_leeway": number(3600)}},
		"no exp, none granted":       {claims: times(nil, nil, at(-skew-time.Second)), role: object{"expiration_leeway": number(-1)}, want: "time: it has no exp"},
		"no exp, from the later":     {claims: times(nil, at(-time.Minute), at(-time.Hour))},
		"exp alone, near":            {claims: times(at(150*time.Second+skew), nil, nil)},
		"exp alone, far":             {claims: times(at(151*time.Second+skew), nil, nil), want: "time: not valid before"},
		"exp alone, its leeway":      {claims: times(at(time.Hour), nil, nil), role: object{"not_before_leeway": number(3600)}},
		"no times":                   {claims: times(nil, nil, nil), want: "time: the token has none of exp, nbf and iat"},
		"a time of 0":                {claims: times(0, 0, 0), want: "time: the token has none of exp, nbf and iat"},

		"an age away":         {claims: times(5e18, at(0), at(0))},
		"beyond 64 bits":      {claims: times(1e19, at(0), at(0)), want: "time: expired at"},
		"from beyond 64 bits": {claims: times(at(time.Hour), 1e19, at(0))},
		"before the year 1":   {claims: times(at(time.Hour), -62135596800, nil)},
		"no exp, an old nbf":  {claims: times(nil, -5, nil), role: object{"clock_skew_leeway": number(int(now.Unix()) - 150)}},

		"no user claim":            {claims: object{"nomad_job_id": nil}, want: `user_claim: the token has no claim "/nomad_job_id"`, fix: "user_claim=CLAIM"},
		"a number as user claim":   {claims: object{"nomad_job_id": 5}, want: "user_claim: claim"},
		"an empty user claim":      {claims: object{"nomad_job_id": ""}, want: "user_claim: claim"},
		"a pointer not taken":      {role: object{"user_claim_json_pointer": false}, want: "user_claim: the token has no claim", fix: "user_claim_json_pointer=true"},
		"a pointer's very name":    {claims: object{"/a": "x"}, role: object{"user_claim": "/a", "user_claim_json_pointer": false}},
		"a plain user claim":       {role: object{"user_claim": "sub", "user_claim_json_pointer": false}},
		"a deep user claim":        {claims: object{"a": object{"b/c": []any{"x", "y"}}}, role: object{"user_claim": "/a/b~1c/1"}},
		"too deep a user claim":    {claims: object{"a": object{"b": []any{"x"}}}, role: object{"user_claim": "/a/b/1"}, want: "user_claim: the token has no claim"},
		"a mapping without claim":  {role: object{"claim_mappings": object{"nothing": "m"}}},
		"a mapping of a number":    {claims: object{"n": 5}, role: object{"claim_mappings": object{"n": "m"}}, want: "claim_mappings: "},
		"groups":                   {claims: object{"g": []any{"a"}}, role: object{"groups_claim": "g"}},
		"one group":                {claims: object{"g": "a"}, role: object{"groups_claim": "g"}},
		"no groups":                {role: object{"groups_claim": "g"}, want: "groups_claim: the token has no claim"},
		"groups of numbers":        {claims: object{"g": []any{1}}, role: object{"groups_claim": "g"}, want: "groups_claim: claim"},
		"bound":                    {role: object{"bound_claims": object{"nomad_job_id": "mongo"}}},
		"bound to one of several":  {role: object{"bound_claims": object{"nomad_job_id": []any{"redis", "mongo"}}}},
		"bound to another":         {role: object{"bound_claims": object{"nomad_job_id": []any{"redis", "kafka"}}}, want: `bound_claims: claim "nomad_job_id" is "mongo", and it is bound to ["redis", "kafka"]`},
		"bound, and missing":       {role: object{"bound_claims": object{"nope": "x"}}, want: `bound_claims: the token has no claim "nope"`},
		"a list in the token":      {claims: object{"g": []any{"a", "b"}}, role: object{"bound_claims": object{"g": "b"}}},
		"a glob taken by its word": {role: object{"bound_claims": object{"nomad_job_id": "mon*"}}, want: "bound_claims: "},
		"a glob":                   {role: object{"bound_claims_type": "glob", "bound_claims": object{"/nomad_job_id": "m*g?"}}, want: "bound_claims: "},
		"a glob that fits":         {role: object{"bound_claims_type": "glob", "bound_claims": object{"/nomad_job_id": []any{"x", "m*g*"}}}},
		"a number":                 {claims: object{"n": 5}, role: object{"bound_claims": object{"n": number(5)}}},
		"a number, cut":            {claims: object{"n": 5.7}, role: object{"bound_claims": object{"n": number(5)}}},
		"a number in a list":       {claims: object{"n": []any{5}}, role: object{"bound_claims": object{"n": number(5)}}, want: "bound_claims: "},
		"a number as text":         {claims: object{"n": 5}, role: object{"bound_claims": object{"n": "5"}}, want: "bound_claims: "},
		"true":                     {claims: object{"n": true}, role: object{"bound_claims": object{"n": true}}},
		"an object":                {claims: object{"n": object{}}, role: object{"bound_claims": object{"n": "x"}}, want: "bound_claims: claim"},
		"an object in a list":      {claims: object{"n": []any{object{}}}, role: object{"bound_claims": object{"n": []any{object{}}}}, want: "bound_claims: claim"},
		"null in both lists":       {claims: object{"n": []any{nil}}, role: object{"bound_claims": object{"n": []any{"x", nil}}}},
		"null in one list":         {claims: object{"n": []any{"y"}}, role: object{"bound_claims": object{"n": []any{"x", nil}}}, want: `bound_claims: claim "n" is "y", and it is bound to ["x", null]`},
		"an index in hexadecimal":  {claims: object{"a": []any{"x", "y"}}, role: object{"bound_claims": object{"/a/0x1": "y"}}},
		"an index in octal":        {claims: object{"a": []any{"x", "y"}}, role: object{"bound_claims": object{"/a/0_1": "y"}}},
		"an index of nothing":      {claims: object{"a": []any{"x", "y"}}, role: object{"bound_claims": object{"/a/": "x"}}},
		"an index below 0":         {claims: object{"a": []any{"x"}}, role: object{"bound_claims": object{"/a/-1": "x"}}, want: "bound_claims: the token has no claim"},
		"the policy root":          {role: object{"token_policies": []any{"nomad-workloads", " Root "}}, want: "policies: the role has the policy root", fix: "token_policies of auth/jwt-nomad/role/workloads"},
		"a policy that nobody has": {role: object{"token_policies": []any{"response-wrapping"}}, want: "policies: "},
		"an OIDC role":             {role: object{"role_type": "oidc"}, want: "role: "},
		"bound to addresses":       {role: object{"token_bound_cidrs": []any{"10.0.0.0/8"}}},
	} {
		t.Run(name, func(t *testing.T) {
			fields := fixture.Changed(object{"jwt_validation_pubkeys": []any{trust("eu-west", "k")}}, c.config)
			v, err := Verify(Verification{
				Token: signedBy(t, "k", "k", workload(c.claims)), Now: now, Path: "jwt-nomad",
				Config: mountconfig.New(fields), RoleName: "workloads", Role: nomadRole(c.role),
			})
			require.NoError(t, err)
			failed := fails(v)
			assert.Equal(t, len(failed) == 0, v.Accepted)
			assert.True(t, v.RoleChecked)
			if c.want == "" {
				require.Empty(t, failed)
				return
			}
			require.Len(t, failed, 1)
			assert.True(t, strings.HasPrefix(failed[0], c.want), failed[0])
			assert.Contains(t, findingsOf(v), c.fix)
		})
	}
}

func TestVerifyKey(t *testing.T) {
	skipped := func(r jwks.Result, kid string) jwks.Result {
		r.Set.Skipped = append(r.Set.Skipped, &jwks.KeyError{KeyID: kid, Reason: jwks.ReasonSize, Detail: "1024 bits"})
		return r
	}
	east := []string{"us-east"}
	for name, c := range map[string]struct {
		signer, kid string // kid: signer where it is ""
		trusted     []string
		want        plan.Desired
		options     vaultsync.Options
		miss        Miss
		words       []string // of the findings
		cluster     string   // of plan.Key
	}{
		"trusted": {signer: "a", trusted: []string{trust("us-east/r1", "b"), trust("us-east/r1", "a")},
			cluster: "us-east", words: []string{"ok key: signed by kid a of us-east/r1 (" + fingerprint("a").Short() + "), trusted"}},
		"trusted, under another kid": {signer: "a", kid: "zzz", trusted: []string{trust("us-east", "a")},
			cluster: "us-east", words: []string{"note key: the token names kid zzz; Vault passes over that"}},
		"foreign": {signer: "a", trusted: []string{paste("a")}, words: []string{"signed by a key without a kid", "note key: the key is foreign"}},
		"in retention": {signer: "a", trusted: []string{trust("us-east", "a", missing(now.Add(-time.Minute)))},
			cluster: "us-east", words: []string{"in its retention period"}},
		"trusted and dropped": {signer: "a", trusted: []string{trust("us-east", "a"), trust("us-east", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{publish("us-east", "b")}},
			cluster: "us-east", words: []string{"no longer published: the next sync removes it"}},
		"trusted and denied": {signer: "a", trusted: []string{trust("us-east", "a"), trust("us-east", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{publish("us-east", "a", "b")}},
			options: vaultsync.Options{Deny: []pem.Fingerprint{fingerprint("a")}}, cluster: "us-east", words: []string{"the key is denied: the next sync removes it"}},

		"published, not yet trusted": {signer: "a", trusted: []string{trust("us-east", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{publish("us-east", "a", "b")}},
			miss: MissNotTrusted, cluster: "us-east", words: []string{"fail key: signed by kid a, published by us-east, not yet trusted [run harvest sync]"}},
		"turnover": {signer: "a", trusted: []string{trust("us-east", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{publish("us-east", "a")}},
			miss: MissTurnover, cluster: "us-east", words: []string{"-allow-turnover=us-east"}},
		"turnover allowed": {signer: "a", trusted: []string{trust("us-east", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{publish("us-east", "a")}},
			options: vaultsync.Options{AllowTurnover: east}, miss: MissNotTrusted, cluster: "us-east"},
		"denied": {signer: "a", trusted: []string{trust("us-east", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{publish("us-east", "a", "b")}},
			options: vaultsync.Options{Deny: []pem.Fingerprint{fingerprint("a")}}, miss: MissRefused, cluster: "us-east", words: []string{"published by us-east, and denied"}},
		"not pinned": {signer: "a", trusted: []string{trust("us-east", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{publish("us-east", "a", "b")}},
			options: vaultsync.Options{Pin: map[string][]pem.Fingerprint{"us-east": {fingerprint("b")}}}, miss: MissRefused, cluster: "us-east", words: []string{fingerprint("a").String()}},
		"retired": {signer: "a", trusted: []string{trust("us-east/r2", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{publish("us-east/r1", "a"), publish("us-east/r2", "b")}},
			options: vaultsync.Options{Retired: []string{"us-east/r1"}}, miss: MissRefused, cluster: "us-east", words: []string{"which is retired"}},
		"of a cluster of another mount": {signer: "a", trusted: []string{trust("us-east", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{publish("us-east", "b"), publish("eu-west", "a")}},
			miss: MissElsewhere, cluster: "eu-west", words: []string{"published by eu-west, a cluster that this mount isn't to trust"}},
		"refused": {signer: "x", kid: "weak", trusted: []string{trust("us-east", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{skipped(publish("us-east", "b"), "weak")}},
			miss: MissRefused, words: []string{"kid weak, which us-east publishes, and which is refused: size: 1024 bits"}},
		"forged, by a trusted kid": {signer: "x", kid: "b", trusted: []string{trust("us-east", "b")},
			miss: MissForged, words: []string{"it names kid b of us-east (" + fingerprint("b").Short() + "), trusted, which didn't sign it"}},
		"forged, by a published kid": {signer: "x", kid: "a", trusted: []string{trust("us-east", "b")}, want: plan.Desired{Clusters: east, Results: []jwks.Result{publish("us-east", "a", "b")}},
			miss: MissForged, words: []string{"published, which didn't sign it"}},
		"unknown, with clusters": {signer: "x", trusted: []string{trust("us-east", "b")}, want: plan.Desired{Clusters: []string{"us-east", "eu-west"}, Results: []jwks.Result{publish("us-east", "b"), down("eu-west")}},
			miss: MissUnknown, words: []string{"kid x isn't published by a cluster that was read", `of Nomad region "eu-west"`, "note key: could not be read:"}},
		"unknown, without": {signer: "x", trusted: []string{trust("us-east", "b")},
			miss: MissUnknown, words: []string{"it names kid x", "name its cluster"}},
		"a kid for a terminal": {signer: "x", kid: "\x1b[2J" + strings.Repeat("k", 300), trusted: []string{trust("us-east", "b")},
			miss: MissUnknown, words: []string{"it names kid  [2Jkkk"}},
		"an element that can't be read": {signer: "x", trusted: []string{"harvest", trust("us-east", "b")},
			miss: MissUnknown, words: []string{"note key: 1 of the trusted elements holds no key"}},
	} {
		t.Run(name, func(t *testing.T) {
			kid := c.kid
			if kid == "" {
				kid = c.signer
			}
			var planned *plan.Plan
			if len(c.want.Clusters) > 0 {
				o := c.options
				o.Now = now
				mount := &vaultsync.Mount{Path: "jwt-nomad", Store: elementList(c.trusted)}
				report, _ := mount.Plan(t.Context(), c.want, o)
				require.NoError(t, report.Err)
				planned = report.Plan
			}
			v, err := Verify(Verification{
				Token: signedBy(t, c.signer, kid, workload(nil)), Now: now, Path: "jwt-nomad",
				Config: config(c.trusted...), RoleName: "workloads", Role: nomadRole(nil), Want: c.want, Options: c.options, Plan: planned,
			})
			require.NoError(t, err)
			assert.Equal(t, c.miss, v.Miss)
			assert.Equal(t, c.miss == "", v.Accepted, findingsOf(v))
			for _, words := range c.words {
				assert.Contains(t, findingsOf(v), words)
			}
			if v.Key == nil {
				assert.Empty(t, c.cluster)
			} else {
				assert.Equal(t, c.cluster, v.Key.Cluster)
			}
			assert.NotContains(t, findingsOf(v), "\x1b")
		})
	}
}

func TestVerifyRole(t *testing.T) {
	token := signedBy(t, "a", "a", workload(nil))
	for name, c := range map[string]struct {
		config   object
		role     string
		roleErr  error
		accepted bool
		words    string
	}{
		"none named":        {words: "fail role: no role"},
		"of the mount":      {config: object{"default_role": "workloads"}, accepted: true, words: `note role: role "workloads" was not checked`},
		"in capitals":       {role: "WORKLOADS", accepted: true, words: `role "workloads"`},
		"that isn't there":  {role: "nope", roleErr: fmt.Errorf("x: %w", jwtrole.ErrNoRole), words: `fail role: the mount has no role "nope"`},
		"that is forbidden": {role: "r", roleErr: fmt.Errorf("x: %w", vaultsync.ErrForbidden), accepted: true, words: `Vault forbids it; that needs "read" on auth/jwt-nomad/role/r`},
		"that failed":       {role: "r", roleErr: errors.New("oh\x1b"), accepted: true, words: `was not checked: oh `},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := Verify(Verification{
				Token: token, Now: now, Path: "jwt-nomad", RoleName: c.role, RoleErr: c.roleErr,
				Config: mountconfig.New(fixture.Changed(object{"jwt_validation_pubkeys": []any{trust("eu-west", "a")}}, c.config)),
			})
			require.NoError(t, err)
			assert.Equal(t, c.accepted, v.Accepted)
			assert.False(t, v.RoleChecked)
			assert.Contains(t, findingsOf(v), c.words)
		})
	}
}

func TestVerifyMount(t *testing.T) {
	token := signedBy(t, "a", "a", workload(nil))
	_, err := Verify(Verification{Token: token})
	require.Error(t, err)
	_, err = Verify(Verification{Now: now})
	require.Error(t, err)
	_, err = Verify(Verification{Token: token, Now: now, Config: mountconfig.New(object{"jwks_url": "https://a"})})
	require.ErrorIs(t, err, vaultsync.ErrNotStaticKeys)
	v, err := Verify(Verification{Token: token, Now: now, RoleName: "r", Path: "jwt-nomad"})
	require.NoError(t, err)
	assert.False(t, v.Accepted)
	assert.Contains(t, findingsOf(v), "fail mount: the mount was never configured")
}

func TestVerifyClock(t *testing.T) {
	for name, c := range map[string]struct {
		skew     time.Duration
		exp      time.Duration
		accepted bool
		words    string
	}{
		"none worth a word": {skew: 1999 * time.Millisecond, exp: -time.Minute, accepted: true},
		"ahead":             {skew: 10 * time.Minute, exp: time.Minute, words: "note clock: Vault's clock is 10m0s ahead of this machine's"},
		"behind":            {skew: -10 * time.Minute, exp: -10 * time.Minute, accepted: true, words: "note clock: Vault's clock is 10m0s behind"},
	} {
		t.Run(name, func(t *testing.T) {
			past := now.Add(-time.Hour).Unix()
			v, err := Verify(Verification{
				Token: signedBy(t, "a", "a", workload(object{"exp": now.Add(c.exp).Unix(), "iat": past, "nbf": past})), Now: now, Skew: c.skew,
				Config: config(trust("us-east", "a")), RoleName: "workloads", Role: nomadRole(nil),
			})
			require.NoError(t, err)
			assert.Equal(t, c.accepted, v.Accepted, findingsOf(v))
			assert.Contains(t, findingsOf(v), c.words)
			assert.Equal(t, c.words != "", strings.Contains(findingsOf(v), "clock:"))
		})
	}
}

func TestVerifyOffline(t *testing.T) {
	result := publish("", "b", "a")
	verify := func(token *Token) *Verdict {
		v, err := Verify(Verification{Token: token, Now: now, Offline: true, Want: plan.Desired{Results: []jwks.Result{result}}})
		require.NoError(t, err)
		return v
	}
	v := verify(signedBy(t, "a", "a", workload(nil)))
	assert.True(t, v.Accepted, findingsOf(v))
	assert.False(t, v.RoleChecked)
	assert.Contains(t, findingsOf(v), "ok key: signed by kid a ("+fingerprint("a").Short()+"), published")
	assert.Contains(t, findingsOf(v), "note aud: [\"vault.io\"]; not compared without the role")
	v = verify(signedBy(t, "x", "a", workload(nil)))
	assert.Equal(t, MissForged, v.Miss)
	v = verify(signedBy(t, "x", "x", workload(nil)))
	assert.Equal(t, MissUnknown, v.Miss)
	assert.Contains(t, findingsOf(v), "no key that is published signed it")
	v = verify(signedBy(t, "a", "a", workload(object{"exp": now.Add(-time.Hour).Unix()})))
	assert.False(t, v.Accepted)
}

// A key that is too weak to be trusted may have signed the token all the same.
func TestVerifyWeakKey(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	token, err := parseToken([]byte(signToken(t, jose.RS256, weak, fmt.Sprintf(`{"exp":%d}`, now.Add(time.Hour).Unix()))))
	require.NoError(t, err)
	want := plan.Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{
		{Cluster: "us-east", Set: &jwks.Set{Keys: []jwks.Key{{KeyID: "key-1", Public: weak.Public()}}}},
	}}
	for name, offline := range map[string]bool{"on a mount": false, "of a key set alone": true} {
		t.Run(name, func(t *testing.T) {
			v, err := Verify(Verification{Token: token, Now: now, Config: config(trust("us-east", "a")), Want: want, Offline: offline})
			require.NoError(t, err)
			assert.Equal(t, MissRefused, v.Miss, findingsOf(v))
			assert.Contains(t, findingsOf(v), "not to be trusted: ")
			assert.Contains(t, findingsOf(v), "1024 bits")
		})
	}
}

// The JSON is documented: its names don't change.
func TestVerdictJSON(t *testing.T) {
	v, err := Verify(Verification{
		Token: signedBy(t, "a", "a", workload(nil)), Now: now, Path: "jwt-nomad", Config: config(trust("us-east", "b")),
		RoleName: "workloads", Role: nomadRole(nil), Want: plan.Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{publish("us-east", "a", "b")}},
	})
	require.NoError(t, err)
	v.Findings = v.Findings[1:2]
	got, err := json.Marshal(v)
	require.NoError(t, err)
	assert.JSONEq(t, `{"accepted": false, "role": "workloads", "role_checked": true, "miss": "not_trusted",
		"key": {"cluster": "us-east", "region": "", "kid": "a", "alg": "EdDSA", "sha256": "`+fingerprint("a").String()+`", "reason": ""},
		"findings": [{"check": "key", "outcome": "fail", "detail": "signed by kid a, published by us-east, not yet trusted", "fix": "run harvest sync"}]}`, string(got))
}

func TestGlobMatches(t *testing.T) {
	for pattern, texts := range map[string]struct{ yes, no []string }{
		"":      {yes: []string{""}, no: []string{"a"}},
		"*":     {yes: []string{"", "a"}},
		"**":    {yes: []string{"", "a"}},
		"a":     {yes: []string{"a"}, no: []string{"", "ab", "ba"}},
		"a*":    {yes: []string{"a", "ab"}, no: []string{"ba"}},
		"*a":    {yes: []string{"a", "ba"}, no: []string{"ab"}},
		"a*a":   {yes: []string{"aa", "aba"}, no: []string{"a", "ab"}},
		"a*b*c": {yes: []string{"abc", "axbxc", "abcbc"}, no: []string{"ac", "acb", "abcx"}},
		"*b*":   {yes: []string{"b", "abc"}, no: []string{"ac"}},
		"a?":    {yes: []string{"a?"}, no: []string{"ab"}},
	} {
		for _, text := range texts.yes {
			assert.True(t, jwtrole.GlobMatches(pattern, text), "%q %q", pattern, text)
		}
		for _, text := range texts.no {
			assert.False(t, jwtrole.GlobMatches(pattern, text), "%q %q", pattern, text)
		}
	}
}

// A token's entity may be others' too: that is noted, and fails nothing.
func TestVerifyNotesAliases(t *testing.T) {
	for name, test := range map[string]struct {
		role object
		keys []string // their owners
		says string
	}{
		"namespaces on one alias": {nil, nil, "workloads of every namespace with this nomad_job_id are one entity"},
		"of one namespace":        {object{"bound_claims": object{"nomad_namespace": "default"}}, nil, ""},
		"namespaces apart":        {object{"user_claim": "sub"}, nil, ""},
		"clusters of one region":  {object{"user_claim": "sub"}, []string{"b/eu-west"}, `clusters a, b share this mount: jobs of one namespace and name in regions called "eu-west"`},
		"clusters of two regions": {object{"user_claim": "/sub"}, []string{"b/us-east"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			elements := []string{trust("a/eu-west", "k1")}
			for _, owner := range test.keys {
				elements = append(elements, trust(owner, "k2"))
			}
			v, err := Verify(Verification{
				Token: signedBy(t, "k1", "k1", workload(nil)), Now: now, Config: config(elements...), Path: "jwt-nomad", RoleName: "workloads", Role: nomadRole(test.role),
			})
			require.NoError(t, err)
			assert.True(t, v.Accepted, "%v", fails(v))
			notes := ""
			for _, f := range v.Findings {
				if f.Check == "user_claim" && f.Outcome == OutcomeNote {
					notes += f.Detail
				}
			}
			assert.Contains(t, notes, test.says)
			assert.Equal(t, test.says == "", notes == "", notes)
		})
	}
}

// Vault compares a token's iss with bound_issuer alone. The configuration knows more.
func TestVerifyNotesAnotherIssuer(t *testing.T) {
	const ours = "https://issuer.example.com"
	for name, test := range map[string]struct {
		iss  any
		want string
	}{
		"the cluster's": {ours, ""},
		"another":       {ours + "/", `iss is "https://issuer.example.com/", and the issuer of "us-east", whose key signed it, is "https://issuer.example.com"`},
		"none":          {nil, "the token has no iss, and the issuer of"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := Verify(Verification{
				Token: signedBy(t, "a", "a", workload(object{"iss": test.iss})), Now: now, Config: config(trust("us-east", "a")),
				Issuers: map[string]string{"us-east": ours, "eu-west": "https://eu"},
			})
			require.NoError(t, err)
			var notes []string
			for _, f := range v.Findings {
				if f.Check == "iss" && f.Outcome == OutcomeNote {
					notes = append(notes, f.Detail)
				}
			}
			if test.want == "" {
				assert.Empty(t, notes)
				return
			}
			require.Len(t, notes, 1)
			assert.Contains(t, notes[0], test.want)
		})
	}
}

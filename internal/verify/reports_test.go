package verify

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// reported returns what there is to compare with a report's token, on the day on which it was made.
func reported(t *testing.T, token, config, role, keys string) Verification {
	t.Helper()
	parsed, err := parseToken(fixture.Report(t, token))
	require.NoError(t, err)
	v := Verification{Token: parsed, Now: parsed.IssuedAt.Add(time.Minute), Path: "jwt", Offline: config == ""}
	if config != "" {
		v.Config = mountconfig.New(fixture.Answered(t, config))
		v.Role, v.RoleName = jwtrole.New("app", fixture.Answered(t, role)), "app"
	}
	set, err := jwks.Parse(fixture.Report(t, keys))
	require.NoError(t, err)
	v.Want = plan.Desired{Clusters: []string{"a"}, Results: []jwks.Result{{Cluster: "a", Set: set}}}
	return v
}

// An issuer with numbers for key IDs writes them into tokens too, and Vault's library reads texts
// there alone. Its tokens aren't cut off or changed.
func TestReport08KidNumberInHeader(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signed := func(header string) error {
		parts := raw(header) + "." + raw(`{"sub":"a"}`)
		_, err := parseToken([]byte(parts + "." + raw(string(ed25519.Sign(key, []byte(parts))))))
		return err
	}
	for header, words := range map[string]string{
		`{"alg":"EdDSA","kid":1}`:                                 "the kid of its header is a number, and Vault, which wants a text there, refuses every such token",
		`{"alg":"EdDSA","kid":["1"]}`:                             "the kid of its header is a list",
		`{"alg":"EdDSA","nonce":true}`:                            "the nonce of its header is a boolean",
		`{"alg":256}`:                                             "the alg of its header is a number",
		`{"alg":"EdDSA","crit":["b64","exp"]}`:                    `the extension "exp", which must be understood (crit)`,
		`{"alg":"EdDSA","crit":"exp"}`:                            `the extension "exp"`,
		`{"alg":"EdDSA","crit":["` + canary + `more than fits"]}`: "must be understood",
	} {
		err := signed(header)
		require.ErrorIs(t, err, errToken, header)
		assert.Contains(t, err.Error(), words, header)
		assert.NotContains(t, err.Error(), "cut off")
	}
	require.NoError(t, signed(`{"alg":"EdDSA","kid":null,"nonce":null}`), "null is as good as absent")
	require.NoError(t, signed(`{"alg":"EdDSA","crit":["b64"],"b64":true}`), "Vault's library knows it")
}

// ADFS signs its access tokens under another name than that of its discovery document.
func TestReport17SecondIssuer(t *testing.T) {
	v, err := Verify(reported(t, "17-adfs-access.jwt", "17-mount-config.json", "17-adfs-role.json", "17-adfs-keys.json"))
	require.NoError(t, err)
	assert.True(t, v.Accepted, findingsOf(v))
}

// Microsoft hashes the nonce in the header of its own services' tokens before it signs them.
func TestReport19NonceOfMicrosoft(t *testing.T) {
	in := reported(t, "19-graph-nonce.jwt", "", "", "19-graph-keys.json")
	v, err := Verify(in)
	require.NoError(t, err)
	assert.False(t, v.Accepted)
	assert.Equal(t, MissService, v.Miss)
	assert.Contains(t, findingsOf(v), "made for a service of Microsoft's own")
	assert.NotContains(t, findingsOf(v), "forged")

	in.Token.Issuer = "https://keys.example.com/sts.windows.net/"
	v, err = Verify(in)
	require.NoError(t, err)
	assert.Equal(t, MissForged, v.Miss, "a nonce of somebody else's says nothing")
}

// GitLab writes numbers and booleans as texts, and its "sub" has as many parts as a Nomad's.
func TestReport20TextsAndNumbers(t *testing.T) {
	in := reported(t, "20-gitlab.jwt", "20-mount-config.json", "20-gitlab-role.json", "20-gitlab-keys.json")
	v, err := Verify(in)
	require.NoError(t, err)
	assert.Equal(t, []string{
		`bound_claims: claim "project_id" is "22", and it is bound to 22: the token has a text, the role a number, and Vault compares kinds too`,
		`bound_claims: claim "ref_protected" is "true", and it is bound to true: the token has a text, the role a boolean, and Vault compares kinds too`,
	}, fails(v))
	assert.Contains(t, findingsOf(v), `bound_claims have what the token has: "22"`)
	assert.NotContains(t, findingsOf(v), "Nomad")

	in.Role.Fields["bound_claims"] = object{"project_id": "22", "ref_protected": "true"}
	v, err = Verify(in)
	require.NoError(t, err)
	assert.True(t, v.Accepted, findingsOf(v))

	// The other way round, and what no way of writing mends.
	for name, c := range map[string]struct {
		claim, bound any
		globs        bool
		words        string
	}{
		"a number and a text": {22.0, "22", false, `is 22, and it is bound to "22": the token has a number, the role a text`},
		"a list of numbers":   {[]any{22.0}, []any{json.Number("22")}, false, "Vault never matches a number in a list"},
		"a glob":              {true, true, true, "Vault compares texts alone"},
		"others":              {"23", json.Number("22"), false, `is "23", and it is bound to 22`},
	} {
		in.Token.Claims["project_id"] = c.claim
		in.Role.Fields["bound_claims"] = object{"project_id": c.bound}
		in.Role.Fields["bound_claims_type"] = map[bool]string{false: "string", true: "glob"}[c.globs]
		v, err = Verify(in)
		require.NoError(t, err)
		require.Len(t, fails(v), 1, name)
		assert.Contains(t, fails(v)[0], c.words, name)
	}

	// What is said of a Nomad's tokens isn't said of others.
	in.Role = nomadRole(object{"user_claim": "sub", "bound_audiences": []any{"other"}})
	in.Now = in.Token.Expiry.Add(time.Hour)
	v, err = Verify(in)
	require.NoError(t, err)
	assert.NotContains(t, findingsOf(v), "agents")
	assert.NotContains(t, findingsOf(v), "Nomad")
}

// Cognito's access tokens have no "aud".
func TestReport21NoAudience(t *testing.T) {
	v, err := Verify(reported(t, "21-cognito-access.jwt", "21-mount-config.json", "21-cognito-role.json", "21-cognito-keys.json"))
	require.NoError(t, err)
	assert.True(t, v.Accepted, findingsOf(v))
	assert.Contains(t, findingsOf(v), "aud: none, and none is bound")
}

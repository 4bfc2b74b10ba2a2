package lint

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/discover"
	"github.com/jwksharvest/harvest/internal/fenced"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/jwks"
)

// reported returns a mount and a role of the shapes that people reported of their issuers.
func reported(t *testing.T, config, role string) Inspection {
	t.Helper()
	return Inspection{
		Now: now, Path: "jwt", Clusters: []string{"a"}, Config: mountconfig.New(fixture.Answered(t, config)),
		Roles: []*jwtrole.Role{jwtrole.New("app", fixture.Answered(t, role))},
	}
}

// discovered returns what an issuer says that serves a report's document.
func discovered(t *testing.T, name, path string) []discover.Discovery {
	t.Helper()
	document := string(fixture.Report(t, name))
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.ReplaceAll(document, "http://127.0.0.1:8911", server.URL)))
	}))
	t.Cleanup(server.Close)
	found := discover.All(t.Context(), []jwks.Cluster{{Name: "a", Sources: []jwks.Source{jwks.Issuer(server.URL+path, nil)}}})
	require.Len(t, found, 1)
	require.NoError(t, found[0].Err)
	return found
}

// issues is what an issuer says of its tokens that is no Nomad.
func issues(cluster, issuer string) discover.Discovery {
	return discover.Discovery{Cluster: cluster, Metadata: jwks.Metadata{Issuer: issuer}}
}

// problems returns "lint severity" of what is found.
func problems(t *testing.T, in Inspection) []string {
	t.Helper()
	found, err := Inspect(in)
	require.NoError(t, err)
	out := []string{}
	for _, p := range found {
		out = append(out, fmt.Sprintf("%s %s", p.Lint, p.Severity))
	}
	return out
}

// ADFS signs its access tokens under another name than that of its discovery document, and says so
// there. Entra doesn't; of what isn't known, nothing is certain.
func TestReport17SecondIssuer(t *testing.T) {
	in := reported(t, "17-mount-config.json", "17-adfs-role.json")
	in.Discovered = discovered(t, "17-adfs-discovery.json", "/adfs")
	require.Equal(t, "http://adfs.example.com/adfs/services/trust", in.Discovered[0].Metadata.AccessTokenIssuer)
	strangers := []string{"role_strangers warning"} // any application of the farm
	assert.Equal(t, strangers, problems(t, in))

	in.Config = withField(config(), "bound_issuer", in.Discovered[0].Metadata.AccessTokenIssuer)
	assert.Equal(t, strangers, problems(t, in))

	for issuer, other := range map[string]string{
		"https://login.microsoftonline.com/t1/v2.0": "https://sts.windows.net/t1/",
		"https://accounts.google.com":               "accounts.google.com",
	} {
		in.Discovered = []discover.Discovery{issues("a", issuer)}
		in.Roles[0].Fields["bound_claims"] = object{"iss": other, "sub": "x"}
		in.Config = config()
		assert.Empty(t, problems(t, in), issuer)
		in.Config = withField(config(), "bound_issuer", other)
		assert.Empty(t, problems(t, in), issuer)
		in.Config = withField(config(), "bound_issuer", "https://other.example.com")
		assert.Equal(t, []string{"bound_issuer warning"}, problems(t, in), issuer)
		in.Config = config()
		in.Roles[0].Fields["bound_claims"] = object{"iss": "https://other.example.com", "sub": "x"}
		found, err := Inspect(in)
		require.NoError(t, err)
		require.Len(t, found, 1)
		assert.Equal(t, LintRoleNobody, found[0].Lint)
		assert.Equal(t, SeverityWarning, found[0].Severity, "tokens of another kind may have it")
		assert.NotContains(t, found[0].Fix, "oidc_issuer", "which is Nomad's")
	}
}

// Cognito's access tokens have no "aud": an audience that is bound would lock them out.
func TestReport21NoAudience(t *testing.T) {
	in := reported(t, "21-mount-config.json", "21-cognito-role.json")
	in.Discovered = []discover.Discovery{issues("a", in.Config.BoundIssuer())}
	found, err := Inspect(in)
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, LintRoleAudience, found[0].Lint)
	assert.Equal(t, SeverityNote, found[0].Severity)
	assert.NotContains(t, found[0].Fix, "vault.io", "nobody asked for it")

	in.Discovered = nil // a file, a URL
	assert.Equal(t, []string{"role_audience warning"}, problems(t, in))

	in.Discovered = []discover.Discovery{says("a", in.Config.BoundIssuer())}
	assert.Equal(t, []string{"role_audience error"}, problems(t, in), "each of Nomad's tokens for Vault has one")

	in.Clusters = []string{"a", "b"}
	in.Discovered = append(in.Discovered, issues("b", in.Config.BoundIssuer()))
	assert.Contains(t, problems(t, in), "role_audience note")
	in.Roles = []*jwtrole.Role{nomadRole(object{"bound_audiences": nil, "bound_subject": "x"})}
	assert.Contains(t, problems(t, in), "role_audience error", "it asks for a claim of Nomad's")
}

// A role that binds the audience alone takes the tokens of every repository in the world.
func TestReport22Strangers(t *testing.T) {
	in := reported(t, "22-mount-config.json", "22-github-role.json")
	in.Discovered = discovered(t, "22-github-discovery.json", "/gha")
	in.Config = withField(config(), "bound_issuer", in.Discovered[0].Metadata.Issuer)
	assert.Equal(t, []string{"role_strangers warning"}, problems(t, in))

	const github, gitlab, entra = "https://token.actions.githubusercontent.com", "https://gitlab.com", "https://login.microsoftonline.com/t1/v2.0"
	for name, test := range map[string]struct {
		issuer, bound string // discovered, and bound_issuer
		role          object
		want          string // the severity
	}{
		"GitHub":                       {github, github, nil, "error"},
		"GitHub, the mount says so":    {"", github, nil, "error"},
		"GitHub, the role says so":     {"", "", object{"bound_claims": object{"iss": github}}, "error"},
		"an enterprise's":              {github + "/acme", "", nil, "error"},
		"an owner":                     {github, "", object{"bound_claims": object{"repository_owner_id": "1"}}, ""},
		"a subject":                    {github, "", object{"bound_subject": "repo:acme/app:ref:refs/heads/main"}, ""},
		"a subject's glob":             {github, "", object{"bound_claims": object{"sub": "repo:acme/*"}, "bound_claims_type": "glob"}, ""},
		"a glob of every owner":        {github, "", object{"bound_claims": object{"sub": "repo:*"}, "bound_claims_type": "glob"}, "error"},
		"a glob of the end":            {github, "", object{"bound_claims": object{"sub": "*:ref:refs/heads/main"}, "bound_claims_type": "glob"}, "error"},
		"a glob that begins so":        {github, "", object{"bound_claims": object{"repository": "acme*"}, "bound_claims_type": "glob"}, "error"},
		"one of two globs":             {github, "", object{"bound_claims": object{"sub": []any{"repo:acme/*", "*"}}, "bound_claims_type": "glob"}, "error"},
		"a star as it stands":          {github, "", object{"bound_claims": object{"repository": "*"}}, ""},
		"a branch":                     {github, "", object{"bound_claims": object{"ref": "refs/heads/main"}}, "error"},
		"another issuer":               {github, "", object{"bound_claims": object{"iss": "https://elsewhere.example.com"}}, ""},
		"Nomad's user claim":           {github, "", object{"user_claim": "nomad_job_id"}, ""},
		"GitLab.com":                   {gitlab, "", nil, "error"},
		"GitLab.com, a project":        {gitlab, "", object{"bound_claims": object{"project_id": "22"}}, ""},
		"a Nomad's in a file":          {"https://nomad.example.com", "", object{"claim_mappings": object{"nomad_job_id": "job"}}, ""},
		"GitHub, a Nomad's mappings":   {github, "", object{"claim_mappings": object{"nomad_job_id": "job"}}, "error"},
		"GitLab of one's own":          {"https://gitlab.example.com", "", nil, "warning"},
		"of one's own, a branch":       {"https://gitlab.example.com", "", object{"bound_claims": object{"ref": "main"}}, ""},
		"of one's own, anything":       {"https://gitlab.example.com", "", object{"bound_claims": object{"sub": "*"}, "bound_claims_type": "glob"}, "warning"},
		"Entra's keys, of any tenant":  {entra, "", nil, "error"},
		"Entra's keys, of one tenant":  {entra, entra, nil, "warning"},
		"Entra, the role binds tenant": {entra, "", object{"bound_claims": object{"iss": entra}}, "warning"},
		"Entra, one application":       {entra, entra, object{"bound_claims": object{"azp": "x"}}, ""},
		"CircleCI":                     {"https://oidc.circleci.com/org/1", "", nil, "error"},
		"HCP Terraform":                {"https://app.terraform.io", "", object{"bound_claims": object{"terraform_run_phase": "apply"}}, "error"},
		"Google":                       {"https://accounts.google.com", "", nil, "error"},
		"Google, an account":           {"https://accounts.google.com", "", object{"bound_claims": object{"email": "x@y.example"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := reported(t, "22-mount-config.json", "22-github-role.json")
			in.Config = withField(config(), "bound_issuer", test.bound)
			if test.issuer != "" {
				in.Discovered = []discover.Discovery{issues("a", test.issuer)}
			}
			maps.Copy(in.Roles[0].Fields, test.role)
			got := ""
			found, err := Inspect(in)
			require.NoError(t, err)
			for _, p := range found {
				if p.Lint == LintRoleStrangers {
					assert.Empty(t, got, "said twice")
					got = string(p.Severity)
				}
			}
			assert.Equal(t, test.want, got, "%+v", found)
		})
	}
}

// The address of a key set tells whose it is, where nothing says the issuer.
func TestStrangersByTheAddressOfTheKeySet(t *testing.T) {
	in := reported(t, "22-mount-config.json", "22-github-role.json")
	in.Config = withField(config(), "bound_issuer", "")
	in.KeysAt = map[string]string{"a": "https://token.actions.githubusercontent.com/.well-known/jwks"}
	assert.Contains(t, problems(t, in), "role_strangers error")
	in.KeysAt = map[string]string{"a": "https://keys.example.com/.well-known/jwks"}
	assert.NotContains(t, problems(t, in), "role_strangers error")
	in.KeysAt = map[string]string{"another": "https://token.actions.githubusercontent.com/.well-known/jwks"}
	assert.NotContains(t, problems(t, in), "role_strangers error")
}

// Each role of the page about issuers binds enough, at the issuer and on the mount of its section.
func TestRolesOfIssuersPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/issuers.md")
	require.NoError(t, err)
	bound := regexp.MustCompile(`bound_issuer = ("[^"]*")`)
	roles := 0
	for section := range strings.SplitSeq(string(page), "\n## ") {
		blocks, ok := fenced.Blocks(section)
		require.True(t, ok)
		name, _, _ := strings.Cut(section, "\n")
		issuer := ""
		for _, b := range blocks {
			if m := bound.FindStringSubmatch(b.Text); m != nil {
				require.NoError(t, json.Unmarshal([]byte(m[1]), &issuer))
			}
			if b.Language != "json" {
				continue
			}
			roles++
			var role object
			require.NoError(t, json.Unmarshal([]byte(b.Text), &role), name)
			d := issues("a", issuer)
			d.Nomad = issuer == ""
			found, err := Inspect(Inspection{
				Now: now, Path: "jwt", Clusters: []string{"a"}, Config: withField(config(), "bound_issuer", issuer),
				Discovered: []discover.Discovery{d}, Roles: []*jwtrole.Role{jwtrole.New("app", role)},
			})
			require.NoError(t, err)
			assert.False(t, slices.ContainsFunc(found, Problem.Bites), "%s: %+v", name, found)
		}
	}
	assert.Equal(t, 11, roles)
}

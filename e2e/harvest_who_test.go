//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/lab"
)

// nomadAPI sends one request to an agent and decodes the answer, unless out is nil.
func nomadAPI(ctx context.Context, n *lab.Nomad, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, n.Address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s %w", method, path, resp.Status, raw, err)
	}
	if text, ok := out.(*string); ok {
		*text = string(raw)
		return nil
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// identityIn returns a workload identity of a job in a namespace, which is made. The job ends at
// once.
func identityIn(t *testing.T, n *lab.Nomad, namespace, job string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	require.NoError(t, nomadAPI(ctx, n, http.MethodPut, "/v1/namespace/"+namespace, object{"Name": namespace}, nil))
	require.NoError(t, nomadAPI(ctx, n, http.MethodPut, "/v1/jobs?namespace="+namespace, object{"Job": object{
		"ID": job, "Name": job, "Namespace": namespace, "Type": "batch", "Datacenters": []string{"*"},
		"Meta": object{"again": time.Now().String()}, // else a second run changes nothing
		"TaskGroups": []object{{"Name": "group", "Tasks": []object{{
			"Name": "task", "Driver": "raw_exec",
			"Config":     object{"command": "/bin/sh", "args": []string{"-c", "cp secrets/nomad_vault.jwt local/identity"}},
			"Identities": []object{{"Name": "vault", "Audience": []string{"vault.io"}, "File": true, "TTL": time.Hour.Nanoseconds()}},
			"Resources":  object{"CPU": 20, "MemoryMB": 16},
		}}}},
	}}, nil))
	var allocs []struct {
		ID, ClientStatus string
		CreateIndex      uint64
	}
	newest := 0
	for index := 0; ; index++ {
		path := "/v1/job/" + url.PathEscape(job) + "/allocations?namespace=" + namespace
		require.NoError(t, nomadAPI(ctx, n, http.MethodGet, path, nil, &allocs))
		for i, a := range allocs {
			if a.CreateIndex > allocs[newest].CreateIndex {
				newest = i
			}
		}
		if len(allocs) > 0 && allocs[newest].ClientStatus == "complete" {
			break
		}
		// A blocking query would wait for the job's index, which the end of a task doesn't change.
		select {
		case <-ctx.Done():
			require.NoError(t, ctx.Err(), "%+v\n%s", allocs, n.Log())
		case <-time.After(100 * time.Millisecond):
		}
	}
	var jwt string
	require.NoError(t, nomadAPI(ctx, n, http.MethodGet, "/v1/client/fs/cat/"+allocs[newest].ID+"?namespace="+namespace+"&path=task/local/identity", nil, &jwt))
	return strings.TrimSpace(jwt)
}

// loggedIn returns a client with the token of a login.
func loggedIn(t *testing.T, c *api.Client, path, role, jwt string) *api.Client {
	t.Helper()
	login, err := c.Logical().Write("auth/"+path+"/login", object{"role": role, "jwt": jwt})
	require.NoError(t, err)
	as, err := c.Clone()
	require.NoError(t, err)
	as.SetToken(login.Auth.ClientToken)
	as.SetMaxRetries(0)
	return as
}

// reads reports whether a client may read a secret.
func reads(c *api.Client, secret string) bool {
	read, err := c.Logical().Read("secret/data/" + secret)
	return err == nil && read != nil
}

// shell runs commands that harvest printed, with the lab's vault on the PATH.
func shell(t *testing.T, v *lab.Vault, script string) {
	t.Helper()
	binaries, err := lab.Find(lab.PairFromEnv())
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Env = []string{
		"VAULT_ADDR=" + v.Address, "VAULT_TOKEN=" + v.RootToken, "HOME=" + t.TempDir(),
		"PATH=" + filepath.Dir(binaries.Vault) + ":" + filepath.Dir(harvestCommand) + ":" + os.Getenv("PATH"),
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, out)
}

// crossed logs in from the first namespace, the second and the first again, as restarts do, and
// reports whether a token of one read the other's secret, or lost its own.
func crossed(t *testing.T, c *api.Client, path string, roles, jwts, secrets [2]string) (stole, lost bool) {
	t.Helper()
	var tokens []*api.Client
	var of []int
	for _, i := range []int{0, 1, 0} {
		tokens, of = append(tokens, loggedIn(t, c, path, roles[i], jwts[i])), append(of, i)
		for k, token := range tokens {
			stole = stole || reads(token, secrets[1-of[k]])
			lost = lost || !reads(token, secrets[of[k]])
		}
	}
	return stole, lost
}

// Jobs of one name in two namespaces stay apart in any order of logins; under the user_claim of
// nomad setup vault they didn't.
func TestNamespacesApart(t *testing.T) {
	c := vault2.Client()
	env := []string{"VAULT_ADDR=" + vault2.Address, "VAULT_TOKEN=" + vault2.RootToken}
	setup := func(mount string, more ...string) {
		t.Helper()
		args := append([]string{"setup", "-y", "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", mount}, more...)
		require.Zero(t, harvest(t, env, args...).code)
	}
	const job = "payroll"
	jwts := map[string]string{}
	for _, namespace := range []string{"prod", "sandbox", "Prod"} {
		jwts[namespace] = identityIn(t, west, namespace, job)
		putSecret(t, c, namespace+"/"+job)
	}
	pair := func(path string, roles [2]string, first, second string) (stole, lost bool) {
		return crossed(t, c, path, roles, [2]string{jwts[first], jwts[second]}, [2]string{first + "/" + job, second + "/" + job})
	}
	same := [2]string{"nomad-workloads", "nomad-workloads"}

	setup("jwt-apart")
	stole, lost := pair("jwt-apart", same, "prod", "sandbox")
	assert.False(t, stole, "a token read the other namespace's secret")
	assert.False(t, lost, "a token lost its own")

	// What docs/trust-model.md says of the default: names that differ in case only are one entity.
	stole, lost = pair("jwt-apart", same, "prod", "Prod")
	assert.True(t, stole && lost, "Vault tells cases apart now: docs/trust-model.md says that it doesn't")

	// A role that is bound to one namespace holds whatever the alias says.
	const bound = "jwt-apart-bound"
	bounds := [2]string{"prod", "upper"}
	setup(bound, "-role", "prod", "-bound", "nomad_namespace=prod")
	setup(bound, "-role", "upper", "-bound", "nomad_namespace=Prod")
	stole, lost = pair(bound, bounds, "prod", "Prod")
	assert.False(t, stole || lost, "stole %t, lost %t", stole, lost)
	_, err := c.Logical().Write("auth/"+bound+"/login", object{"role": "upper", "jwt": jwts["prod"]})
	require.ErrorContains(t, err, "nomad_namespace")

	// The names of other namespaces' secrets aren't to be listed.
	token := loggedIn(t, c, "jwt-apart", "nomad-workloads", jwts["sandbox"])
	list, err := token.Logical().List("secret/metadata/sandbox")
	require.NoError(t, err)
	assert.Equal(t, []any{job}, list.Data["keys"])
	for _, path := range []string{"", "prod"} {
		_, err = token.Logical().List("secret/metadata/" + path)
		require.Error(t, err, path)
	}

	// The old role is what all this is against, and repair ends it for tokens from before, too.
	const old = "jwt-apart-old"
	setup(old, "-user-claim", "/nomad_job_id")
	stole, lost = pair(old, same, "prod", "sandbox")
	require.True(t, stole && lost, "this test no longer shows the leak")
	lintArgs := []string{"-cluster", "eu-west", "-nomad-address", west.Address, "-mount", old, "-ignore", "no_issuer"}
	assert.Equal(t, []string{"role_alias warning  nomad-workloads"}, linted(t, 3, env, lintArgs...))
	r := harvest(t, env, "verify", fixture.File(t, jwts["prod"]), "-mount", old, "-role", "nomad-workloads")
	assert.Zero(t, r.code)
	assert.Contains(t, r.stdout, "workloads of every namespace with this nomad_job_id are one entity")

	before := []*api.Client{loggedIn(t, c, old, "nomad-workloads", jwts["prod"]), loggedIn(t, c, old, "nomad-workloads", jwts["sandbox"])}
	entities := func() int {
		list, err := c.Logical().List("identity/entity-alias/id")
		require.NoError(t, err)
		mounts, err := c.Sys().ListAuth()
		require.NoError(t, err)
		n := 0
		for _, info := range list.Data["key_info"].(map[string]any) {
			if info.(map[string]any)["mount_accessor"] == mounts[old+"/"].Accessor {
				n++
			}
		}
		return n
	}
	require.Equal(t, 1, entities())
	args := []string{"setup", "-y", "-cluster", "eu-west", "-nomad-address", west.Address, "-mount", old}
	r = harvest(t, env, args...)
	require.Zero(t, r.code)
	var script strings.Builder
	plan, _, _ := strings.Cut(r.stdout, "\n  Done.") // what follows is for Nomad's configuration
	for line := range strings.Lines(plan) {
		if command, ok := strings.CutPrefix(line, "    "); ok && regexp.MustCompile(`^( |vault |done)`).MatchString(command) && !strings.Contains(command, " -> ") {
			script.WriteString(command)
		}
	}
	require.Contains(t, script.String(), "vault lease revoke -prefix auth/"+old+"/login\n")
	assert.True(t, reads(before[0], "sandbox/"+job), "a token from before keeps the old entity until it is ended")
	shell(t, vault2, script.String())
	for _, token := range before {
		for _, namespace := range []string{"prod", "sandbox"} {
			assert.False(t, reads(token, namespace+"/"+job), "a token from before lives")
		}
	}
	assert.Zero(t, entities(), "the old entities are removed")
	stole, lost = pair(old, same, "prod", "sandbox")
	assert.False(t, stole || lost, "stole %t, lost %t", stole, lost)
	shell(t, vault2, script.String()[strings.Index(script.String(), "vault list"):])
	assert.Equal(t, 2, entities(), "those of now stay")
	assert.Empty(t, linted(t, 0, env, lintArgs...))
	r = harvest(t, env, args...)
	require.Zero(t, r.code)
	assert.Contains(t, r.stdout, "Nothing to change.")
}

// Jobs that are called by Vault's wildcards: with job_prefix each reads what is its own or nothing,
// slashes in the names or not; without, docs/trust-model.md says what happens.
func TestJobNames(t *testing.T) {
	c := vault2.Client()
	env := []string{"VAULT_ADDR=" + vault2.Address, "VAULT_TOKEN=" + vault2.RootToken}
	key := fakenomad.NewKey("RS256")
	document, err := json.Marshal(object{"keys": []any{key.JWK()}})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "names.json")
	require.NoError(t, os.WriteFile(file, document, 0o600))
	setup := func(mount string, more ...string) {
		require.Zero(t, harvest(t, env, append([]string{"setup", "-y", "-cluster", "names", "-jwks-file", file, "-mount", mount}, more...)...).code)
	}
	setup("jwt-names", "-prefix", "plain")
	setup("jwt-names-apart", "-prefix", "apart", "-job-prefix", "job-")

	victims := []string{"payroll", "team/a", "team/b", "team/a/b"}
	place := func(layout, job string) string {
		if layout == "plain" {
			return "plain/prod/" + job + "/config"
		}
		return "apart/prod/job-" + job + "/job-" + job + "/config"
	}
	for _, job := range victims {
		putSecret(t, c, place("plain", job))
		putSecret(t, c, place("apart", job))
	}
	as := func(mount, job string) *api.Client {
		now := time.Now()
		return loggedIn(t, c, mount, "nomad-workloads", fakenomad.Sign(key, object{
			"aud": "vault.io", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "nomad_namespace": "prod", "nomad_job_id": job,
			"sub": "global:prod:" + job + ":group:task:vault_default",
		}))
	}
	attackers := []string{"*", "+", "pay*", "pay+", "team/*", "team/+", "+/+", "+/a", "*/a", "team/+/b", "team/a*", "+/+/+"}
	require.Len(t, attackers, 12)
	for _, job := range append(attackers, victims...) {
		token := as("jwt-names-apart", job)
		for _, victim := range victims {
			assert.Equal(t, job == victim, reads(token, place("apart", victim)), "%q reads %q's", job, victim)
			assert.False(t, reads(token, "apart/prod/job-"+victim+"/config"), "%q", job)
		}
	}
	got := map[string][]string{}
	for _, job := range append(attackers, victims...) {
		token := as("jwt-names", job)
		for _, victim := range victims {
			if reads(token, place("plain", victim)) {
				got[job] = append(got[job], victim)
			}
		}
	}
	assert.Equal(t, victims, got["*"], "the trust model says that it reads its whole namespace")
	assert.Equal(t, []string{"payroll"}, got["payroll"])

	// The one pair that isn't apart, as the trust model says.
	putSecret(t, c, place("apart", "a/job-a"))
	assert.True(t, reads(as("jwt-names-apart", "a"), place("apart", "a/job-a")))
}

// README's "From nothing" for one cluster and then for another, following whatever is printed: both
// clusters' jobs read their secrets.
func TestFromNothingTwice(t *testing.T) {
	v, err := lab.StartVault(t.Context(), lab.VaultOptions{})
	require.NoError(t, err)
	t.Cleanup(v.Stop)
	c := v.Client()
	env := []string{"VAULT_ADDR=" + v.Address, "VAULT_TOKEN=" + v.RootToken}
	clusters := map[string]*lab.Nomad{"us-east": east1, "eu-west": west}
	for _, name := range []string{"us-east", "eu-west"} {
		r := harvest(t, env, "setup", "-y", "-cluster", name, "-nomad-address", clusters[name].Address, "-mount", "jwt-"+name)
		for range 3 { // whatever is offered is done
			again := regexp.MustCompile(`(?m)^ +harvest (setup .*)$`).FindStringSubmatch(r.stderr)
			if again == nil {
				break
			}
			r = harvest(t, env, strings.Fields(again[1])...)
		}
		require.Zero(t, r.code)
	}
	for name, n := range clusters {
		jwt := identity(t, n)
		secret := "default/" + jobOf(t, jwt)
		putSecret(t, c, secret)
		assert.True(t, reads(loggedIn(t, c, "jwt-"+name, "nomad-workloads", jwt), secret), name)
	}
}

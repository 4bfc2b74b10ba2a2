package render

import (
	"bytes"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/vaultsync"
)

// What -print terraform writes is Terraform's syntax, its texts escaped.
func TestSetupTerraform(t *testing.T) {
	access := setup.Access{
		Policy: "p", Claims: map[string]string{"${evil}": "x"}, Bound: map[string]string{"sub": `%{ if true }"*`}, Prefix: "us-east",
	}
	s := &setup.Proposal{
		Plan: &setup.Plan{MountID: vaultsync.MountID{Path: "team/jwt", Namespace: "a/b"}, Steps: []setup.Step{
			{Kind: setup.StepMount, Name: "team/jwt"},
			{Kind: setup.StepPolicy, Name: "p", Body: map[string]any{"policy": access.PolicyText(setup.PendingAccessor)}},
			{Kind: setup.StepRole, Name: "r", Body: access.RoleBody()},
		}},
		Want: setup.Setup{Access: []setup.Access{access}},
	}
	var text bytes.Buffer
	o := &Output{Output: terminal.Output{W: &text}}
	require.NoError(t, o.printTerraform(s, terraformNames{}))
	file, diags := hclsyntax.ParseConfig(text.Bytes(), "main.tf", hcl.InitialPos)
	require.False(t, diags.HasErrors(), "%v\n%s", diags, &text)
	resources := map[string]hclsyntax.Attributes{}
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		require.Len(t, b.Labels, 2)
		resources[b.Labels[0]] = b.Body.Attributes
	}
	assert.Len(t, resources, 3)
	role := resources["vault_jwt_auth_backend_role"]
	bound, diags := role["bound_claims"].Expr.Value(nil)
	require.False(t, diags.HasErrors(), diags)
	assert.Equal(t, `%{ if true }"*`, bound.AsValueMap()["sub"].AsString())
	policy := resources["vault_policy"]["policy"].Expr
	require.Len(t, policy.Variables(), 5, "the accessor, wherever it stands, and nothing else")
	for _, v := range policy.Variables() {
		assert.Equal(t, "vault_jwt_auth_backend", v.RootName())
	}
	assert.Contains(t, text.String(), "ignore_changes = [jwt_validation_pubkeys, jwt_supported_algs]")
}

// No two resources have one name, whatever their mounts, policies and roles are called; the first
// keeps its own.
func TestSetupTerraformNames(t *testing.T) {
	var text bytes.Buffer
	o := &Output{Output: terminal.Output{W: &text}}
	names := terraformNames{}
	access := setup.Access{Policy: "p"}
	for _, id := range []vaultsync.MountID{{Path: "a.b"}, {Path: "a_b"}, {Path: "a/b"}, {Path: "a_b", Namespace: "team"}, {Path: "a_b", Vault: "https://x"}} {
		s := setup.Plan{MountID: id}
		s.Steps = []setup.Step{
			{Kind: setup.StepMount, Name: s.Path},
			{Kind: setup.StepPolicy, Name: "p", Body: map[string]any{"policy": access.PolicyText(setup.PendingAccessor)}},
			{Kind: setup.StepRole, Name: "r.s", Body: access.RoleBody()},
			{Kind: setup.StepRole, Name: "r_s", Body: access.RoleBody()},
			{Kind: setup.StepPolicy, Name: "theirs", Action: setup.ActionRefuse, Taken: true, Foreign: "made for mount auth/x"},
		}
		require.NoError(t, o.printTerraform(&setup.Proposal{Plan: &s, Want: setup.Setup{Access: []setup.Access{access}}}, names))
	}
	file, diags := hclsyntax.ParseConfig(text.Bytes(), "main.tf", hcl.InitialPos)
	require.False(t, diags.HasErrors(), "%v\n%s", diags, &text)
	seen := map[string]bool{}
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		address := b.Labels[0] + "." + b.Labels[1]
		assert.NotContains(t, seen, address)
		seen[address] = true
	}
	assert.Len(t, seen, 20)
	assert.Contains(t, seen, "vault_jwt_auth_backend.a_b")
	assert.NotContains(t, text.String(), `"theirs"`, "an apply would take it from the other mount")
	assert.Contains(t, text.String(), "# policy theirs: made for mount auth/x and different: stays")
}

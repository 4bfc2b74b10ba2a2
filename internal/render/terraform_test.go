package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zclconf/go-cty/cty"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
	"github.com/jwksharvest/harvest/vaultsync/vaultsynctest"
)

// providerFields are the schemas of Terraform's providers, as far as we use them: the name of
// each field and its type.
type providerFields struct {
	Resource, Data map[string]struct {
		Required, Optional, Computed map[string]string
		Blocks                       map[string][]string
	}
}

// terraformModule collects what is wrong with a module's files.
type terraformModule struct {
	fields   providerFields
	declared map[string]string // an address (vault_policy.x, var.y) to its resource's type
	wrong    []string
}

// checkTerraform returns what terraform fmt or terraform validate would find wrong with a
// module: its formatting, its syntax, names and types of fields that the providers don't
// have, required ones that are missing, and references to nothing.
func checkTerraform(t *testing.T, files map[string][]byte) []string {
	t.Helper()
	m := &terraformModule{declared: map[string]string{}}
	text, err := os.ReadFile(filepath.Join("testdata", "terraform", "fields.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &m.fields))
	bodies := map[string]*hclsyntax.Body{}
	for name, text := range files {
		if !bytes.Equal(hclwrite.Format(text), text) {
			m.complain("%s is not formatted", name)
		}
		file, diags := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
		if diags.HasErrors() {
			m.complain("%s: %s", name, diags)
			continue
		}
		bodies[name] = file.Body.(*hclsyntax.Body)
		m.declare(bodies[name])
	}
	for _, body := range bodies {
		for _, b := range body.Blocks {
			m.checkBlock(b)
		}
		m.checkReferences(body)
	}
	return m.wrong
}

func (m *terraformModule) complain(format string, args ...any) {
	m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
}

func (m *terraformModule) declare(body *hclsyntax.Body) {
	for _, b := range body.Blocks {
		address := map[string]string{"resource": "", "variable": "var.", "data": "data."}
		prefix, ok := address[b.Type]
		if !ok {
			continue
		}
		name := prefix + strings.Join(b.Labels, ".")
		if _, twice := m.declared[name]; twice {
			m.complain("%s is there twice", name)
		}
		m.declared[name] = b.Labels[0]
	}
}

func (m *terraformModule) checkBlock(b *hclsyntax.Block) {
	what := b.Type + " " + strings.Join(b.Labels, ".")
	switch b.Type {
	case "terraform", "variable":
		return
	case "resource":
	default:
		m.complain("%s: not known here", what)
		return
	}
	fields, ok := m.fields.Resource[b.Labels[0]]
	if !ok {
		m.complain("%s: no such resource", what)
		return
	}
	for name := range fields.Required {
		if b.Body.Attributes[name] == nil {
			m.complain("%s: %s is missing", what, name)
		}
	}
	for name, a := range b.Body.Attributes {
		want, ok := fields.Required[name]
		if !ok {
			want, ok = fields.Optional[name]
		}
		switch {
		case name == "depends_on":
		case !ok:
			m.complain("%s: no such field: %s", what, name)
		case !fits(a.Expr, want):
			m.complain("%s: %s is no %s", what, name, want)
		}
	}
	for _, inner := range b.Body.Blocks {
		if inner.Type != "lifecycle" {
			m.complain("%s: no such block: %s", what, inner.Type)
			continue
		}
		for _, name := range inner.Body.Attributes["ignore_changes"].Expr.(*hclsyntax.TupleConsExpr).Exprs {
			field := name.Variables()[0].RootName()
			if fields.Optional[field] == "" && fields.Required[field] == "" {
				m.complain("%s: ignores changes of %s, which it doesn't have", what, field)
			}
		}
	}
}

// fits reports whether an expression is of a type, so far as can be seen without a run.
func fits(e hclsyntax.Expression, want string) bool {
	switch e := e.(type) {
	case *hclsyntax.TupleConsExpr:
		return want == "list"
	case *hclsyntax.ObjectConsExpr:
		return want == "map"
	case *hclsyntax.TemplateExpr:
		return want == "string"
	case *hclsyntax.FunctionCallExpr:
		return want == "string" && (e.Name == "file" || e.Name == "jsonencode")
	case *hclsyntax.ScopeTraversalExpr:
		return want == "string"
	case *hclsyntax.LiteralValueExpr:
		return want == map[cty.Type]string{cty.Number: "number", cty.Bool: "bool"}[e.Val.Type()]
	}
	return false
}

// checkReferences looks up what is referred to.
func (m *terraformModule) checkReferences(body *hclsyntax.Body) {
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		traversal, ok := n.(*hclsyntax.ScopeTraversalExpr)
		if !ok {
			return nil
		}
		var names []string
		for _, step := range traversal.Traversal {
			switch step := step.(type) {
			case hcl.TraverseRoot:
				names = append(names, step.Name)
			case hcl.TraverseAttr:
				names = append(names, step.Name)
			}
		}
		if len(names) < 2 { // a type of a variable, or a field in ignore_changes
			return nil
		}
		address := names[0] + "." + names[1]
		kind, ok := m.declared[address]
		if !ok {
			m.complain("no such thing: %s", address)
		}
		if fields, ok := m.fields.Resource[kind]; ok && len(names) > 2 {
			if fields.Required[names[2]]+fields.Optional[names[2]]+fields.Computed[names[2]] == "" {
				m.complain("%s has no %s", address, names[2])
			}
		}
		return nil
	})
}

// printedTerraform returns what -print terraform writes for a mount that isn't there yet.
func printedTerraform(t *testing.T, path, namespace string, access setup.Access) []byte {
	t.Helper()
	s := &setup.Proposal{
		Plan: &setup.Plan{MountID: vaultsync.MountID{Namespace: namespace, Path: path}, Steps: []setup.Step{
			{Kind: setup.StepMount, Name: path},
			{Kind: setup.StepPolicy, Name: "nomad-workloads", Body: map[string]any{"policy": access.PolicyText(setup.PendingAccessor)}},
			{Kind: setup.StepRole, Name: "nomad-workloads", Body: access.RoleBody()},
		}},
		Want: setup.Setup{Access: []setup.Access{access}},
	}
	return printTerraformOf(t, s)
}

func printTerraformOf(t *testing.T, s *setup.Proposal) []byte {
	t.Helper()
	var text bytes.Buffer
	o := &Output{Output: terminal.Output{W: &text}}
	require.NoError(t, o.printTerraform(s, terraformNames{}))
	return text.Bytes()
}

// Whatever is in a text, Terraform reads it back, but for its Unicode normalization.
func FuzzTerraformText(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c\n\t\r\x00", "${x} $${x} $$${x} %{x} %%{x} $ { %", "{$", "\u202e\ufeff\u2028", "\U000e0041\U0001f511", "e\u0301", "\xff", "${\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		expression, diags := hclsyntax.ParseExpression([]byte(terraformText(s)), "", hcl.InitialPos)
		require.False(t, diags.HasErrors(), diags)
		value, diags := expression.Value(nil)
		require.False(t, diags.HasErrors(), diags)
		require.Equal(t, cty.StringVal(string([]rune(s))).AsString(), value.AsString())
	})
}

const terraformExample = "../../examples/terraform"

func exampleTerraform(t *testing.T) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(terraformExample + "/*.tf")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	files := map[string][]byte{}
	for _, name := range names {
		files[filepath.Base(name)], err = os.ReadFile(name)
		require.NoError(t, err)
	}
	return files
}

func TestTerraformPrinted(t *testing.T) {
	for name, access := range map[string]setup.Access{
		"defaults": {},
		"all of it": {
			Policy: "p", Audiences: []string{"a", "b"}, Claims: map[string]string{"${evil}": "x"}, Bound: map[string]string{"sub": `%{ if true }"*`},
			Period: time.Hour, MaxTTL: 24 * time.Hour, KV: "kv", Prefix: "us-east",
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := printedTerraform(t, "team/jwt", "a/b", access)
			assert.Empty(t, checkTerraform(t, map[string][]byte{"main.tf": text}), "%s", text)
		})
	}
}

// A mount's keys are printed as it is to hold them, each an element, and its other settings as
// they are: an apply would change what others made, or trust but one of its clusters.
func TestTerraformPrintedKeys(t *testing.T) {
	first, second, pasted := fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA"), fakenomad.NewKey("EdDSA")
	text, err := pem.Encode(pasted.Public())
	require.NoError(t, err)
	current := mountconfig.New(map[string]any{
		"jwt_validation_pubkeys": []any{"EOT\n${evil} %{ if true }\" \x07\n" + string(text)},
		"default_role":           "theirs", "bound_issuer": "https://nomad.example.com", "jwt_supported_algs": []any{"EdDSA"},
	})
	publishes := func(cluster string, k *fakenomad.Key) jwks.Result {
		return jwks.Result{Cluster: cluster, Set: &jwks.Set{Keys: []jwks.Key{{KeyID: k.ID, Algorithms: []string{"EdDSA"}, Public: k.Public()}}}}
	}
	for name, test := range map[string]struct {
		current  mountconfig.Config
		role     string
		elements int
	}{
		"new":   {mountconfig.Config{}, "nomad-workloads", 2},
		"there": {current, "theirs", 3},
	} {
		t.Run(name, func(t *testing.T) {
			vault := vaultsynctest.New(t)
			target := vault.Mount("jwt-nomad")
			if !test.current.IsZero() {
				require.NoError(t, vault.Write("jwt-nomad", test.current.Fields))
			}
			report, err := target.Plan(t.Context(), plan.Desired{
				Clusters: []string{"a", "b"}, Results: []jwks.Result{publishes("a", first), publishes("b", second)},
			}, vaultsync.Options{DefaultRole: "nomad-workloads"})
			require.NoError(t, err)
			body, err := report.Config.With(report.Plan)
			require.NoError(t, err)
			text := printTerraformOf(t, &setup.Proposal{Plan: &setup.Plan{MountID: target.ID()}, Report: report})
			assert.Empty(t, checkTerraform(t, map[string][]byte{"main.tf": text}), "%s", text)
			file, diags := hclsyntax.ParseConfig(text, "main.tf", hcl.InitialPos)
			require.False(t, diags.HasErrors(), diags)
			mount := file.Body.(*hclsyntax.Body).Blocks[0].Body.Attributes
			value := func(field string) cty.Value {
				v, diags := mount[field].Expr.Value(nil)
				require.False(t, diags.HasErrors(), diags)
				return v
			}
			var keys []string
			for _, v := range value("jwt_validation_pubkeys").AsValueSlice() {
				keys = append(keys, v.AsString())
			}
			assert.Equal(t, mountconfig.New(body).Keys(), keys)
			assert.Len(t, keys, test.elements)
			assert.Equal(t, test.role, value("default_role").AsString())
			if algorithms := test.current.Algorithms(); len(algorithms) > 0 {
				assert.Equal(t, "EdDSA", value("jwt_supported_algs").AsValueSlice()[0].AsString())
			} else {
				assert.NotContains(t, mount, "jwt_supported_algs", "a new mount takes whatever its clusters sign with")
			}
			if issuer := test.current.BoundIssuer(); issuer != "" {
				assert.Equal(t, issuer, value("bound_issuer").AsString())
			}
		})
	}
}

// The provider divides a bound claim's value at its commas, and any of the parts then fits.
func TestTerraformPrintedComma(t *testing.T) {
	const off = "disable_bound_claims_parsing = true"
	text := printedTerraform(t, "jwt-nomad", "", setup.Access{Bound: map[string]string{"sub": "eu,west:*"}})
	assert.Empty(t, checkTerraform(t, map[string][]byte{"main.tf": text}), "%s", text)
	assert.Contains(t, string(text), off)
	text = printedTerraform(t, "jwt-nomad", "", setup.Access{Bound: map[string]string{"sub": "eu-west:*"}})
	assert.NotContains(t, string(text), off)
}

// Terraform refuses names that begin with a digit or a dash.
func TestTerraformNames(t *testing.T) {
	for path, want := range map[string]string{"jwt-nomad": "jwt-nomad", "team/jwt": "team_jwt", "9-jwt": "_9-jwt", "-jwt": "_-jwt"} {
		assert.Equal(t, want, terraformName(path))
	}
}

func TestTerraformExample(t *testing.T) {
	assert.Empty(t, checkTerraform(t, exampleTerraform(t)))
	_, diags := hclparse.NewParser().ParseHCLFile(terraformExample + "/mongo.nomad.hcl")
	assert.False(t, diags.HasErrors(), diags.Error())
}

// The example declares what harvest setup would make or print: the fields of the mount, the
// role and the policy have the same values.
func TestTerraformExampleAgrees(t *testing.T) {
	blocks := func(text []byte) map[string]map[string]cty.Value {
		file, diags := hclsyntax.ParseConfig(text, "main.tf", hcl.InitialPos)
		require.False(t, diags.HasErrors(), "%v", diags)
		context := &hcl.EvalContext{Variables: map[string]cty.Value{"vault_jwt_auth_backend": cty.ObjectVal(map[string]cty.Value{
			"jwt-nomad": cty.ObjectVal(map[string]cty.Value{"path": cty.StringVal("jwt-nomad"), "accessor": cty.StringVal("auth_jwt_1")}),
		})}}
		out := map[string]map[string]cty.Value{}
		for _, b := range file.Body.(*hclsyntax.Body).Blocks {
			values := map[string]cty.Value{}
			for name, a := range b.Body.Attributes {
				if name != "jwt_validation_pubkeys" { // file() is no function here
					value, diags := a.Expr.Value(context)
					require.False(t, diags.HasErrors(), "%v", diags)
					values[name] = value
				}
			}
			for _, inner := range b.Body.Blocks {
				values[inner.Type] = cty.StringVal(string(inner.Body.Attributes["ignore_changes"].SrcRange.SliceBytes(text)))
			}
			out[strings.Join(b.Labels, ".")] = values
		}
		return out
	}
	example := blocks(exampleTerraform(t)["auth.tf"])
	delete(example, "vault_policy.harvest")
	printed := blocks(printedTerraform(t, "jwt-nomad", "", setup.Access{KV: "kv"}))
	require.Len(t, example, len(printed))
	for address, want := range printed {
		require.Len(t, example[address], len(want), address)
		for name, value := range want {
			assert.True(t, value.RawEquals(example[address][name]), "%s.%s: %#v, not %#v", address, name, example[address][name], value)
		}
	}
}

// What the check must find.
func TestTerraformCheckRefuses(t *testing.T) {
	good := string(printedTerraform(t, "jwt-nomad", "", setup.Access{}))
	require.Empty(t, checkTerraform(t, map[string][]byte{"main.tf": []byte(good)}))
	for name, test := range map[string]struct{ old, with, want string }{
		"formatting":      {"default_role = ", "default_role  = ", "not formatted"},
		"syntax":          {"lifecycle {", "lifecycle", "Argument or block definition required"},
		"unknown field":   {"user_claim_json_pointer =", "user_claim_json_pointers =", "no such field: user_claim_json_pointers"},
		"computed field":  {"path         =", "accessor     =", "no such field: accessor"},
		"type":            {"= 1800", `= "30m"`, "token_period is no number"},
		"missing":         {`  role_name         = "nomad-workloads"` + "\n", "", "role_name is missing"},
		"reference":       {"vault_jwt_auth_backend.jwt-nomad.path", "vault_jwt_auth_backend.jwt-other.path", "no such thing"},
		"reference field": {"jwt-nomad.accessor", "jwt-nomad.accessors", "has no accessors"},
		"ignored field":   {"jwt_supported_algs]", "jwt_supported_alg]", "ignores changes of jwt_supported_alg"},
		"resource":        {`"vault_policy"`, `"vault_policies"`, "no such resource"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, test.old)
			bad := strings.ReplaceAll(good, test.old, test.with)
			assert.Contains(t, strings.Join(checkTerraform(t, map[string][]byte{"main.tf": []byte(bad)}), "\n"), test.want)
		})
	}
}

// Package schema_test holds the JSON Schemas beside it against what the command writes. It
// is in a module of its own, so that the validator is none of harvest's dependencies.
package schema_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/pem"
)

// names are all the schemas.
var names = []string{"config-validate", "pem", "plan", "setup", "status", "sync", "verify", "version"}

// read returns a schema as it is decoded.
func read(t *testing.T, name string) map[string]any {
	t.Helper()
	f, err := os.Open(name + ".json")
	require.NoError(t, err)
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	require.NoError(t, err)
	return doc.(map[string]any)
}

// objects calls f for each schema of an object within node; a member is at the path of its
// definition.
func objects(path string, node any, f func(path string, schema map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		if _, ok := node["properties"].(map[string]any); ok {
			f(path, node)
		}
		for name, inner := range node {
			objects(path+"/"+name, inner, f)
		}
	case []any:
		for _, inner := range node {
			objects(path, inner, f)
		}
	}
}

// compile returns the schema with every object closed: a reader may meet members of newer
// versions, but none may come without being documented.
func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	doc := read(t, name)
	objects("", doc, func(_ string, schema map[string]any) { schema["additionalProperties"] = false })
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource(name+".json", doc))
	compiled, err := c.Compile(name + ".json")
	require.NoError(t, err)
	return compiled
}

// world is the command beside a Vault and Nomads of the test's own.
type world struct {
	t            *testing.T
	dir, harvest string
	env          []string
	outputs      map[string][]any // of each schema
	schemas      map[string]*jsonschema.Schema
}

func newWorld(t *testing.T, vault *fakevault.Server) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), outputs: map[string][]any{}, schemas: map[string]*jsonschema.Schema{}}
	w.harvest = filepath.Join(w.dir, "harvest")
	build := exec.Command("go", "build", "-o", w.harvest, "./cmd/harvest")
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	w.env = []string{"HOME=" + w.dir, "VAULT_ADDR=" + vault.URL, "VAULT_TOKEN=" + fakevault.RootToken, "VAULT_MAX_RETRIES=0"}
	for _, name := range names {
		w.schemas[name] = compile(t, name)
	}
	return w
}

// file writes a file and returns its name.
func (w *world) file(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	require.NoError(w.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// run runs the command with -format json and wants that exit code, and a document of the schema.
func (w *world) run(schema string, code int, args ...string) any {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), w.harvest, append(args, "-format", "json")...)
	cmd.Env, cmd.Dir = w.env, w.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	require.Equal(w.t, code, cmd.ProcessState.ExitCode(), "%v: %s", args, &stderr)
	doc, err := jsonschema.UnmarshalJSON(&stdout)
	require.NoError(w.t, err, "%v", args)
	require.NoError(w.t, w.schemas[schema].Validate(doc), "%v", args)
	w.outputs[schema] = append(w.outputs[schema], doc)
	return doc
}

// member is one member of an object in a document, as its schema names it.
type member struct{ path, name string }

// members returns the members that the schema documents.
func members(schema map[string]any) map[member]bool {
	all := map[member]bool{}
	objects("", schema, func(path string, s map[string]any) {
		for name := range s["properties"].(map[string]any) {
			all[member{path, name}] = true
		}
	})
	return all
}

// seen notes the members of a document that holds to the schema at path.
func seen(root, schema map[string]any, path string, doc any, note map[member]bool) {
	if ref, ok := schema["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/$defs/")
		seen(root, root["$defs"].(map[string]any)[name].(map[string]any), "/$defs/"+name, doc, note)
		return
	}
	for _, one := range list(schema["oneOf"]) {
		if doc != nil {
			seen(root, one.(map[string]any), path+"/oneOf", doc, note)
		}
	}
	switch doc := doc.(type) {
	case []any:
		items, _ := schema["items"].(map[string]any)
		for _, item := range doc {
			seen(root, items, path+"/items", item, note)
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name, value := range doc {
			if inner, ok := properties[name].(map[string]any); ok {
				note[member{path, name}] = true
				seen(root, inner, path+"/properties/"+name, value, note)
			}
		}
	}
}

// severalAlgorithms returns the keys of a Nomad as a set in which each is there twice.
func severalAlgorithms(t *testing.T, nomad string) string {
	t.Helper()
	resp, err := http.Get(nomad + "/.well-known/jwks.json")
	require.NoError(t, err)
	defer resp.Body.Close()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&set))
	for _, key := range slices.Clone(set.Keys) {
		other := maps.Clone(key)
		other["alg"] = "PS256"
		set.Keys = append(set.Keys, other)
	}
	text, err := json.Marshal(set)
	require.NoError(t, err)
	return string(text)
}

func list(v any) []any { l, _ := v.([]any); return l }

const (
	role     = `{"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "/nomad_job_id", "user_claim_json_pointer": true}`
	aTooWeak = `{"keys": [{"kty": "RSA", "kid": "weak", "use": "sig", "n": "AQAB", "e": "AQAB"}]}`
)

// TestSchemas: what the command writes holds to its schema, and the schema documents
// nothing that it doesn't write.
func TestSchemas(t *testing.T) {
	vault := fakevault.New(t)
	east, west := fakenomad.New(t, "us-east"), fakenomad.New(t, "us-west")
	east.SetIssuer("https://nomad.east.example.com")
	w := newWorld(t, vault)
	vault.Enable("", "jwt-nomad", "jwt")
	writeRole := func(name string) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(role), &fields))
		_, err := vault.Client().Logical().Write("auth/jwt-nomad/role/"+name, fields)
		require.NoError(t, err)
	}
	one := []string{"-cluster", "us-east", "-nomad-address", east.URL, "-mount", "jwt-nomad"}
	with := func(command string, more ...string) []string {
		return slices.Concat([]string{command}, one, more)
	}
	both := w.file("harvest.hcl", `
cluster "us-east" { address = "`+east.URL+`" }
cluster "us-west" {
  address = "`+west.URL+`"
  regions = ["us-west"]
}
cluster "edge"    { jwks_file = "missing.json" }
cluster "weak"    { jwks_file = "`+w.file("weak.json", aTooWeak)+`" }
mount "jwt-nomad" {
  clusters = ["us-east", "us-west", "edge", "weak"]
  settle   = "100ms"
}
`)

	w.run("version", 0, "version")
	w.run("pem", 0, "pem", east.URL)
	w.run("pem", 0, "pem", "-annotate", "-cluster", "us-east", east.URL)
	w.run("plan", 0, with("plan")...)
	w.run("plan", 2, with("plan", "-detailed-exitcode")...)
	w.run("sync", 0, with("sync", "-settle", "100ms")...)
	w.run("sync", 0, with("sync")...)
	w.run("plan", 0, with("sync", "-dry-run")...)
	token := w.file("good.jwt", east.Region("").Token(fakenomad.Workload{}))
	writeRole("workloads")
	w.run("verify", 0, with("verify", "-role", "workloads", token)...)
	w.run("verify", 3, with("verify", "-role", "nobody", token)...)
	w.run("verify", 0, "verify", "-jwks", east.URL, token)

	// a key that isn't trusted yet, hand-made elements, clusters that can't be read
	east.Region("").Rotate("RS256")
	fresh := w.file("fresh.jwt", east.Region("").Token(fakenomad.Workload{}))
	w.run("verify", 3, with("verify", "-role", "workloads", fresh)...)
	w.run("verify", 3, "verify", "-mount", "jwt-nomad", "-role", "workloads", fresh)
	w.run("verify", 1, "verify", "-mount", "nowhere", fresh)
	w.run("status", 0, "status", "-mount", "jwt-nomad")
	w.run("status", 3, "status", "-config", both)
	w.run("status", 3, "status", "-config", both, "-lint")
	w.run("status", 1, "status", "-mount", "nowhere")
	w.run("plan", 3, "plan", "-config", both)
	w.run("plan", 1, "plan", "-cluster", "us-east", "-nomad-address", east.URL, "-mount", "nowhere")
	w.run("sync", 3, "sync", "-config", both)
	w.run("sync", 1, "sync", "-cluster", "us-east", "-nomad-address", east.URL, "-mount", "nowhere")
	east.Region("").Rebuild()
	w.run("plan", 3, with("plan")...)
	w.run("status", 3, with("status")...)
	w.run("sync", 3, with("sync")...)

	// what can be mended in ways that are told: a CA that isn't known, a mount in another mode
	unknown := httptest.NewUnstartedServer(http.NotFoundHandler())
	unknown.Config.ErrorLog = log.New(io.Discard, "", 0)
	unknown.StartTLS()
	defer unknown.Close()
	tls := []string{"-cluster", "tls", "-nomad-address", unknown.URL, "-mount", "jwt-nomad"}
	vault.Enable("", "jwt-url", "jwt")
	vault.SetConfig("", "jwt-url", map[string]any{"jwks_url": east.URL})
	url := []string{"-cluster", "us-east", "-nomad-address", east.URL, "-mount", "jwt-url"}
	for name, code := range map[string]int{"plan": 1, "status": 3, "sync": 1} {
		w.run(name, code, append([]string{name}, tls...)...)
		w.run(name, code, append([]string{name}, url...)...)
	}
	w.run("sync", 0, with("sync", "-allow-turnover", "-settle", "100ms")...)
	w.run("sync", 0, with("sync", "-quiet", "-deny", "sha256:"+strings.Repeat("0", 64), "-settle", "100ms", "-retired", "us-west")...)

	// setup: what isn't there, what is, what differs, and somebody else's
	w.run("setup", 0, "setup", "-cluster", "us-east", "-nomad-address", east.URL, "-mount", "jwt-new")
	w.run("setup", 0, "setup", "-cluster", "us-east", "-nomad-address", east.URL, "-mount", "jwt-new", "-y", "-settle", "100ms")
	w.run("setup", 0, "setup", "-cluster", "us-east", "-nomad-address", east.URL, "-mount", "jwt-new", "-period", "1h")
	old := east.Region("").Keys()
	east.Region("").Rebuild()
	w.run("setup", 3, "setup", "-cluster", "us-east", "-nomad-address", east.URL, "-mount", "jwt-new")
	east.Region("").Restore(0, old...)
	only, err := pem.FingerprintOf(old[0].Public())
	require.NoError(t, err)
	w.run("setup", 1, "setup", "-cluster", "us-east", "-nomad-address", east.URL, "-mount", "jwt-new", "-deny", only.String())
	w.run("setup", 0, "setup", "-cluster", "us-east", "-nomad-address", east.URL, "-mount", "jwt-new", "-kv-path", "none")
	writeRole("nomad-workloads")
	_, err = vault.Client().Logical().Write("auth/jwt-nomad/role/nomad-workloads", map[string]any{"role_type": "jwt", "token_num_uses": 1})
	require.NoError(t, err)
	w.run("setup", 3, with("setup")...)
	w.run("setup", 3, "setup", "-config", both)
	w.run("setup", 1, "setup", "-cluster", "us-east", "-nomad-address", east.URL, "-mount", "jwt-url")

	// one key, published as a member for each of two algorithms
	many := []string{"-cluster", "many", "-jwks-file", w.file("many.json", severalAlgorithms(t, east.URL)), "-mount", "jwt-many"}
	vault.Enable("", "jwt-many", "jwt")
	w.run("pem", 0, "pem", w.file("many.json", severalAlgorithms(t, east.URL)))
	stating := append(slices.Clone(many), "-default-role", "r", "-bound-issuer=", "-jwt-supported-algs", "RS256")
	w.run("plan", 0, append([]string{"plan"}, stating...)...)
	w.run("setup", 0, append([]string{"setup"}, many...)...)
	w.run("setup", 3, append([]string{"setup", "-policy", "nomad-workloads.jwt-new"}, many...)...) // another mount's
	w.run("sync", 0, append([]string{"sync", "-settle", "100ms"}, many...)...)
	w.run("status", 0, append([]string{"status"}, stating...)...)
	w.run("sync", 0, append([]string{"sync", "-settle", "100ms"}, stating...)...)
	w.run("verify", 3, append(append([]string{"verify"}, many...), w.file("many.jwt", east.Region("").Token(fakenomad.Workload{})))...)

	w.run("config-validate", 1, "config", "validate", "-config", both)
	w.run("config-validate", 0, "config", "validate", "-config", both, "-skip-files")
	w.run("config-validate", 1, "config", "validate", "-config", w.file("bad.hcl", "cluster \"a\" {\n  adress = \"x\"\n}\n"))

	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			require.NotEmpty(t, w.outputs[name])
			schema, written := read(t, name), map[member]bool{}
			for _, doc := range w.outputs[name] {
				seen(schema, schema, "", doc, written)
			}
			never := members(schema)
			for m := range written {
				assert.Contains(t, never, m)
				delete(never, m)
			}
			assert.Empty(t, slices.Collect(maps.Keys(never)), "documented, and written by none of the runs")
		})
	}
}

// TestSchemasRefuse: a schema tells what is amiss: a member that is missing, is unknown or
// is of another type.
func TestSchemasRefuse(t *testing.T) {
	const good = `{"version": "1.0.0", "commit": "", "date": "", "go": "go1.26.0"}`
	for name, doc := range map[string]string{
		"missing":      `{"version": "1.0.0", "commit": "", "date": ""}`,
		"unknown":      `{"version": "1.0.0", "commit": "", "date": "", "go": "go1.26.0", "more": 1}`,
		"another type": `{"version": 1, "commit": "", "date": "", "go": "go1.26.0"}`,
		"a pattern":    `{"version": "1.0.0", "commit": "", "date": "", "go": "1.26.0"}`,
	} {
		t.Run(name, func(t *testing.T) {
			schema := compile(t, "version")
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(doc))
			require.NoError(t, err)
			require.Error(t, schema.Validate(value))
			value, err = jsonschema.UnmarshalJSON(strings.NewReader(good))
			require.NoError(t, err)
			require.NoError(t, schema.Validate(value))
		})
	}
}

// TestSchemaFiles: the schemas are all tested, all described, and a definition that several
// of them have is one.
func TestSchemaFiles(t *testing.T) {
	files, err := filepath.Glob("*.json")
	require.NoError(t, err)
	var got []string
	for _, file := range files {
		got = append(got, strings.TrimSuffix(file, ".json"))
	}
	assert.Equal(t, names, got)
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	shared := map[string]any{}
	for _, name := range names {
		schema := read(t, name)
		assert.Equal(t, "https://json-schema.org/draft/2020-12/schema", schema["$schema"])
		assert.Contains(t, string(page), "["+schema["title"].(string)+"]("+name+".json)")
		objects("", schema, func(path string, s map[string]any) {
			assert.NotEmpty(t, s["description"], "%s%s", name, path)
			for _, required := range list(s["required"]) {
				assert.Contains(t, s["properties"], required, "%s%s", name, path)
			}
		})
		definitions, _ := schema["$defs"].(map[string]any)
		for _, def := range []string{"key", "failure"} {
			if definitions[def] == nil {
				continue
			}
			if shared[def] == nil {
				shared[def] = definitions[def]
			}
			assert.Equal(t, shared[def], definitions[def], "%s of %s", def, name)
		}
	}
}

// TestSchemaValues: where a schema lists values, they are those of the type in the code.
func TestSchemaValues(t *testing.T) {
	for kind, at := range map[string][]string{
		"Lint":       {"status", "problem", "lint"},
		"Severity":   {"status", "problem", "severity"},
		"Miss":       {"verify", "verdict", "miss"},
		"Outcome":    {"verify", "finding", "outcome"},
		"StepKind":   {"setup", "step", "kind"},
		"StepAction": {"setup", "step", "action"},
	} {
		t.Run(kind, func(t *testing.T) {
			properties := read(t, at[0])["$defs"].(map[string]any)[at[1]].(map[string]any)["properties"].(map[string]any)
			var listed []string
			for _, value := range list(properties[at[2]].(map[string]any)["enum"]) {
				listed = append(listed, value.(string))
			}
			assert.ElementsMatch(t, values(t, kind), listed)
		})
	}
}

// values returns those of the constants of one type, of which there is one in the code.
func values(t *testing.T, kind string) (all []string) {
	t.Helper()
	files, err := filepath.Glob("../../vaultsync/*.go")
	require.NoError(t, err)
	internal, err := filepath.Glob("../../internal/*/*.go")
	require.NoError(t, err)
	for _, file := range append(files, internal...) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			name, named := spec.Type.(*ast.Ident)
			value, literal := spec.Values[0].(*ast.BasicLit)
			if named && literal && name.Name == kind {
				text, err := strconv.Unquote(value.Value)
				require.NoError(t, err)
				all = append(all, text)
			}
			return true
		})
	}
	require.NotEmpty(t, all)
	return all
}

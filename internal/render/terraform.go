package render

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/internal/text"
)

// printTerraform writes resources of Vault's provider, as terraform fmt would. The keys stay
// harvest's: Terraform would undo each rotation.
func (o *Output) printTerraform(s *setup.Proposal, names terraformNames) error {
	name := names.of("vault_jwt_auth_backend", s.Path, s)
	var f terraformFile
	resource := func(kind, name string) {
		f.open(fmt.Sprintf("resource %q %q {", kind, name))
		if s.Namespace != "" {
			f.set("namespace", s.Namespace)
		}
	}
	resource("vault_jwt_auth_backend", name)
	f.set("path", s.Path)
	f.set("type", "jwt")
	if err := f.setMount(s); err != nil {
		return err
	}
	f.line("")
	f.open("lifecycle {")
	f.express("ignore_changes", "[jwt_validation_pubkeys, jwt_supported_algs]")
	f.close("}")
	f.close("}")
	for _, step := range s.Steps {
		if step.Action == setup.ActionRefuse { // an apply would overwrite it
			f.line("")
			f.line(fmt.Sprintf("# %s %s: %s", step.Kind, text.Escape(step.Name), text.Escape(refused(step))))
			continue
		}
		switch step.Kind {
		case setup.StepPolicy:
			policy := strings.NewReplacer("%{", "%%{", "${", "$${").Replace(fmt.Sprint(step.Body["policy"]))
			accessor := setup.PendingAccessor
			if s.Accessor != "" {
				accessor = s.Accessor
			}
			policy = strings.ReplaceAll(policy, "aliases."+accessor+".", "aliases.${vault_jwt_auth_backend."+name+".accessor}.")
			f.line("")
			resource("vault_policy", names.of("vault_policy", step.Name, s))
			f.set("name", step.Name)
			f.express("policy", "<<-EOT\n"+indent(policy, "    ")+"  EOT")
			f.close("}")
		case setup.StepRole:
			f.line("")
			resource("vault_jwt_auth_backend_role", names.of("vault_jwt_auth_backend_role", step.Name, s))
			f.express("backend", "vault_jwt_auth_backend."+name+".path")
			f.set("role_name", step.Name)
			for _, field := range slices.Sorted(maps.Keys(step.Body)) {
				f.set(field, step.Body[field])
			}
			if bound, ok := step.Body["bound_claims"].(map[string]any); ok && hasComma(bound) {
				f.express("disable_bound_claims_parsing", "true # else a comma makes several values of one, of which any would do")
			}
			f.close("}")
		}
	}
	o.Printf("%s", f.String())
	return nil
}

// setMount writes the mount's fields as they are to be, those that it has already as they
// are: else an apply would change what others made. The keys come by themselves.
func (f *terraformFile) setMount(s *setup.Proposal) error {
	var config mountconfig.Config
	if plan := s.Keys(); plan != nil {
		body, err := s.Report.Config.With(plan)
		if err != nil {
			return err
		}
		config = mountconfig.New(body)
	}
	f.set("default_role", cmp.Or(config.DefaultRole(), s.Want.DefaultRole()))
	if issuer := config.BoundIssuer(); issuer != "" {
		f.set("bound_issuer", issuer)
	}
	if algorithms := config.Algorithms(); len(algorithms) > 0 {
		f.set("jwt_supported_algs", algorithms)
	}
	f.line("")
	if len(config.Keys()) == 0 {
		f.line("# No cluster could be read. The keys come from files, one of them in each: harvest pem -annotate")
		f.line("# -cluster NAME -out DIR ADDRESS makes them. Vault refuses an empty list; harvest keeps the keys from then on.")
		f.express("jwt_validation_pubkeys", `[file("first-key.pem")]`)
		return nil
	}
	f.line("# Every key of the mount as of now, each an element of its own. They count when the mount is made: print")
	f.line("# them again before it is made again. From then on harvest keeps them.")
	f.open("jwt_validation_pubkeys = [")
	for _, element := range config.Keys() {
		f.line(terraformText(element) + ",")
	}
	f.close("]")
	return nil
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(by)
		}
		b.WriteString(line)
	}
	return b.String()
}

func hasComma(values map[string]any) bool {
	for _, value := range values {
		if strings.Contains(fmt.Sprint(value), ",") {
			return true
		}
	}
	return false
}

// terraformNames are the addresses of the resources that were printed.
type terraformNames map[string]bool

// of returns a name that no other resource of the kind has. The first of those that would have one
// name keeps it; others end with a digest of what they are, and keep that whatever is printed
// beside them.
func (n terraformNames) of(kind, text string, s *setup.Proposal) string {
	name, whole := terraformName(text), strings.Join([]string{s.Vault, s.Namespace, s.Path, text}, "\n")
	for n[kind+"."+name] {
		digest := sha256.Sum256([]byte(whole))
		name, whole = terraformName(text)+"_"+hex.EncodeToString(digest[:4]), whole+"\n"
	}
	n[kind+"."+name] = true
	return name
}

// terraformName makes a resource's name of a path: letters, digits, _ and -, the first a
// letter or _.
func terraformName(path string) string {
	if path != "" && (path[0] == '-' || path[0] >= '0' && path[0] <= '9') {
		path = "_" + path
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, path)
}

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/jwksharvest/harvest/vaultsync"
)

// printTerraform writes resources of Vault's provider, as terraform fmt would. The keys stay
// harvest's: Terraform would undo each rotation.
func (a *app) printTerraform(s *mountSetup) error {
	name := terraformName(s.Path)
	namespace := ""
	if s.Namespace != "" {
		namespace = fmt.Sprintf("namespace = %s\n", terraformText(s.Namespace))
	}
	settings, keys, err := s.terraformSettings()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "resource \"vault_jwt_auth_backend\" %q {\n%spath = %s\ntype = \"jwt\"\n%s\n%s\n"+
		"lifecycle {\nignore_changes = [jwt_validation_pubkeys, jwt_supported_algs]\n}\n}\n",
		name, namespace, terraformText(s.Path), settings, keys)
	for _, step := range s.Steps {
		resource := terraformName(step.Name)
		switch step.Kind {
		case vaultsync.StepPolicy:
			text := strings.NewReplacer("%{", "%%{", "${", "$${").Replace(fmt.Sprint(step.Body["policy"]))
			accessor := vaultsync.PendingAccessor
			if s.Accessor != "" {
				accessor = s.Accessor
			}
			text = strings.ReplaceAll(text, "aliases."+accessor+".", "aliases.${vault_jwt_auth_backend."+name+".accessor}.")
			fmt.Fprintf(&b, "\nresource \"vault_policy\" %q {\n%sname = %s\npolicy = <<-EOT\n%s  EOT\n}\n",
				resource, namespace, terraformText(step.Name), indent(text, "    "))
		case vaultsync.StepRole:
			fmt.Fprintf(&b, "\nresource \"vault_jwt_auth_backend_role\" %q {\n%sbackend = vault_jwt_auth_backend.%s.path\nrole_name = %s\n",
				resource, namespace, name, terraformText(step.Name))
			for _, field := range slices.Sorted(maps.Keys(step.Body)) {
				fmt.Fprintf(&b, "%s = %s\n", field, terraformValue(step.Body[field]))
			}
			if bound, ok := step.Body["bound_claims"].(map[string]any); ok && hasComma(bound) {
				b.WriteString("disable_bound_claims_parsing = true # else a comma makes several values of one, of which any would do\n")
			}
			b.WriteString("}\n")
		}
	}
	a.out.printf("%s", hclwrite.Format(b.Bytes()))
	return nil
}

// terraformSettings returns the mount's fields as they are to be, those that it has already as
// they are: else an apply would change what others made. The keys come by themselves.
func (s *mountSetup) terraformSettings() (settings, keys string, err error) {
	var config vaultsync.Config
	if plan := s.keys(); plan != nil {
		body, err := plan.Body()
		if err != nil {
			return "", "", err
		}
		config = vaultsync.NewConfig(body)
	}
	settings = "default_role = " + terraformText(cmp.Or(config.DefaultRole(), s.config.setup.DefaultRole())) + "\n"
	if issuer := config.BoundIssuer(); issuer != "" {
		settings += "bound_issuer = " + terraformText(issuer) + "\n"
	}
	if algorithms := config.Algorithms(); len(algorithms) > 0 {
		settings += "jwt_supported_algs = " + terraformValue(algorithms) + "\n"
	}
	if len(config.Keys()) == 0 {
		return settings, "# No cluster could be read. The keys come from files, one of them in each: harvest pem -annotate\n" +
			"# -cluster NAME -out DIR ADDRESS makes them. Vault refuses an empty list; harvest keeps the keys from then on.\n" +
			"jwt_validation_pubkeys = [file(\"first-key.pem\")]\n", nil
	}
	keys = "# Every key of the mount as of now, each an element of its own. They count when the mount is made: print\n" +
		"# them anew before it is made anew. From then on harvest keeps them.\njwt_validation_pubkeys = [\n"
	for _, element := range config.Keys() {
		keys += terraformText(element) + ",\n"
	}
	return settings, keys + "]\n", nil
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

// terraformText returns a text as Terraform reads it back, whatever is in it.
func terraformText(s string) string {
	return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes())
}

func terraformValue(v any) string {
	switch v := v.(type) {
	case string:
		return terraformText(v)
	case []string:
		var all []string
		for _, s := range v {
			all = append(all, terraformText(s))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case map[string]string:
		object := map[string]any{}
		for k, s := range v {
			object[k] = s
		}
		return terraformValue(object)
	case map[string]any:
		if len(v) == 0 {
			return "{}"
		}
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(&b, "    %s = %s\n", terraformText(k), terraformValue(v[k]))
		}
		return "{\n" + b.String() + "  }"
	}
	return fmt.Sprint(v)
}

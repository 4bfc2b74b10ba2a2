package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// setupSigns are the signs before a step, those of a plan.
var setupSigns = map[setup.StepAction]string{
	setup.ActionCreate: signAdd, setup.ActionChange: signAdopt, setup.ActionKeep: signKeep, setup.ActionRefuse: signFailed,
}

// Setups writes what is to be done to each mount, and what shape that is.
func (o *Output) Setups(setups []*setup.Proposal, now time.Time) {
	for i, s := range setups {
		if i > 0 {
			o.Printf("\n")
		}
		o.printSetup(s, now)
	}
	shared := slices.ContainsFunc(setups, func(s *setup.Proposal) bool { return len(s.Target.Clusters) > 1 })
	if !shared && len(setups) > 1 {
		o.Printf("\n")
		o.Paragraph("", "A mount for each cluster: no cluster can act for another's jobs. Each cluster's Nomad names its own "+
			"mount in its vault block (jwt_auth_backend_path).")
	}
}

func (o *Output) printSetup(s *setup.Proposal, now time.Time) {
	o.Heading("mount", text.Escape(s.String()))
	var rows []row
	for _, step := range s.Steps {
		rows = append(rows, row{sign: setupSigns[step.Action], owner: string(step.Kind), kid: text.Escape(step.Name), text: text.Escape(stepText(step))})
		for _, c := range step.Changes {
			if step.Action != setup.ActionCreate && c.Field != "policy" {
				rows = append(rows, row{sign: " ", text: text.Escape(c.Field + ": " + changeText(c)), wide: true})
			}
		}
		for _, c := range step.Narrower {
			rows = append(rows, row{sign: " ", text: text.Escape(narrowerText(c)), wide: true})
		}
	}
	o.printRows(rows)
	if keys := s.Keys(); keys != nil {
		o.Printf("\n")
		o.printRows(planRows(keys, now))
		for _, f := range keys.Failed { // nothing was tried yet, so that stderr has none of it
			o.Say(text.Escape(f.AsError().Error()))
		}
		if len(keys.Warnings) > 0 {
			o.Printf("\n")
			o.warnings(keys.Warnings)
		}
	}
	if s.Failure == nil && !s.HasChanges() {
		o.Printf("\n  Nothing to change.\n")
	}
	if len(s.Warnings) > 0 {
		o.Printf("\n")
		o.warnings(s.Warnings)
	}
	o.explainReaders(s)
	o.explainRepair(s)
	o.explainShape(s)
}

func changeText(c plan.Change) string { return orNothing(c.Before) + " -> " + orNothing(c.After) }

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// stepText says what a step does.
func stepText(s setup.Step) string {
	what := map[setup.StepKind]string{
		setup.StepMount:  "JWT auth method",
		setup.StepPolicy: "a job reads its own secrets",
		setup.StepRole:   "for workload identities",
	}[s.Kind]
	switch s.Action {
	case setup.ActionCreate:
		return what + ", to be made"
	case setup.ActionChange:
		if s.Foreign != "" {
			return what + ", " + s.Foreign + ", to be overwritten"
		}
		return what + ", to be repaired"
	case setup.ActionRefuse:
		return what + ", " + refused(s)
	}
	return what + ", as it should be"
}

// refused says why a step isn't taken.
func refused(s setup.Step) string {
	switch {
	case s.Taken:
		return s.Foreign + " and different: stays (it needs another name here)"
	case s.Foreign == "" && s.Kind == setup.StepPolicy:
		return "whose role is refused: isn't made"
	case s.Foreign == "":
		return "whose policy is refused: stays as it is"
	}
	return s.Foreign + " and different: stays (-overwrite changes it)"
}

// explainShape says what it means that several clusters share a mount, and what to do about it.
func (o *Output) explainShape(s *setup.Proposal) {
	clusters := s.Target.Clusters
	if len(clusters) < 2 {
		return
	}
	o.Printf("\n")
	o.Paragraph("  ", fmt.Sprintf("%d clusters share this mount. ", len(clusters))+oneEntity(s))
	bound := slices.ContainsFunc(s.Want.Access, func(v setup.Access) bool { return len(v.Bound) > 0 })
	if !bound {
		o.Printf("\n  What keeps them apart is a mount for each:\n\n")
		for _, name := range clusters {
			o.Printf("    mount %q { clusters = [%q] }\n", s.Path+"-"+name, name)
		}
		o.Printf("\n")
		o.Paragraph("  ", "or, against mistakes alone, a role for each, bound on the issuer or the region, with secrets of its own:")
		o.Printf("\n")
		for _, name := range clusters {
			region, known := s.Regions[name]
			if !known {
				region = "REGION-OF-" + strings.ToUpper(name)
			}
			o.Printf("    role %q {\n      bound  = { sub = %q } # or iss, where oidc_issuer is set\n      prefix = %q\n    }\n",
				"nomad-"+strings.ToLower(name), region+":*", name)
		}
	}
	o.Printf("\n")
	o.Paragraph("  ", "Roles don't protect against a cluster that is taken over: any cluster whose key is on the mount can "+
		"write any claim into its tokens, iss and sub too. Only a mount for each cluster does.")
}

// oneEntity tells which jobs of a shared mount's clusters are the same to Vault.
func oneEntity(s *setup.Proposal) string {
	first, second := s.Target.Clusters[0], s.Target.Clusters[1]
	apart := !slices.ContainsFunc(s.Want.Access, func(v setup.Access) bool { return !slices.Contains([]string{"", "sub", "/sub"}, v.UserClaim) })
	if !apart {
		return fmt.Sprintf("Jobs with one value of the user claim are one Vault entity on it: job \"mongo\" of %s and job \"mongo\" "+
			"of %s can be the same to Vault, and read the same secrets, without any malice.", first, second)
	}
	return fmt.Sprintf("Jobs are told apart by the name of their Nomad region alone: job \"mongo\" of %s and job \"mongo\" of %s read the same secrets, "+
		"and are one Vault entity too where their regions have one name%s, without any malice.", first, second, sameRegion(s))
}

// sameRegion names clusters of the mount whose regions have one name, as far as that is known.
func sameRegion(s *setup.Proposal) string {
	first := map[string]string{}
	for _, name := range s.Target.Clusters {
		region, known := s.Regions[name]
		if other := first[region]; known && other != "" {
			return fmt.Sprintf(" (%s and %s: both %s)", other, name, text.Escape(region))
		}
		if known {
			first[region] = name
		}
	}
	return ""
}

// Forms writes the same as Vault's commands, as those that undo it, or as Terraform.
func (o *Output) Forms(setups []*setup.Proposal, form string) error {
	resources, removes := terraformNames{}, false
	for i, s := range setups {
		if s.Failure != nil {
			continue
		}
		if i > 0 {
			o.Printf("\n")
		}
		o.Printf("# mount %s\n", text.Escape(s.String()))
		for _, warning := range s.Warnings {
			o.Printf("# %s\n", text.Escape(warning))
		}
		switch form {
		case "vault":
			if err := o.printVault(s); err != nil {
				return err
			}
		case "removal":
			o.printRemoval(s)
			removes = true
		default:
			if err := o.printTerraform(s, resources); err != nil {
				return err
			}
		}
	}
	if removes {
		o.Printf("%s", ownAccess)
	}
	return nil
}

// environment writes where the commands go.
func (o *Output) environment(s *setup.Proposal) {
	o.Printf("export VAULT_ADDR=%s\n", text.ShellQuote(s.Vault))
	if s.Namespace != "" {
		o.Printf("export VAULT_NAMESPACE=%s\n", text.ShellQuote(s.Namespace))
	}
}

// printVault writes the commands that make it all, what is there already too.
func (o *Output) printVault(s *setup.Proposal) error {
	o.environment(s)
	if s.Accessor == "" {
		o.Printf("vault auth enable -path=%s -description=%s jwt\n", text.ShellQuote(s.Path), text.ShellQuote(fmt.Sprint(s.Steps[0].Body["description"])))
	}
	o.Printf("ACCESSOR=$(vault read -field=accessor %s)\n", text.ShellQuote("sys/auth/"+s.Path))
	for _, step := range s.Steps {
		if step.Action == setup.ActionRefuse {
			o.Printf("# %s %s: %s\n", step.Kind, text.Escape(step.Name), text.Escape(refused(step)))
			continue
		}
		switch step.Kind {
		case setup.StepPolicy:
			policy := fmt.Sprint(step.Body["policy"])
			if s.Accessor != "" {
				policy = strings.ReplaceAll(policy, "aliases."+s.Accessor+".", "aliases."+setup.PendingAccessor+".")
			}
			o.Printf("sed \"s/%s/$ACCESSOR/g\" <<'EOF' | vault policy write %s -\n%sEOF\n", setup.PendingAccessor, text.ShellQuote(step.Name), policy)
		case setup.StepRole:
			o.Printf("vault write %s - <<'EOF'\n", text.ShellQuote(step.Path))
			o.JSON(step.Body)
			o.Printf("EOF\n")
			if changesClaim(step) {
				o.Printf("# tokens from before keep their entity; this ends them: %s", revocation(s))
			}
		}
	}
	body, err := s.Report.Config.With(s.Keys())
	if err != nil {
		return err
	}
	if keys, _ := body["jwt_validation_pubkeys"].([]string); len(keys) == 0 {
		o.Printf("# no cluster could be read: there are no keys to write yet\n")
		return nil
	}
	o.Printf("vault write %s - <<'EOF'\n", text.ShellQuote("auth/"+s.Path+"/config"))
	o.JSON(body)
	o.Printf("EOF\n")
	return nil
}

// printRemoval writes the commands that undo it. What others made is named, and left.
func (o *Output) printRemoval(s *setup.Proposal) {
	o.environment(s)
	stays := s.Others == nil || len(s.Others) > 0
	for _, step := range s.Steps {
		switch {
		case step.Action == setup.ActionCreate: // it isn't there
		case step.Kind == setup.StepRole && stays && s.Others != nil && !slices.Contains(s.Others, step.Name):
			o.Printf("vault delete %s\n", text.ShellQuote(step.Path))
		case step.Kind != setup.StepPolicy || step.Action == setup.ActionRefuse && step.Foreign == "":
		case step.Foreign != "":
			o.Printf("# policy %s was %s\n", text.Escape(step.Name), step.Foreign)
		default:
			o.Printf("vault policy delete %s\n", text.ShellQuote(step.Name))
		}
	}
	disable := fmt.Sprintf("vault auth disable %s # its roles, its keys and every token of its logins go with it", text.ShellQuote(s.Path))
	switch {
	case s.Accessor == "":
		disable = "# there is no such mount"
	case s.Others == nil:
		disable = "# its roles could not be listed: if none is somebody else's:\n# " + disable
	case stays:
		disable = fmt.Sprintf("# it has roles that this setup didn't make: %s. If nobody needs them:\n# %s", names(s.Others), disable)
	}
	o.Printf("%s\n", disable)
}

// names joins what Vault calls things, the first ten of them.
func names(all []string) string {
	const most = 10
	var out []string
	for _, name := range all[:min(len(all), most)] {
		out = append(out, text.Escape(name))
	}
	if more := len(all) - most; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
}

// ownAccess is what a removal says of what no setup has made.
const ownAccess = `
# harvest's own token and policy, by the names that you gave them:
# VAULT_TOKEN=$(cat vault-token) vault token revoke -self
# vault policy delete harvest
`

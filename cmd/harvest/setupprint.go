package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/config"
	"github.com/jwksharvest/harvest/vaultsync"
)

// setupSigns are the signs before a step, those of a plan.
var setupSigns = map[vaultsync.StepAction]string{
	vaultsync.ActionCreate: signAdd, vaultsync.ActionChange: signAdopt, vaultsync.ActionKeep: signKeep, vaultsync.ActionRefuse: signFailed,
}

// printSetups writes what is to be done to each mount, and what shape that is.
func (a *app) printSetups(setups []*mountSetup) {
	for i, s := range setups {
		if i > 0 {
			a.out.Printf("\n")
		}
		a.printSetup(s)
	}
	shared := slices.ContainsFunc(setups, func(s *mountSetup) bool { return len(s.config.Clusters) > 1 })
	if !shared && len(setups) > 1 {
		a.out.Printf("\n")
		a.out.Paragraph("", "A mount for each cluster: no cluster can act for another's jobs. Each cluster's Nomad names its own "+
			"mount in its vault block (jwt_auth_backend_path).")
	}
}

func (a *app) printSetup(s *mountSetup) {
	a.out.Heading("mount", printable(vaultsync.MountName(s.Vault, s.Namespace, s.Path)))
	var rows []row
	for _, step := range s.Steps {
		rows = append(rows, row{sign: setupSigns[step.Action], owner: string(step.Kind), kid: printable(step.Name), text: printable(stepText(step))})
		for _, c := range step.Changes {
			if step.Action != vaultsync.ActionCreate && c.Field != "policy" {
				rows = append(rows, row{sign: " ", text: printable(c.Field + ": " + changeText(c)), wide: true})
			}
		}
		for _, c := range step.Narrower {
			rows = append(rows, row{sign: " ", text: printable(narrowerText(c)), wide: true})
		}
	}
	a.out.printRows(rows)
	if keys := s.keys(); keys != nil {
		a.out.Printf("\n")
		a.out.printRows(planRows(keys, a.now()))
		if len(keys.Warnings) > 0 {
			a.out.Printf("\n")
			a.out.warnings(keys.Warnings)
		}
	}
	if s.err == nil && !s.changes() {
		a.out.Printf("\n  Nothing to change.\n")
	}
	if len(s.Warnings) > 0 {
		a.out.Printf("\n")
		a.out.warnings(s.Warnings)
	}
	a.explainReaders(s)
	a.explainRepair(s)
	a.explainShape(s)
}

func changeText(c vaultsync.Change) string { return orNothing(c.Before) + " -> " + orNothing(c.After) }

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// stepText says what a step does.
func stepText(s vaultsync.Step) string {
	what := map[vaultsync.StepKind]string{
		vaultsync.StepMount:  "JWT auth method",
		vaultsync.StepPolicy: "a job reads its own secrets",
		vaultsync.StepRole:   "for workload identities",
	}[s.Kind]
	switch s.Action {
	case vaultsync.ActionCreate:
		return what + ", to be made"
	case vaultsync.ActionChange:
		if s.Foreign != "" {
			return what + ", " + s.Foreign + ", to be overwritten"
		}
		return what + ", to be repaired"
	case vaultsync.ActionRefuse:
		return what + ", " + refused(s)
	}
	return what + ", as it should be"
}

// refused says why a step isn't taken.
func refused(s vaultsync.Step) string {
	switch {
	case s.Taken:
		return s.Foreign + " and different: stays (it needs another name here)"
	case s.Foreign == "" && s.Kind == vaultsync.StepPolicy:
		return "whose role is refused: isn't made"
	case s.Foreign == "":
		return "whose policy is refused: stays as it is"
	}
	return s.Foreign + " and different: stays (-overwrite changes it)"
}

// explainShape says what it means that several clusters share a mount, and the way out.
func (a *app) explainShape(s *mountSetup) {
	clusters := s.config.Clusters
	if len(clusters) < 2 {
		return
	}
	a.out.Printf("\n")
	a.out.Paragraph("  ", fmt.Sprintf("%d clusters share this mount. ", len(clusters))+s.oneEntity())
	bound := slices.ContainsFunc(s.config.Setup.Access, func(v vaultsync.Access) bool { return len(v.Bound) > 0 })
	if !bound {
		a.out.Printf("\n  What keeps them apart is a mount for each:\n\n")
		for _, name := range clusters {
			a.out.Printf("    mount %q { clusters = [%q] }\n", s.Path+"-"+name, name)
		}
		a.out.Printf("\n")
		a.out.Paragraph("  ", "or, against mistakes alone, a role for each, bound on the issuer or the region, with secrets of its own:")
		a.out.Printf("\n")
		for _, name := range clusters {
			region, known := s.regions[name]
			if !known {
				region = "REGION-OF-" + strings.ToUpper(name)
			}
			a.out.Printf("    role %q {\n      bound  = { sub = %q } # or iss, where oidc_issuer is set\n      prefix = %q\n    }\n",
				"nomad-"+strings.ToLower(name), region+":*", name)
		}
	}
	a.out.Printf("\n")
	a.out.Paragraph("  ", "Roles don't protect against a cluster that is taken over: any cluster whose key is on the mount can "+
		"write any claim into its tokens, iss and sub too. Only a mount for each cluster does.")
}

// oneEntity tells which jobs of a shared mount's clusters are the same to Vault.
func (s *mountSetup) oneEntity() string {
	first, second := s.config.Clusters[0], s.config.Clusters[1]
	apart := !slices.ContainsFunc(s.config.Setup.Access, func(v vaultsync.Access) bool { return !slices.Contains([]string{"", "sub", "/sub"}, v.UserClaim) })
	if !apart {
		return fmt.Sprintf("Jobs with one value of the user claim are one Vault entity on it: job \"mongo\" of %s and job \"mongo\" "+
			"of %s can be the same to Vault, and read the same secrets, without any malice.", first, second)
	}
	return fmt.Sprintf("Jobs are told apart by the name of their Nomad region alone: job \"mongo\" of %s and job \"mongo\" of %s read the same secrets, "+
		"and are one Vault entity too where their regions have one name%s, without any malice.", first, second, s.sameRegion())
}

// sameRegion names clusters of the mount whose regions have one name, as far as that is known.
func (s *mountSetup) sameRegion() string {
	first := map[string]string{}
	for _, name := range s.config.Clusters {
		region, known := s.regions[name]
		if other := first[region]; known && other != "" {
			return fmt.Sprintf(" (%s and %s: both %s)", other, name, printable(region))
		}
		if known {
			first[region] = name
		}
	}
	return ""
}

// printForms writes the same as commands or as Terraform.
func (a *app) printForms(setups []*mountSetup, form string, cfg *config.Config) error {
	failed := a.complainOf(setups, cfg)
	names := terraformNames{}
	for i, s := range setups {
		if s.err != nil {
			continue
		}
		if i > 0 {
			a.out.Printf("\n")
		}
		a.out.Printf("# mount %s\n", printable(vaultsync.MountName(s.Vault, s.Namespace, s.Path)))
		for _, warning := range s.Warnings {
			a.out.Printf("# %s\n", printable(warning))
		}
		switch form {
		case "vault":
			if err := a.printVault(s); err != nil {
				return err
			}
		case "removal":
			a.printRemoval(s)
		default:
			if err := a.printTerraform(s, names); err != nil {
				return err
			}
		}
	}
	if failed == len(setups) {
		return exit(exitNothing)
	}
	return a.ended(setups, failed)
}

// environment writes where the commands go.
func (a *app) environment(s *mountSetup) {
	a.out.Printf("export VAULT_ADDR=%s\n", quote(s.Vault))
	if s.Namespace != "" {
		a.out.Printf("export VAULT_NAMESPACE=%s\n", quote(s.Namespace))
	}
}

// printVault writes the commands that make it all, what is there already too.
func (a *app) printVault(s *mountSetup) error {
	a.environment(s)
	if s.Accessor == "" {
		a.out.Printf("vault auth enable -path=%s -description=%s jwt\n", quote(s.Path), quote(fmt.Sprint(s.Steps[0].Body["description"])))
	}
	a.out.Printf("ACCESSOR=$(vault read -field=accessor %s)\n", quote("sys/auth/"+s.Path))
	for _, step := range s.Steps {
		if step.Action == vaultsync.ActionRefuse {
			a.out.Printf("# %s %s: %s\n", step.Kind, printable(step.Name), printable(refused(step)))
			continue
		}
		switch step.Kind {
		case vaultsync.StepPolicy:
			text := fmt.Sprint(step.Body["policy"])
			if s.Accessor != "" {
				text = strings.ReplaceAll(text, "aliases."+s.Accessor+".", "aliases."+vaultsync.PendingAccessor+".")
			}
			a.out.Printf("sed \"s/%s/$ACCESSOR/g\" <<'EOF' | vault policy write %s -\n%sEOF\n", vaultsync.PendingAccessor, quote(step.Name), text)
		case vaultsync.StepRole:
			a.out.Printf("vault write %s - <<'EOF'\n", quote(step.Path))
			a.out.JSON(step.Body)
			a.out.Printf("EOF\n")
			if changesClaim(step) {
				a.out.Printf("# tokens from before keep their entity; this ends them: %s", revocation(s))
			}
		}
	}
	body, err := s.keys().Body()
	if err != nil {
		return err
	}
	if keys, _ := body["jwt_validation_pubkeys"].([]string); len(keys) == 0 {
		a.out.Printf("# no cluster could be read: there are no keys to write yet\n")
		return nil
	}
	a.out.Printf("vault write %s - <<'EOF'\n", quote("auth/"+s.Path+"/config"))
	a.out.JSON(body)
	a.out.Printf("EOF\n")
	return nil
}

// printRemoval writes the commands that undo it. What others made is named, and left.
func (a *app) printRemoval(s *mountSetup) {
	a.environment(s)
	for _, step := range s.Steps {
		if step.Kind != vaultsync.StepPolicy || step.Action == vaultsync.ActionRefuse && step.Foreign == "" {
			continue
		}
		if step.Foreign != "" {
			a.out.Printf("# policy %s was %s\n", printable(step.Name), step.Foreign)
			continue
		}
		a.out.Printf("vault policy delete %s\n", quote(step.Name))
	}
	a.out.Printf("vault auth disable %s # its roles, its keys and every token of its logins go with it\n", quote(s.Path))
}

package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Done tells what was done to each mount, in the order of setups, and what Nomad's
// agents need to use it.
func (o *Output) Done(setups []*setup.Proposal, report *vaultsync.Report) {
	o.Printf("\n  Done.\n")
	var ready []*setup.Proposal
	for i, s := range setups {
		if s.Failure != nil {
			continue
		}
		o.Say(text.Escape(vaultsync.MountID{Namespace: s.Namespace, Path: s.Path}.String()) + ": " + doneText(s.Steps, report.Mounts[i]))
		if report.Mounts[i].Err == nil {
			ready = append(ready, s)
		}
	}
	if len(ready) > 0 {
		o.printAgents(ready)
	}
}

// doneText tells what was done to one mount.
func doneText(steps []setup.Step, keys *vaultsync.MountReport) string {
	var words []string
	for _, step := range steps {
		verb := map[setup.StepAction]string{setup.ActionCreate: "made", setup.ActionChange: "repaired"}[step.Action]
		switch {
		case verb == "":
			continue
		case step.Action == setup.ActionChange && step.Foreign != "":
			verb = "overwrote"
		}
		what := verb + " the mount"
		if step.Kind != setup.StepMount {
			what = fmt.Sprintf("%s %s %s", verb, step.Kind, text.Escape(step.Name))
		}
		words = append(words, what)
	}
	if len(words) == 0 {
		words = append(words, "mount, policy and role stayed as they were")
	}
	line := strings.Join(words, ", ") + ". "
	if keys.Err != nil || keys.Plan == nil {
		return line + "Its keys were not written."
	}
	line += "Keys: " + summary(keys)
	if keys.Written > 0 {
		for _, c := range keys.Plan.Settings {
			line += fmt.Sprintf(" %s is %s.", c.Field, text.Escape(orNothing(c.After)))
		}
	}
	return line
}

// printAgents writes the vault blocks of Nomad's agents, whole: those of the clients, and those
// of the servers, which differ by audience alone.
func (o *Output) printAgents(setups []*setup.Proposal) {
	var audiences []string
	servers := map[string][]string{} // clusters by audience
	for _, s := range setups {
		clusters := text.Escape(strings.Join(s.Target.Clusters, ", "))
		o.Printf("\n")
		o.Paragraph("  ", "The vault block of the Nomad clients of "+clusters+":")
		o.Printf("\n    vault {\n      enabled               = true\n      address               = %s\n", terraformText(s.Vault))
		if s.Namespace != "" {
			o.Printf("      namespace             = %s\n", terraformText(s.Namespace))
		}
		o.Printf("      jwt_auth_backend_path = %s\n      create_from_role      = %s\n    }\n", terraformText(s.Path), terraformText(s.Want.DefaultRole()))
		audience := setup.DefaultAudience
		if access := s.Want.Access; len(access) > 0 && len(access[0].Audiences) > 0 {
			audience = access[0].Audiences[0]
		}
		if servers[audience] == nil {
			audiences = append(audiences, audience)
		}
		if !slices.Contains(servers[audience], clusters) {
			servers[audience] = append(servers[audience], clusters)
		}
	}
	for _, audience := range audiences {
		o.Printf("\n")
		o.Paragraph("  ", "That of the servers of "+strings.Join(servers[audience], ", ")+" (an agent that is both has one block with both):")
		o.Printf("\n    vault {\n      enabled = true\n\n      default_identity {\n        aud = [%s]\n        ttl = \"1h\"\n      }\n    }\n", terraformText(audience))
	}
}

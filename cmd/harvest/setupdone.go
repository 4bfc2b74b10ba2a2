package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/vaultsync"
)

// printDone tells what was done to each mount, in the order of setups, and what Nomad's
// agents need to use it.
func (a *app) printDone(setups []*mountSetup, report *vaultsync.Report) {
	a.out.Printf("\n  Done.\n")
	var ready []*mountSetup
	for i, s := range setups {
		if s.err != nil {
			continue
		}
		a.out.Say(printable(vaultsync.MountName("", s.Namespace, s.Path)) + ": " + doneText(s.Steps, report.Mounts[i]))
		if report.Mounts[i].Err == nil {
			ready = append(ready, s)
		}
	}
	if len(ready) > 0 {
		a.printAgents(ready)
	}
}

// doneText tells what was done to one mount.
func doneText(steps []vaultsync.Step, keys *vaultsync.MountReport) string {
	var words []string
	for _, step := range steps {
		verb := map[vaultsync.StepAction]string{vaultsync.ActionCreate: "made", vaultsync.ActionChange: "repaired"}[step.Action]
		switch {
		case verb == "":
			continue
		case step.Action == vaultsync.ActionChange && step.Foreign != "":
			verb = "overwrote"
		}
		what := verb + " the mount"
		if step.Kind != vaultsync.StepMount {
			what = fmt.Sprintf("%s %s %s", verb, step.Kind, printable(step.Name))
		}
		words = append(words, what)
	}
	if len(words) == 0 {
		words = append(words, "mount, policy and role stayed as they were")
	}
	text := strings.Join(words, ", ") + ". "
	if keys.Err != nil || keys.Plan == nil {
		return text + "Its keys were not written."
	}
	text += "Keys: " + summary(keys)
	if keys.Written > 0 {
		for _, c := range keys.Plan.Settings {
			text += fmt.Sprintf(" %s is %s.", c.Field, printable(orNothing(c.After)))
		}
	}
	return text
}

// printAgents writes the vault blocks of Nomad's agents, whole: those of the clients, and those
// of the servers, which differ by audience alone.
func (a *app) printAgents(setups []*mountSetup) {
	var audiences []string
	servers := map[string][]string{} // clusters by audience
	for _, s := range setups {
		clusters := printable(strings.Join(s.config.Clusters, ", "))
		a.out.Printf("\n")
		a.out.Paragraph("  ", "The vault block of the Nomad clients of "+clusters+":")
		a.out.Printf("\n    vault {\n      enabled               = true\n      address               = %s\n", terraformText(s.Vault))
		if s.Namespace != "" {
			a.out.Printf("      namespace             = %s\n", terraformText(s.Namespace))
		}
		a.out.Printf("      jwt_auth_backend_path = %s\n      create_from_role      = %s\n    }\n", terraformText(s.Path), terraformText(s.config.Setup.DefaultRole()))
		audience := vaultsync.DefaultAudience
		if access := s.config.Setup.Access; len(access) > 0 && len(access[0].Audiences) > 0 {
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
		a.out.Printf("\n")
		a.out.Paragraph("  ", "That of the servers of "+strings.Join(servers[audience], ", ")+" (an agent that is both has one block with both):")
		a.out.Printf("\n    vault {\n      enabled = true\n\n      default_identity {\n        aud = [%s]\n        ttl = \"1h\"\n      }\n    }\n", terraformText(audience))
	}
}

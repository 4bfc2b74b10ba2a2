package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/setup"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// explainRepair says what a change of a role's user claim means, and how to end what it leaves
// behind.
func (o *Output) explainRepair(s *setup.Proposal) {
	for _, step := range s.Steps {
		if !changesClaim(step) {
			continue
		}
		change := step.Changes[slices.IndexFunc(step.Changes, isClaimChange)]
		o.Printf("\n")
		o.Paragraph("  ", fmt.Sprintf("Role %s: user_claim is %s, and is to be %s. Logins get new entities by it: groups and policies that the old ones are given, and policies that are "+
			"templated on the alias's name or the entity's id, don't apply to them. Tokens from before keep the old entity, whose metadata is the last login's "+
			"for good, and Nomad renews them for as long as their tasks run. Once the role is changed, end them. A task logs in again when its next renewal fails, as its "+
			"change_mode says; nomad job restart does it at once:",
			text.Escape(step.Name), text.Escape(change.Before), text.Escape(change.After)))
		o.Printf("\n")
		if s.Namespace != "" {
			o.Printf("    export VAULT_NAMESPACE=%s\n", text.ShellQuote(s.Namespace))
		}
		o.Printf("%s", indent(revocation(s), "    "))
		if change.After == `"sub"` {
			o.Printf("\n")
			o.Paragraph("  ", "And remove the entities that nobody logs in to any more:")
			o.Printf("\n%s", indent(removeEntities(s.Accessor), "    "))
		}
		return // the mount's tokens are ended once
	}
}

func isClaimChange(c plan.Change) bool { return c.Field == "user_claim" }

// changesClaim reports whether a step changes the user claim of a role that is there.
func changesClaim(step setup.Step) bool {
	return step.Kind == setup.StepRole && step.Action != setup.ActionCreate && slices.ContainsFunc(step.Changes, isClaimChange)
}

// revocation is the command that ends every token of the mount's logins.
func revocation(s *setup.Proposal) string {
	return "vault lease revoke -prefix " + text.ShellQuote("auth/"+s.Path+"/login") + "\n"
}

// removeEntities are commands that remove the entities of a mount whose aliases aren't the sub of a
// workload.
func removeEntities(accessor string) string {
	const path = "identity/entity-alias/id"
	return strings.ReplaceAll(strings.ReplaceAll(`vault list -format=json PATH | grep -oE '[0-9a-f-]{36}' | while read -r id; do
  [ "$(vault read -field=mount_accessor "PATH/$id")" = ACCESSOR ] || continue
  case "$(vault read -field=name "PATH/$id")" in *:*:*:*:*:*) continue ;; esac
  vault delete "identity/entity/id/$(vault read -field=canonical_id "PATH/$id")"
done
`, "PATH", path), "ACCESSOR", text.ShellQuote(accessor))
}

// narrowerText tells a field by which a role stays narrower.
func narrowerText(c plan.Change) string {
	text := fmt.Sprintf("%s: %s stays, narrower than here: %s", c.Field, c.Before, setup.Breaks(c.Field))
	if setting := map[string]string{
		"bound_subject": "bound_subject", "token_bound_cidrs": "bound_cidrs", "token_num_uses": "num_uses", "token_no_default_policy": "no_default_policy",
		"token_period": "period", "token_explicit_max_ttl": "max_ttl", "bound_claims": "bound",
	}[c.Field]; setting != "" {
		return text + " (" + setting + " in the role block states it; -overwrite resets it)"
	}
	return text + " (-overwrite resets it)"
}

// explainReaders says who can read what by the policies that are to be written.
func (o *Output) explainReaders(s *setup.Proposal) {
	all := s.Want.Access
	if len(all) == 0 {
		all = []setup.Access{{}}
	}
	for i, access := range all {
		if len(s.Steps) < 2+i {
			return // the mount could not be read
		}
		step := s.Steps[1+i] // the mount comes first, then the policies
		if step.Kind != setup.StepPolicy || step.Action != setup.ActionCreate && step.Action != setup.ActionChange {
			continue
		}
		who := "Anyone who submits jobs to a namespace can read all of its secrets, as a job may be called * or pay*. job_prefix keeps the jobs apart."
		if access.JobPrefix != "" {
			who = "Jobs of a namespace are kept apart, but for a job a and one that is called a/" + access.JobPrefix + "a. A job with a + alone between slashes in its name reads nothing."
		}
		o.Printf("\n")
		o.Paragraph("  ", text.Escape(step.Name)+": a job reads "+access.Secrets()+". "+who)
	}
}

package setup

import (
	"cmp"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// newPlan compares what there is with what is wanted.
func newPlan(path string, now setupState, want Setup) *Plan {
	plan := &Plan{MountID: vaultsync.MountID{Path: path}, Accessor: now.accessor}
	mount := Step{Kind: StepMount, Name: path, Path: "sys/auth/" + path, Action: ActionKeep}
	if now.accessor == "" {
		mount.Action = ActionCreate
		mount.Body = map[string]any{
			"type":        "jwt",
			"description": "Nomad workload identities; keys kept by harvest",
		}
	}
	plan.Steps = append(plan.Steps, mount)
	for _, a := range want.access() {
		plan.Steps = append(plan.Steps, policyStep(now, want, a))
	}
	for i, a := range want.access() {
		role := roleStep(path, now, want, a, plan.Steps[i+1])
		if policy := &plan.Steps[i+1]; role.Action == ActionRefuse && policy.Action == ActionCreate {
			policy.Action = ActionRefuse // nothing would give it
		}
		plan.Steps = append(plan.Steps, role)
	}
	return plan
}

func policyStep(now setupState, want Setup, a Access) Step {
	text := a.PolicyText(cmp.Or(now.accessor, PendingAccessor))
	step := Step{Kind: StepPolicy, Name: a.policy(), Path: jwtrole.PolicyPath(a.policy()), Body: map[string]any{"policy": text}, access: a}
	old, there := now.policies[a.policy()]
	if there && samePolicy(old, text) {
		step.Action = ActionKeep
		return step
	}
	if there {
		step.Foreign, step.Taken = now.whose(old)
	}
	step.Changes = []plan.Change{{Field: "policy", Before: old, After: text}}
	step.Action = action(there, step.Foreign, want)
	if step.Taken {
		step.Action = ActionRefuse
	}
	return step
}

// roleStep compares a role. One that isn't there is not made where its policy is refused: it would
// give what somebody else wrote for others.
func roleStep(path string, now setupState, want Setup, a Access, policy Step) Step {
	step := Step{Kind: StepRole, Name: a.role(), Path: "auth/" + path + "/role/" + a.role(), access: a}
	old, there := now.roles[a.role()]
	step.Body, step.Changes, step.Narrower = a.compareRole(old, want.Overwrite)
	if there && len(step.Changes) == 0 {
		step.Action = ActionKeep
		return step
	}
	if there && !now.made(old) {
		step.Foreign = madeByOthers
	}
	step.Action = action(there, step.Foreign, want)
	if policy.Action == ActionRefuse {
		step.Action = ActionRefuse
	}
	return step
}

func action(there bool, foreign string, want Setup) StepAction {
	switch {
	case !there:
		return ActionCreate
	case foreign != "" && !want.Overwrite:
		return ActionRefuse
	}
	return ActionChange
}

// samePolicy compares what two policies say, whatever their comments, blanks and order.
func samePolicy(a, b string) bool { return slices.Equal(policyRules(a), policyRules(b)) }

// policyRules returns a policy's rules without comments and the blanks between words, sorted.
func policyRules(text string) []string {
	var rules []string
	var rule strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted:
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '#', strings.HasPrefix(text[i:], "//"):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				end = len(text) - i
			}
			i += end - 1
			continue
		case strings.ContainsRune(" \t\r\n", rune(c)):
			continue
		}
		rule.WriteByte(c)
		if c == '}' && !quoted {
			rules = append(rules, rule.String())
			rule.Reset()
		}
	}
	if rule.Len() > 0 {
		rules = append(rules, rule.String())
	}
	slices.Sort(rules)
	return rules
}

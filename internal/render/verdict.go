package render

import (
	"fmt"

	"github.com/jwksharvest/harvest/internal/monitor"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/verify"
)

// verdictSigns stand before the lines of a verdict.
var verdictSigns = map[verify.Outcome]string{
	verify.OutcomeOK: signKeep, verify.OutcomeFail: signSkip, verify.OutcomeNote: signForeign,
}

// verdictStyles are theirs: what Vault would refuse is what was asked for.
var verdictStyles = map[verify.Outcome]terminal.Style{
	verify.OutcomeOK: terminal.Green, verify.OutcomeFail: terminal.Alarm, verify.OutcomeNote: terminal.Cyan,
}

// Verdicts writes what came of a token, mount by mount.
func (o *Output) Verdicts(verdicts []*verify.Result) {
	for i, v := range verdicts {
		if i > 0 {
			o.Printf("\n")
		}
		if v.Source != "" {
			o.Heading("key set", text.Escape(v.Source))
		} else {
			o.Heading("mount", text.Escape(v.String()))
		}
		if v.Verdict == nil {
			o.failure(monitor.MountCause(v.Err))
			continue
		}
		width := 0
		for _, f := range v.Findings {
			width = max(width, len(f.Check))
		}
		for _, f := range v.Findings {
			sign, check := verdictSigns[f.Outcome], fmt.Sprintf(" %-*s  ", width, f.Check)
			o.Text("  "+sign+check, "  "+o.Paint(verdictStyles[f.Outcome], sign)+check, text.Escape(f.Detail))
			// Not broken into lines: it is often a command to copy.
			if f.Fix != "" {
				o.Printf("    %-*s  %s\n", width, "", text.Escape(f.Fix))
			}
		}
		o.Printf("\n")
		o.Say(verdictSummary(v))
	}
}

func verdictSummary(v *verify.Result) string {
	failed := 0
	for _, f := range v.Findings {
		if f.Outcome == verify.OutcomeFail {
			failed++
		}
	}
	switch {
	case failed > 0:
		return fmt.Sprintf("It would not log in, for %d %s.", failed, text.Plural(failed, "reason"))
	case v.Source != "":
		return "Signature and times hold. What a mount and its role ask for was not compared."
	case !v.RoleChecked:
		return "It would log in, as far as was compared: the role was not."
	}
	return fmt.Sprintf("It would log in, with role %s.", text.Escape(v.Role))
}

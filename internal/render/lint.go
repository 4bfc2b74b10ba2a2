package render

import (
	"fmt"

	"github.com/jwksharvest/harvest/internal/lint"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/internal/text"
)

// printProblems writes what -lint found on a mount, and below each what to do about it.
func (o *Output) printProblems(problems []lint.Problem) {
	styles := map[lint.Severity]terminal.Style{lint.SeverityError: terminal.Alarm, lint.SeverityWarning: terminal.Yellow}
	for _, p := range problems {
		head := fmt.Sprintf("%s (%s):", p.Severity, p.Lint)
		o.Text("  "+head+" ", "  "+o.Paint(styles[p.Severity], head)+" ", text.Escape(p.Message))
		o.Text("      ", "      ", text.Escape(p.Fix))
	}
	if len(problems) > 0 {
		o.Printf("\n")
	}
}

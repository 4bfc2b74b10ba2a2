package plan

import (
	"fmt"
	"strings"

	"github.com/jwksharvest/harvest/internal/text"
)

// String returns what the plan changes, one line each: what is added (+), annotated (~), removed
// (-) and set (*), what failed (!) or is left out (?), and then how many keys stay, if any. It is
// for people, and safe for a terminal whatever a cluster publishes.
func (p *Plan) String() string {
	var b strings.Builder
	line := func(sign, what, why string) {
		fmt.Fprintf(&b, "%s %s: %s\n", sign, text.Escape(what), text.Escape(why))
	}
	for _, l := range []struct {
		sign string
		keys []Key
	}{{"+", p.Add}, {"~", p.Adopt}, {"-", p.Remove}} {
		for _, k := range l.keys {
			line(l.sign, k.String(), k.Reason)
		}
	}
	for _, c := range p.Settings {
		line("*", c.Field, fmt.Sprintf("%q becomes %q", c.Before, c.After))
	}
	for _, f := range p.Failed {
		line("!", f.Owner.String(), f.AsError().Err.Error())
	}
	for _, k := range p.Skipped {
		line("?", k.String(), k.Reason)
	}
	if stay := len(p.Keep) + len(p.Claimed) + len(p.Foreign); stay > 0 || b.Len() == 0 {
		fmt.Fprintf(&b, "%d %s\n", stay, text.Form(stay, "key stays", "keys stay"))
	}
	return b.String()
}

package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/status"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
)

// Status writes the status of one mount that could be read. Why one could not is for stderr.
func (o *Output) Status(s *status.Mount, now time.Time) {
	if !s.Read {
		return
	}
	o.section(s.MountID)
	section := func(title string, rows []row) {
		if len(rows) > 0 {
			o.Printf("%s", title)
			o.printRows(rows)
			o.Printf("\n")
		}
	}
	var trusted []row
	for _, k := range s.Trusted {
		trusted = append(trusted, keyRow("", k, true, now))
	}
	section("", trusted)
	if s.Plan != nil {
		pending := slices.DeleteFunc(planRows(s.Plan, now), func(r row) bool {
			return r.sign == signKeep || r.sign == signForeign || r.sign == signSkip || r.sign == signFailed
		})
		section("  pending:\n", pending)
		var failed []row
		for _, f := range s.Plan.Failed {
			failed = append(failed, failureRow(f))
		}
		section("", failed)
	}
	if o.warnings(s.Warnings); len(s.Warnings) > 0 {
		o.Printf("\n")
	}
	o.printProblems(s.Lint)
	o.Say(statusSummary(s))
}

// statusSummary counts the trusted keys by owner.
func statusSummary(s *status.Mount) string {
	if len(s.Trusted) == 0 {
		if s.Vault == "" {
			return "No keys: the relay publishes none."
		}
		return "No keys: the mount trusts nobody by static keys."
	}
	counts := map[pem.Owner]int{}
	var owners []pem.Owner
	for _, k := range s.Trusted {
		if counts[k.Owner]++; counts[k.Owner] == 1 {
			owners = append(owners, k.Owner)
		}
	}
	var parts []string
	for _, owner := range owners {
		if owner == (pem.Owner{}) {
			parts = append(parts, fmt.Sprintf("%d foreign", counts[owner]))
			continue
		}
		parts = append(parts, fmt.Sprintf("%d of %s", counts[owner], text.Escape(owner.String())))
	}
	line := fmt.Sprintf("%d trusted: %s.", len(s.Trusted), strings.Join(parts, ", "))
	if n := len(s.Add) + len(s.Adopt) + len(s.Remove) + len(s.Settings); n > 0 {
		line += fmt.Sprintf(" %d pending.", n)
	}
	return line
}

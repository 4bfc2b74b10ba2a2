package render

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/hint"
	"github.com/jwksharvest/harvest/internal/status"
	"github.com/jwksharvest/harvest/internal/terminal"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// The sign before a line of a plan.
const (
	signAdd     = "+" // published, and comes to be trusted
	signAdopt   = "~" // trusted, and is annotated again
	signKeep    = "=" // trusted, and stays; the reason says so where it is another harvester's
	signRemove  = "-" // trusted, and goes
	signSkip    = "x" // published, and isn't trusted
	signFailed  = "!" // a cluster or region whose keys could not be learned
	signForeign = "?" // trusted, nobody's, and stays
	signSet     = "*" // a setting of the mount, and changes
)

// signStyles are those of the signs: what comes, what goes, and what wants to be looked at.
// What stays is plain.
var signStyles = map[string]terminal.Style{
	signAdd: terminal.Green, signAdopt: terminal.Yellow, signRemove: terminal.Red, signSkip: terminal.Yellow, signFailed: terminal.Alarm,
	signForeign: terminal.Cyan, signSet: terminal.Yellow,
}

// row is one line about a key, or about a cluster where it is nothing but a text.
type row struct {
	sign, owner, kid, alg, fingerprint, text string
	wide                                     bool // the text follows the owner at once
}

// planRows returns the lines of a plan, by sign, then by owner and age.
func planRows(p *plan.Plan, now time.Time) []row {
	var rows []row
	add := func(sign string, keys []plan.Key, since bool) {
		keys = slices.Clone(keys)
		status.SortKeys(keys)
		for _, k := range keys {
			rows = append(rows, keyRow(sign, k, since, now))
		}
	}
	add(signAdd, p.Add, false)
	add(signAdopt, p.Adopt, false)
	add(signKeep, p.Keep, true)
	add(signKeep, p.Claimed, true)
	add(signRemove, p.Remove, false)
	add(signSkip, p.Skipped, false)
	for _, f := range p.Failed {
		rows = append(rows, failureRow(f))
	}
	add(signForeign, p.Foreign, false)
	for _, c := range p.Settings {
		rows = append(rows, row{sign: signSet, owner: "setting", text: text.Escape(c.Field + ": " + changeText(c)), wide: true})
	}
	return rows
}

// shortKeyID is how much of a kid is shown.
const shortKeyID = 8

func keyRow(sign string, k plan.Key, since bool, now time.Time) row {
	r := row{sign: sign, owner: "foreign", kid: k.KeyID, alg: text.Escape(k.Algorithm), text: text.Escape(k.Reason)}
	if k.Cluster != "" {
		r.owner = text.Escape(k.Owner.String())
	}
	if runes := []rune(r.kid); len(runes) > shortKeyID {
		r.kid = string(runes[:shortKeyID])
	}
	r.kid = text.Escape(r.kid)
	if k.Fingerprint != (pem.Fingerprint{}) {
		r.fingerprint = k.Fingerprint.Short()
	}
	if since && !k.Added.IsZero() {
		r.text = strings.TrimPrefix(r.text+", trusted "+text.Ago(k.Added, now), ", ")
	}
	return r
}

func failureRow(f plan.Failure) row {
	kept := fmt.Sprintf("%d %s kept", f.Kept, text.Plural(f.Kept, "key"))
	switch {
	case errors.Is(f.Err, plan.ErrNoRoom) && f.Kept == 0:
		kept = "keys wait for room"
	case errors.Is(f.Err, vaultsync.ErrAlgorithm):
		kept = fmt.Sprintf("%d %s trusted in vain", f.Kept, text.Plural(f.Kept, "key"))
	case f.Kept == 0:
		kept = "nothing to keep"
	}
	return row{sign: signFailed, owner: text.Escape(f.Owner.String()), text: fmt.Sprintf("%s (%s)", kept, vaultsync.Kind(f.Err)), wide: true}
}

// Of a line, on a screen: what the columns before its text take at most.
const (
	ownerShare = 4 // of the width, the owner: one in so many
	minOwner   = 16
	stepShare  = 3  // likewise, the name of a step of setup, which has no fingerprint behind it
	mostKeyID  = 12 // a kid's first letters, escaped or wide
	mostAlg    = 10
)

// fit shortens what would leave no room for the text, where the width is limited.
func (o *Output) fit(rows []row) []row {
	if o.Width == 0 {
		return rows
	}
	rows = slices.Clone(rows)
	owners, kids := make([]string, len(rows)), make([]string, len(rows))
	most := o.Width / stepShare
	for i, r := range rows {
		owners[i], kids[i] = r.owner, r.kid
		if r.fingerprint != "" {
			most = mostKeyID
		}
	}
	owners, kids = terminal.ShortenAll(owners, max(minOwner, o.Width/ownerShare)), terminal.ShortenAll(kids, most)
	for i := range rows {
		rows[i].owner, rows[i].kid, rows[i].alg = owners[i], kids[i], terminal.Shorten(rows[i].alg, mostAlg)
	}
	return rows
}

// printRows writes lines with their columns aligned.
func (o *Output) printRows(rows []row) {
	rows = o.fit(rows)
	cells := func(r row) []string { return []string{r.owner, r.kid, r.alg, r.fingerprint} }
	var widths [4]int
	for _, r := range rows {
		for i, text := range cells(r) {
			widths[i] = max(widths[i], terminal.Columns(text))
		}
	}
	for _, r := range rows {
		var before strings.Builder
		for i, text := range cells(r) {
			if widths[i] > 0 && (i == 0 || !r.wide) {
				before.WriteString(text + strings.Repeat(" ", widths[i]-terminal.Columns(text)+2))
			}
		}
		sign := ""
		if r.sign != "" {
			sign = r.sign + " "
		}
		painted := "  " + before.String()
		if sign != "" {
			painted = "  " + o.Paint(signStyles[r.sign], r.sign) + " " + before.String()
		}
		o.Text("  "+sign+before.String(), painted, r.text)
	}
}

// Mount writes what is to be done to one mount, where it is only planned, or was done. Why
// something failed is for stderr: here is the kind. A mount without a plan has nothing else.
func (o *Output) Mount(m *vaultsync.MountReport, planned bool, now time.Time) {
	if m.Plan == nil {
		return
	}
	o.section(m.MountID)
	rows := planRows(m.Plan, now)
	o.printRows(rows)
	if len(rows) > 0 {
		o.Printf("\n")
	}
	if o.warnings(m.Plan.Warnings); len(m.Plan.Warnings) > 0 {
		o.Printf("\n")
	}
	if m.Unwritable != nil {
		o.Say(hint.Policy)
		o.Printf("\n")
	}
	if m.Err != nil {
		state, how := fmt.Sprintf("Not in sync (%s):", vaultsync.Kind(m.Err)), notDone(m)
		if planned {
			how = "planned only, nothing was written."
		}
		o.Text("  "+state+" ", "  "+o.Paint(terminal.Red, state)+" ", how)
		return
	}
	o.Say(summary(m))
}

// section begins what is about one mount or relay, apart from what was written before.
func (o *Output) section(id vaultsync.MountID) {
	if o.sections > 0 {
		o.Printf("\n")
	}
	o.sections++
	o.title(id)
}

// title writes which mount or relay the following is about.
func (o *Output) title(id vaultsync.MountID) {
	what := "mount"
	if id.Vault == "" {
		what = ""
	}
	o.Heading(what, text.Escape(id.String()))
}

// failure writes what went wrong with a mount.
func (o *Output) failure(err error) {
	o.Text("  ! ", "  "+o.Paint(terminal.Alarm, signFailed)+" ", text.Escape(err.Error()))
}

// notDone says how far a sync came that failed.
func notDone(m *vaultsync.MountReport) string {
	if m.Written > 0 {
		return fmt.Sprintf("written %d %s, and not confirmed.", m.Written, text.Plural(m.Written, "time"))
	}
	return "nothing was written."
}

// summary is one line about a mount.
func summary(m *vaultsync.MountReport) string {
	p, done := m.Plan, m.Written > 0
	verb := func(future, past string) string {
		if done {
			return past
		}
		return "to " + future
	}
	var changes, rest []string
	count := func(list *[]string, n int, what string) {
		if n > 0 {
			*list = append(*list, fmt.Sprintf("%d %s", n, what))
		}
	}
	count(&changes, len(p.Add), verb("add", "added"))
	count(&changes, len(p.Adopt), verb("annotate", "annotated"))
	count(&changes, len(p.Remove), verb("remove", "removed"))
	count(&changes, len(p.Settings), text.Plural(len(p.Settings), "setting")+" "+verb("change", "changed"))
	count(&rest, len(p.Keep), "kept")
	count(&rest, len(p.Claimed), "of other harvesters")
	count(&rest, len(p.Foreign), "foreign")
	count(&rest, len(p.Skipped), "not trusted")
	line := "Nothing to change"
	switch {
	case len(changes) > 0:
		line = strings.Join(changes, ", ")
	case p.Changed:
		line = "To be written again"
	}
	if len(rest) > 0 {
		line += "; " + strings.Join(rest, ", ")
	}
	line += "."
	line += failures(p)
	if m.Conflicts > 0 {
		line += fmt.Sprintf(" It was tried %d more %s.", m.Conflicts, text.Plural(m.Conflicts, "time"))
	}
	return line
}

// failures says of which clusters the keys were left as they are, and why.
func failures(p *plan.Plan) string {
	const unread, refused, crowded, shut = 0, 1, 2, 3
	around := [...][2]string{
		unread:  {"", " could not be read."},
		refused: {"The turnover of ", " was refused."},
		crowded: {"There is no room for all keys of ", "."},
		shut:    {"Logins of ", " are refused."},
	}
	var names [len(around)][]string
	for _, f := range p.Failed {
		why := unread
		_, full := f.Err.(*plan.RoomError) //nolint:errorlint // by itself: one that couldn't be read either is told of as that
		switch {
		case full:
			why = crowded
		case errors.Is(f.Err, plan.ErrTurnover):
			why = refused
		case errors.Is(f.Err, vaultsync.ErrAlgorithm):
			why = shut
		}
		names[why] = append(names[why], text.Escape(f.Owner.String()))
	}
	var line strings.Builder
	for why, of := range names {
		if len(of) > 0 {
			line.WriteString(" " + around[why][0] + strings.Join(of, ", ") + around[why][1])
		}
	}
	return line.String()
}

package compare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Report writes RESULTS.md and charts/NAME.svg from results/NAME.txt of each table, all in
// the current directory. A table that was never measured is left out.
func Report(tables []*Table, headline string) error {
	var sections, machines []string
	for _, t := range tables {
		r, err := readRecord(t, filepath.Join("results", t.Name+".txt"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.MkdirAll("charts", 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join("charts", t.Name+".svg"), r.picture(), 0o644); err != nil {
			return err
		}
		if machine := r.machine(); len(machines) == 0 || machines[len(machines)-1] != machine {
			machines = append(machines, machine)
		}
		sections = append(sections, r.section(machines))
	}
	if len(sections) == 0 {
		return errors.New("nothing was measured yet")
	}
	text := headline + "\nMeasured on " + strings.Join(machines, "; then on ") + ".\n" + strings.Join(sections, "")
	return os.WriteFile("RESULTS.md", []byte(text), 0o644)
}

func (r *record) machine() string {
	return fmt.Sprintf("%s, %s CPUs, %s/%s, %s", or(r.value("cpu"), "an unknown processor"), r.value("cpus"),
		r.value("goos"), r.value("goarch"), or(r.value("go"), runtime.Version()))
}

// section is the part of the report about one table.
func (r *record) section(machines []string) string {
	var b strings.Builder
	t := r.table
	fmt.Fprintf(&b, "\n## %s\n\n%s\n\n![%s](charts/%s.svg)\n\n", t.Title, strings.TrimSpace(t.Text), t.Title, t.Name)
	fmt.Fprintf(&b, "| | |")
	for i, m := range t.Metrics {
		fmt.Fprintf(&b, " %s |", m.Name)
		if i == 0 {
			fmt.Fprintf(&b, " times %s (range) |", t.Contenders[0].Name)
		}
	}
	b.WriteString("\n| --- | --- |" + strings.Repeat(" ---: |", len(t.Metrics)+1) + "\n")
	rounds := 0
	for _, name := range t.Cases {
		label := name
		for _, c := range t.Contenders {
			rounds = max(rounds, len(r.samples[sampleKey{name, c.Name}]))
			if len(r.samples[sampleKey{name, c.Name}]) == 0 {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s |", label, c.Name)
			label = ""
			for i, m := range t.Metrics {
				series := r.series(name, c.Name, m.Unit)
				if len(series) == 0 {
					b.WriteString(" |")
				} else {
					fmt.Fprintf(&b, " %s |", quantity(spreadOf(series).median, m.Unit))
				}
				if i == 0 {
					fmt.Fprintf(&b, " %s |", r.shownRatio(name, c.Name))
				}
			}
			b.WriteString("\n")
		}
	}
	for _, c := range r.config {
		if c[0] == "note" {
			fmt.Fprintf(&b, "\n%s\n", c[1])
		}
	}
	fmt.Fprintf(&b, "\n%s, %s, commit %s", r.rounds(rounds), r.value("date"), or(r.value("commit"), "unknown"))
	if versions := r.value("versions"); versions != "" {
		fmt.Fprintf(&b, "; %s", versions)
	}
	if len(machines) > 1 {
		fmt.Fprintf(&b, "; on %s", r.machine())
	}
	fmt.Fprintf(&b, ". [Every measurement](results/%s.txt), for benchstat `-col /by`.\n", t.Name)
	return b.String()
}

// rounds says how many there were, of cases with fewer as well.
func (r *record) rounds(most int) string {
	var text strings.Builder
	text.WriteString(counted(most))
	for _, name := range r.table.Cases {
		if n := len(r.samples[sampleKey{name, r.table.Contenders[0].Name}]); n > 0 && n < most {
			fmt.Fprintf(&text, " (%s: %d)", name, n)
		}
	}
	return text.String()
}

// ratio compares a contender with the first, by the first metric.
func (r *record) ratio(name, contender string) spread {
	unit := r.table.Metrics[0].Unit
	return spreadOf(ratios(r.series(name, contender, unit), r.series(name, r.table.Contenders[0].Name, unit)))
}

func (r *record) shownRatio(name, contender string) string {
	if contender == r.table.Contenders[0].Name {
		return "1"
	}
	if ratio := r.ratio(name, contender); factor(ratio.median) != "" {
		return ratio.String()
	}
	return ""
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

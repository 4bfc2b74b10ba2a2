package compare

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record is what was measured of one table: the text of a Go benchmark, one line a
// measurement, in the order in which they were made.
type record struct {
	table   *Table
	config  [][2]string // the lines "key: value" before the first measurement
	samples map[sampleKey][]Measures
	lines   []string
}

type sampleKey struct{ name, contender string }

func newRecord(t *Table, env *Env) *record {
	r := &record{table: t, samples: map[sampleKey][]Measures{}}
	set := func(key, value string) {
		if value != "" {
			r.config = append(r.config, [2]string{key, value})
		}
	}
	set("goos", runtime.GOOS)
	set("goarch", runtime.GOARCH)
	set("pkg", "github.com/jwksharvest/harvest/bench")
	set("cpu", processor())
	set("cpus", strconv.Itoa(runtime.NumCPU()))
	set("go", runtime.Version())
	set("commit", commit(env.Root))
	set("date", time.Now().UTC().Format(time.DateOnly))
	set("versions", strings.Join(versions(t, env), ", "))
	return r
}

func (r *record) add(name, contender string, measures Measures) {
	key := sampleKey{name, contender}
	r.samples[key] = append(r.samples[key], measures)
	var line strings.Builder
	fmt.Fprintf(&line, "Benchmark%s/case=%s/by=%s-%d\t1", r.table.benchmark(), slug(name), slug(contender), runtime.GOMAXPROCS(0))
	for _, unit := range slices.Sorted(maps.Keys(measures)) {
		fmt.Fprintf(&line, "\t%s %s", strconv.FormatFloat(measures[unit], 'f', -1, 64), unit)
	}
	r.lines = append(r.lines, line.String())
}

func (r *record) write(file string) error {
	var text bytes.Buffer
	for _, c := range r.config {
		fmt.Fprintf(&text, "%s: %s\n", c[0], c[1])
	}
	for _, line := range r.lines {
		fmt.Fprintln(&text, line)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text.Bytes(), 0o644)
}

// readRecord reads what write wrote. Cases and contenders that the table no longer has are
// an error: the file is of an older table, to be measured again.
func readRecord(t *Table, file string) (*record, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &record{table: t, samples: map[sampleKey][]Measures{}}
	keys := map[string]sampleKey{}
	for _, name := range t.Cases {
		for _, c := range t.Contenders {
			keys[fmt.Sprintf("Benchmark%s/case=%s/by=%s", t.benchmark(), slug(name), slug(c.Name))] = sampleKey{name, c.Name}
		}
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ": "); ok {
			r.config = append(r.config, [2]string{key, value})
			continue
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || len(fields)%2 != 0 {
			return nil, fmt.Errorf("%s: line %q", file, lines.Text())
		}
		key, ok := keys[fields[0][:max(0, strings.LastIndexByte(fields[0], '-'))]]
		if !ok {
			return nil, fmt.Errorf("%s: no %s in the table: measure it again", file, fields[0])
		}
		measures := Measures{}
		for i := 2; i < len(fields); i += 2 {
			if measures[fields[i+1]], err = strconv.ParseFloat(fields[i], 64); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
		r.samples[key] = append(r.samples[key], measures)
	}
	if len(r.samples) == 0 {
		return nil, fmt.Errorf("%s: %w", file, errors.New("no measurements"))
	}
	return r, lines.Err()
}

func (r *record) value(key string) string {
	for _, c := range r.config {
		if c[0] == key {
			return c[1]
		}
	}
	return ""
}

// series returns the figures of one metric, one a round; nil where there are none.
func (r *record) series(name, contender, unit string) []float64 {
	var series []float64
	for _, measures := range r.samples[sampleKey{name, contender}] {
		if value, ok := measures[unit]; ok {
			series = append(series, value)
		}
	}
	return series
}

func (t *Table) benchmark() string {
	var name strings.Builder
	for word := range strings.SplitSeq(t.Name, "-") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

// slug returns s as a part of a benchmark's name.
func slug(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '+':
			return r
		case r == ',' || r == '(' || r == ')':
			return -1
		}
		return '_'
	}, s)
}

func processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func commit(root string) string {
	out, err := exec.Command("git", "-C", root, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func versions(t *Table, env *Env) []string {
	list := slices.Clone(env.versions)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return list
	}
	for _, c := range t.Contenders {
		for _, module := range c.Modules {
			for _, dep := range info.Deps {
				if dep.Path == module {
					list = append(list, module+" "+dep.Version)
				}
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

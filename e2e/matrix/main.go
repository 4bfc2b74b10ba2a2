// Command matrix writes into pages of the documentation what tests against real servers came to,
// between two markers each. Its input is what go test -json printed:
//
//	matrix -servers docs/versions.md dist/matrix/floor.json dist/matrix/current.json
//	matrix -figures docs/reliability.md dist/history.json
//
// With -servers each file is a column, a pair of servers. The exit code is 1 where a test failed
// or wasn't run.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("matrix", flag.ContinueOnError)
	servers := flags.String("servers", "", "the page that gets the table of the pairs of servers")
	figures := flags.String("figures", "", "the page that gets the figures of the history")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var columns []*column
	for _, name := range flags.Args() {
		c, err := readColumn(name)
		if err != nil {
			return err
		}
		columns = append(columns, c)
	}
	if len(columns) == 0 {
		return errors.New("no output of go test -json is named")
	}
	var wrong []error
	for _, c := range columns {
		wrong = append(wrong, c.failures()...)
	}
	if *servers != "" {
		table, err := serversTable(columns)
		wrong = append(wrong, err, replace(*servers, "servers", table))
	}
	if *figures != "" {
		wrong = append(wrong, replace(*figures, "figures", figuresTable(columns)))
	}
	return errors.Join(wrong...)
}

// replace puts text between the markers of that name in a page.
func replace(page, marker, text string) error {
	before, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+marker+" -->\n", "<!-- end of "+marker+" -->\n"
	head, rest, found := bytes.Cut(before, []byte(begin))
	_, tail, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		return fmt.Errorf("%s has no lines %q and %q", page, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	after := slices.Concat(head, []byte(begin+"\n"+text+"\n"+end), tail)
	return os.WriteFile(page, after, 0o644)
}

// column is one run of the tests.
type column struct {
	name    string // of the file
	servers string // as the tests say
	tests   map[string]*outcome
	broken  []string // packages that failed without a failing test
}

// outcome is what became of a test or a part of one.
type outcome struct {
	action string // pass, fail or skip
	why    string // it was skipped
	attrs  [][2]string
}

func readColumn(name string) (*column, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	c, err := parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c.name = strings.TrimSuffix(filepath.Base(name), ".json")
	return c, nil
}

// saysServers is what a test binary prints before the servers' versions.
const saysServers = "servers: "

func parse(r io.Reader) (*column, error) {
	c := &column{tests: map[string]*outcome{}}
	failed := map[string]bool{} // packages with a failing test
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct{ Action, Package, Test, Output, Key, Value string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("no output of go test -json: %w", err)
		}
		if e.Test == "" {
			if said, ok := strings.CutPrefix(e.Output, saysServers); ok {
				c.servers = strings.TrimSpace(said)
			}
			if e.Action == "fail" && !failed[e.Package] {
				c.broken = append(c.broken, e.Package)
			}
			continue
		}
		if e.Action == "run" { // what was run again counts as it went then
			maps.DeleteFunc(c.tests, func(name string, _ *outcome) bool {
				return name == e.Test || strings.HasPrefix(name, e.Test+"/")
			})
		}
		o := c.tests[e.Test]
		if o == nil {
			o = &outcome{}
			c.tests[e.Test] = o
		}
		switch e.Action {
		case "pass", "fail", "skip":
			o.action = e.Action
			failed[e.Package] = failed[e.Package] || e.Action == "fail"
		case "output":
			o.why = reason(o.why, e.Output)
		case "attr":
			o.attrs = append(o.attrs, [2]string{e.Key, e.Value})
		}
	}
	return c, lines.Err()
}

var logged = regexp.MustCompile(`^\s+\w+\.go:\d+: (.+)`)

// reason returns the text of a test's last log line, "file.go:12: text".
func reason(before, line string) string {
	if m := logged.FindStringSubmatch(line); m != nil {
		return strings.TrimSpace(m[1])
	}
	return before
}

// failures are the tests that failed, and the packages that did without one.
func (c *column) failures() (all []error) {
	for name, o := range c.tests {
		if o.action == "fail" && !strings.Contains(name, "/") {
			all = append(all, fmt.Errorf("%s: %s failed", c.name, name))
		}
	}
	for _, p := range c.broken {
		all = append(all, fmt.Errorf("%s: %s failed outside its tests", c.name, p))
	}
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return all
}

// Package compare measures contenders side by side and writes down what it saw: benchmark
// text that benchstat reads, a report in Markdown and a chart of each table.
//
// The contenders of a table take turns (A B C, A B C, …), so that whatever else the machine
// does hits all of them alike, and each round gives one ratio of each contender to the first.
// The report has the median of these ratios and their range.
package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Table is one comparison.
type Table struct {
	// Name is that of the table's files: lower case letters, digits and hyphens.
	Name string
	// Title and Text say what is compared and what for, in Markdown.
	Title, Text string
	// Metrics are what is shown of each measurement; the first is charted, with its ratios.
	Metrics []Metric
	// Cases are what each contender is measured with, such as "100 keys".
	Cases []string
	// Contenders take turns. Ratios are to the first.
	Contenders []Contender
	// MaxRounds bounds the rounds of what is slow to measure; 0: as many as asked for.
	MaxRounds int
	// CaseRounds bounds those of single cases.
	CaseRounds map[string]int
	// Curve charts lines, not bars: the first metric over the first number in the names of
	// the cases, which this names, such as "clusters". Both axes are logarithmic.
	Curve string
	// Setup is called once before the first measurement; nil: nothing to do. With
	// ErrNotApplicable there is nothing to measure here: the table stays what it was.
	Setup func(context.Context, *Env) error
}

// Metric is one kind of figure. Less is better.
type Metric struct {
	Unit string // as in Measures; "ns" and "B", also as in "ns/op" and "peak-B", are shown in fitting multiples
	Name string // the head of its column
}

// The metrics of a Go benchmark.
var (
	Time        = Metric{"ns/op", "time"}
	Memory      = Metric{"B/op", "allocated"}
	Allocations = Metric{"allocs/op", "allocations"}
)

// Contender is one way to do what a table is about.
type Contender struct {
	Name string
	// Modules are those whose versions the report names.
	Modules []string
	// Measure does it once, or often enough, and returns what one time took.
	// ErrNotApplicable leaves the contender out of a case.
	Measure func(ctx context.Context, env *Env, name string) (Measures, error)
}

// Measures are the figures of one measurement by their units.
type Measures map[string]float64

// ErrNotApplicable says that a contender has nothing to measure in a case.
var ErrNotApplicable = errors.New("not applicable")

// Env is what measurements share in one run.
type Env struct {
	// Root is the directory of harvest's own module, Dir one that goes when the run ends.
	Root, Dir string
	// Short asks for a quick run, whose figures nobody will quote.
	Short bool

	versions []string
	notes    []string
	cleanups []func()
}

// Version names the version of something that no Go module's version tells.
func (e *Env) Version(what, version string) {
	e.versions = append(e.versions, what+" "+version)
}

// Note is shown below the table: what was seen that is no contender's figure. One line of
// Markdown; the same one again says nothing.
func (e *Env) Note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(e.notes, text) {
		e.notes = append(e.notes, text)
	}
}

// Cleanup is called when the table's last measurement is done, the last one first.
func (e *Env) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }

func (e *Env) close() {
	for _, f := range slices.Backward(e.cleanups) {
		f()
	}
	e.cleanups, e.versions, e.notes = nil, nil, nil
}

// Benchmark measures a Go benchmark: "ns/op", "B/op", "allocs/op" and what it reports itself.
func Benchmark(f func(*testing.B)) (Measures, error) {
	failed := true
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		f(b)
		failed = b.Failed()
	})
	if failed || result.N == 0 {
		return nil, errors.New("the benchmark failed")
	}
	measures := Measures{
		"ns/op":     float64(result.T.Nanoseconds()) / float64(result.N),
		"B/op":      float64(result.AllocedBytesPerOp()),
		"allocs/op": float64(result.AllocsPerOp()),
	}
	maps.Copy(measures, result.Extra)
	return measures, nil
}

// root returns the directory of harvest's own module: the one above bench's.
func root() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	root := filepath.Dir(wd)
	if _, err := os.Stat(filepath.Join(root, "jwks", "parse.go")); err != nil {
		return "", fmt.Errorf("to be run in harvest's bench directory: %w", err)
	}
	return root, nil
}

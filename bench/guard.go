package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/jwksharvest/harvest/bench/internal/compare"
)

// recordedFile holds what make bench-check compares with; make bench-record writes it.
const recordedFile = "recorded.json"

const (
	guardRounds = 9
	// slowdown is by how much the time may grow, against another library's in the same
	// process, before the check fails: machines differ, and so does their noise.
	slowdown = 2
	// allocationRuns are averaged, so that what is pooled counts as nothing.
	allocationRuns = 20
)

// recorded is what conversion, judging included, costs.
type recorded struct {
	Go    string               `json:"go"` // the minor version: another allocates otherwise
	Cases map[string]guardCase `json:"cases"`
}

type guardCase struct {
	Allocations float64 `json:"allocations"`
	// Time is harvest's, divided by that of go-jose, crypto/x509 and encoding/pem.
	Time float64 `json:"time"`
}

// measureGuard measures what is recorded. Nothing in it is an absolute time.
func measureGuard(ctx context.Context) (*recorded, error) {
	r := &recorded{Go: minorVersion(), Cases: map[string]guardCase{}}
	for _, name := range []string{caseName(kindRSA, 1), caseName(kindRSA, 100), caseName(kindEd25519, 100), caseName(kindMixed, 100)} {
		kind, count, err := parseCaseName(name)
		if err != nil {
			return nil, err
		}
		document, err := keySet(kind, count)
		if err != nil {
			return nil, err
		}
		if err := sameBlocks(document); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		ours, other := testingBenchmark(document, convertHarvest), testingBenchmark(document, convertJose)
		ratio, err := compare.TimeRatio(ctx, guardRounds, ours, other)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r.Cases[name] = guardCase{Allocations: allocations(document), Time: math.Round(ratio*100) / 100}
	}
	return r, nil
}

func testingBenchmark(document []byte, convert converter) func(*testing.B) {
	return func(b *testing.B) {
		for b.Loop() {
			if _, err := convert(document); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// allocations counts without the garbage collector, which empties pools.
func allocations(document []byte) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	return testing.AllocsPerRun(allocationRuns, func() {
		if _, err := convertHarvest(document); err != nil {
			panic(err) // sameBlocks had no objection
		}
	})
}

// check compares with what is recorded.
func check(ctx context.Context, log io.Writer) error {
	data, err := os.ReadFile(recordedFile)
	if err != nil {
		return err
	}
	var want recorded
	if err := json.Unmarshal(data, &want); err != nil {
		return fmt.Errorf("%s: %w", recordedFile, err)
	}
	if want.Go != minorVersion() {
		return fmt.Errorf("%s is of %s, and this is %s: make bench-record on the last commit that passed, and compare by hand", recordedFile, want.Go, minorVersion())
	}
	got, err := measureGuard(ctx)
	if err != nil {
		return err
	}
	return judgeGuard(&want, got, log)
}

// judgeGuard returns an error for each figure that is past what is recorded.
func judgeGuard(want, got *recorded, log io.Writer) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(got.Cases)) {
		g, w := got.Cases[name], want.Cases[name]
		fmt.Fprintf(log, "%s: %.0f allocations (recorded: %.0f), %.2f of go-jose's time (recorded: %.2f)\n",
			name, g.Allocations, w.Allocations, g.Time, w.Time)
		if g.Allocations != w.Allocations {
			faults = append(faults, fmt.Errorf("%s: %.0f allocations, recorded %.0f: if that is meant, make bench-record", name, g.Allocations, w.Allocations))
		}
		if g.Time > slowdown*w.Time {
			faults = append(faults, fmt.Errorf("%s: %.2f of go-jose's time, more than %d times the recorded %.2f", name, g.Time, slowdown, w.Time))
		}
	}
	if len(got.Cases) != len(want.Cases) {
		faults = append(faults, fmt.Errorf("%d cases, %d recorded", len(got.Cases), len(want.Cases)))
	}
	return errors.Join(faults...)
}

// recordGuard writes what is measured to recordedFile.
func recordGuard(ctx context.Context) error {
	r, err := measureGuard(ctx)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(recordedFile, append(data, '\n'), 0o644)
}

// minorVersion returns such as "go1.26".
func minorVersion() string {
	parts := strings.SplitN(runtime.Version(), ".", 3)
	if len(parts) < 2 {
		return runtime.Version()
	}
	return parts[0] + "." + parts[1]
}

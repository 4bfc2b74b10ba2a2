package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jwksharvest/harvest/bench/internal/compare"
)

// buildParts builds the benchmarks of package jwks, which can do what no importer can:
// convert without judging, and judge known keys as if they were new.
func buildParts(ctx context.Context, env *compare.Env) error {
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", filepath.Join(env.Dir, "jwks.test"), "./jwks")
	build.Dir = env.Root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the benchmarks of jwks: %w: %s", err, out)
	}
	return nil
}

// part measures one of them.
func part(documents map[string][]byte, name string) func(context.Context, *compare.Env, string) (compare.Measures, error) {
	return func(ctx context.Context, env *compare.Env, caseName string) (compare.Measures, error) {
		document, err := writeDocument(env, documents[caseName])
		if err != nil {
			return nil, err
		}
		run := exec.CommandContext(ctx, filepath.Join(env.Dir, "jwks.test"),
			"-test.run", "^$", "-test.bench", "^BenchmarkParts$/^"+name+"$", "-test.benchtime", benchtime(env))
		run.Dir, run.Env = env.Root, append(os.Environ(), "HARVEST_JWKS="+document)
		out, err := run.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "BenchmarkParts/"+name) {
				return readMeasures(strings.Fields(line)[2:])
			}
		}
		return nil, fmt.Errorf("no benchmark %s: %s", name, out)
	}
}

// readMeasures reads pairs of a value and its unit.
func readMeasures(fields []string) (compare.Measures, error) {
	measures := compare.Measures{}
	for i := 0; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return nil, err
		}
		measures[fields[i+1]] = value
	}
	return measures, nil
}

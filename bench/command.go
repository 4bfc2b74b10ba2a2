package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jwksharvest/harvest/bench/internal/compare"
)

// The metrics of a process.
var processMetrics = []compare.Metric{{Unit: "ns", Name: "time"}, {Unit: "cpu-ns", Name: "CPU"}, {Unit: "peak-B", Name: "peak memory"}}

const (
	caseOneKey    = "1 RSA key"
	caseThreeKeys = "3 RSA keys"
	caseEd25519   = "1 Ed25519 key"
)

// command compares harvest pem with pem-jwk, as processes.
func command() *compare.Table {
	var harvest, other, libraries, judge, empty string
	files := map[string]string{} // key sets, by case
	run := func(args func(file string) []string) func(context.Context, *compare.Env, string) (compare.Measures, error) {
		return func(ctx context.Context, _ *compare.Env, name string) (compare.Measures, error) {
			return repeated(ctx, 3, os.Environ(), args(files[name])...)
		}
	}
	pemJWKOf := func(file string) []string {
		if file == files[caseOneKey] {
			return []string{other, file + ".key"}
		}
		return []string{"sh", "-c", `jq -c '.keys[]' "$0" | while read -r key; do printf %s "$key" | "$1"; done`, file, other}
	}
	return &compare.Table{
		Name:  "command",
		Title: "The command: a key set to PEM",
		Text: "A whole process, from its start to its end: `harvest pem FILE`, `pem-jwk FILE`, and two Go programs that do nothing: one that links " +
			"the libraries that harvest is built on (Vault's client, Prometheus' metrics, HCL and the like), which set themselves " +
			"up before any program begins, and one that links none. An RSA key is judged before it is printed, which is nearly all that harvest adds to its libraries: the row of a program that " +
			"calls `jwks.Judge` and links nothing else. An Ed25519 key takes no such judgement. " +
			"pem-jwk takes one RSA key, not a set: of more, `jq` takes the set apart and it is started for each.",
		Metrics: processMetrics,
		Cases:   []string{caseOneKey, caseThreeKeys, caseEd25519},
		Contenders: []compare.Contender{
			{Name: "harvest pem", Measure: run(func(file string) []string { return []string{harvest, "pem", file} })},
			{Name: "pem-jwk", Measure: func(ctx context.Context, env *compare.Env, name string) (compare.Measures, error) {
				if name == caseEd25519 {
					return nil, compare.ErrNotApplicable
				}
				return run(pemJWKOf)(ctx, env, name)
			}},
			{Name: "harvest's libraries alone", Measure: run(func(string) []string { return []string{libraries} })},
			{Name: "judging alone", Measure: run(func(file string) []string { return []string{judge, file} })},
			{Name: "empty Go program", Measure: run(func(string) []string { return []string{empty} })},
		},
		Setup: func(ctx context.Context, env *compare.Env) (err error) {
			if other, err = pemJWK(ctx, env); err != nil {
				return err
			}
			if err := need(ctx, env, "jq"); err != nil {
				return err
			}
			if harvest, err = buildHarvest(ctx, env); err != nil {
				return err
			}
			if libraries, err = buildLibraries(ctx, env); err != nil {
				return err
			}
			if empty, err = buildEmpty(ctx, env); err != nil {
				return err
			}
			if judge, err = buildJudge(ctx, env); err != nil {
				return err
			}
			for name, set := range map[string]struct {
				kind  string
				count int
			}{caseOneKey: {kindRSA, 1}, caseThreeKeys: {kindRSA, 3}, caseEd25519: {kindEd25519, 1}} {
				if files[name], err = writeKeySet(env, set.kind, set.count); err != nil {
					return err
				}
			}
			if err := sameKey(ctx, harvest, other, files[caseOneKey]); err != nil {
				return err
			}
			return noteStart(ctx, env, harvest, files[caseOneKey])
		},
	}
}

// writeKeySet writes a set to a file, and its first key to another one that ends with .key.
func writeKeySet(env *compare.Env, kind string, count int) (string, error) {
	document, err := keySet(kind, count)
	if err != nil {
		return "", err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return "", err
	}
	file := filepath.Join(env.Dir, fmt.Sprintf("%d-keys-%s.json", count, strings.Fields(kind)[0]))
	if err := os.WriteFile(file+".key", set.Keys[0], 0o600); err != nil {
		return "", err
	}
	return file, os.WriteFile(file, document, 0o600)
}

// sameKey makes sure that both commands print the same key. pem-jwk prints PKCS #1, which
// Vault refuses.
func sameKey(ctx context.Context, harvest, other, file string) error {
	ours, err := output(ctx, os.Environ(), harvest, "pem", file)
	if err != nil {
		return err
	}
	theirs, err := output(ctx, os.Environ(), other, file+".key")
	if err != nil {
		return err
	}
	a, err := publicKeyOf(ours)
	if err != nil {
		return err
	}
	b, err := publicKeyOf(theirs)
	if err != nil {
		return err
	}
	if !a.Equal(b) {
		return fmt.Errorf("two keys of %s: %s and %s", file, ours, theirs)
	}
	return nil
}

var initLine = regexp.MustCompile(`(?m)^init (\S+) @\S+ ms, (\S+) ms clock, (\d+) bytes, (\d+) allocs$`)

// noteStart says what packages do before main (GODEBUG=inittrace=1), the middle of ten runs.
func noteStart(ctx context.Context, env *compare.Env, harvest, file string) error {
	type initialized struct {
		name          string
		ms            []float64
		bytes, allocs int
	}
	packages := map[string]*initialized{}
	const runs = 10
	for range runs {
		cmd := exec.CommandContext(ctx, harvest, "pem", file)
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return err
		}
		for _, found := range initLine.FindAllStringSubmatch(stderr.String(), -1) {
			p := packages[found[1]]
			if p == nil {
				p = &initialized{name: found[1]}
				packages[found[1]] = p
			}
			ms, err := strconv.ParseFloat(found[2], 64)
			if err != nil {
				return err
			}
			p.ms = append(p.ms, ms)
			p.bytes, _ = strconv.Atoi(found[3])
			p.allocs, _ = strconv.Atoi(found[4])
		}
	}
	var all []*initialized
	sum := initialized{ms: []float64{0}}
	for _, p := range packages {
		slices.Sort(p.ms)
		p.ms = []float64{p.ms[len(p.ms)/2]}
		sum.ms[0] += p.ms[0]
		sum.bytes += p.bytes
		sum.allocs += p.allocs
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *initialized) int {
		return cmp.Or(cmp.Compare(b.ms[0], a.ms[0]), cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.name, b.name))
	})
	var top []string
	for _, p := range all[:min(8, len(all))] {
		top = append(top, fmt.Sprintf("`%s` %.2f ms (%d KiB, %d allocations)", p.name, p.ms[0], p.bytes>>10, p.allocs))
	}
	env.Note("Before `main`, %d packages set themselves up in %.1f ms (%d KiB, %d allocations; the middle of %d runs with `GODEBUG=inittrace=1`), above all %s.",
		len(all), sum.ms[0], sum.bytes>>10, sum.allocs, runs, strings.Join(top, ", "))
	return nil
}

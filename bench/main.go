// Bench compares harvest with other ways to the same end, in one session, and writes down
// what it measured:
//
//	make bench                       every table, 10 rounds (ROUNDS=3 for a quick look)
//	make bench TABLES=conversion     those whose names match
//	make bench-report                RESULTS.md and the charts again, from results/*.txt
//	make bench-check                 fails where the conversion got dearer than recorded.json says
//	make bench-record                recorded.json again, after a change that is meant to
//
// The tables command and pipeline need npm's pem-jwk, jq, curl and openssl (root installs
// what is missing, and pem-jwk goes into the user's cache), pipeline, mounts and logins the
// lab's servers (make lab). A table without what it needs is left out, which is said.
//
// A table is a file of its own here, listed in tables.go. The contenders of a table take
// turns in each round; ratios are taken round by round. RESULTS.md and charts/*.svg are
// made from results/*.txt, which benchstat reads as well.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"testing"

	"github.com/jwksharvest/harvest/bench/internal/compare"
)

func main() {
	compare.Launch()
	if child(os.Args[1:]) {
		return
	}
	testing.Init() // its flags rule testing.Benchmark
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// shortRounds is the number of rounds below which a run is a quick one.
const shortRounds = 5

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	rounds := flags.Int("rounds", 10, "how often each contender has its turn")
	names := flags.String("tables", "", "a regular expression: the tables to measure; all by default")
	reportOnly := flags.Bool("report", false, "measure nothing: write the report from results/*.txt")
	checkOnly := flags.Bool("check", false, "compare with recorded.json, and nothing else")
	recordOnly := flags.Bool("record", false, "write recorded.json, and nothing else")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*names)
	if err != nil {
		return err
	}
	if *rounds < 1 {
		return fmt.Errorf("%d rounds", *rounds)
	}
	short := *rounds < shortRounds
	if err := flag.Set("test.benchtime", benchtime(&compare.Env{Short: short})); err != nil {
		return err
	}
	switch {
	case *checkOnly:
		return check(ctx, os.Stdout)
	case *recordOnly:
		return recordGuard(ctx)
	}
	tables := tables()
	for _, t := range tables {
		if *reportOnly || !wanted.MatchString(t.Name) {
			continue
		}
		if err := compare.Run(ctx, t, *rounds, short, os.Stderr); err != nil {
			return err
		}
	}
	return compare.Report(tables, headline)
}

// benchtime is how long a benchmark runs.
func benchtime(env *compare.Env) string {
	if env.Short {
		return "20ms"
	}
	return "100ms"
}

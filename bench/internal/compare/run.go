package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Run measures one table for so many rounds, reports progress to log and writes
// results/NAME.txt in the current directory.
func Run(ctx context.Context, t *Table, rounds int, short bool, log io.Writer) error {
	if t.MaxRounds > 0 {
		rounds = min(rounds, t.MaxRounds)
	}
	root, err := root()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "harvest-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	env := &Env{Root: root, Dir: dir, Short: short}
	defer env.close()

	begin := time.Now()
	if t.Setup != nil {
		err := t.Setup(ctx, env)
		if errors.Is(err, ErrNotApplicable) {
			fmt.Fprintf(log, "%s: LEFT OUT: %v\n", t.Name, err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	record := newRecord(t, env)
	// A round goes through all cases: those of one case are then spread over the whole time,
	// and see the machine in all its moods.
	absent := map[sampleKey]bool{}
	for round := range rounds {
		fmt.Fprintf(log, "%s: round %d of %d\n", t.Name, round+1, rounds)
		for _, name := range t.Cases {
			if most, ok := t.CaseRounds[name]; ok && round >= most {
				continue
			}
			for _, c := range t.Contenders {
				key := sampleKey{name, c.Name}
				if absent[key] {
					continue
				}
				measures, err := measure(ctx, env, c, name)
				if errors.Is(err, ErrNotApplicable) {
					absent[key] = true
					continue
				}
				if err != nil {
					return fmt.Errorf("%s: %s: %s: %w", t.Name, name, c.Name, err)
				}
				record.add(name, c.Name, measures)
			}
		}
	}
	for _, note := range env.notes {
		record.config = append(record.config, [2]string{"note", note})
	}
	fmt.Fprintf(log, "%s: %d s\n", t.Name, int(time.Since(begin).Seconds()))
	file := filepath.Join("results", t.Name+".txt")
	if before, err := readRecord(t, file); err == nil { // else of another table, or none
		compareAgain(before, record, log)
	}
	return record.write(file)
}

func counted(rounds int) string {
	if rounds == 1 {
		return "1 round"
	}
	return fmt.Sprintf("%d rounds", rounds)
}

func measure(ctx context.Context, env *Env, c Contender, name string) (Measures, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	runtime.GC() // the garbage of one is not the next one's to collect
	return c.Measure(ctx, env, name)
}

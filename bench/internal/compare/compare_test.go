package compare

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func testTable() *Table {
	return &Table{
		Name: "some-table", Title: "Some <table>", Text: "Text.", Metrics: []Metric{Time, Memory},
		Cases:      []string{"RSA, 1 key", "slow"},
		Contenders: []Contender{{Name: "ours"}, {Name: "theirs & co"}},
	}
}

// What is written is read as the same, and the ratios are those of each round.
func TestRecord(t *testing.T) {
	table := testTable()
	written := newRecord(table, &Env{Root: t.TempDir()})
	for _, round := range [][2]float64{{100, 200}, {1000, 3000}, {10, 15}} {
		written.add("RSA, 1 key", "ours", Measures{"ns/op": round[0], "B/op": 2048})
		written.add("RSA, 1 key", "theirs & co", Measures{"ns/op": round[1], "B/op": 1 << 20})
	}
	written.add("slow", "ours", Measures{"ns/op": 5e9})
	file := filepath.Join(t.TempDir(), "results", "some-table.txt")
	if err := written.write(file); err != nil {
		t.Fatal(err)
	}
	r, err := readRecord(table, file)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.ratio("RSA, 1 key", "theirs & co"); got != (spread{2, 1.5, 3}) {
		t.Errorf("ratio %+v", got)
	}
	section := r.section([]string{""})
	for _, line := range []string{
		"| RSA, 1 key | ours | 100 ns | 1 | 2.00 KiB |",
		"|  | theirs & co | 200 ns | 2.00 (1.50 to 3.00) | 1.00 MiB |",
		"| slow | ours | 5.00 s | 1 | |",
		"3 rounds (slow: 1), ",
	} {
		if !strings.Contains(section, line) {
			t.Errorf("no line %q in\n%s", line, section)
		}
	}
	decoder := xml.NewDecoder(bytes.NewReader(r.chart()))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	table.Cases = []string{"another"}
	if _, err := readRecord(table, file); err == nil {
		t.Error("read for a table that has changed")
	}
}

func TestMain(m *testing.M) {
	Launch()
	os.Exit(m.Run())
}

// What is outside the range of the run before is named.
func TestAgain(t *testing.T) {
	run := func(ratios ...float64) *record {
		r := newRecord(testTable(), &Env{Root: t.TempDir()})
		for _, ratio := range ratios {
			r.add("slow", "ours", Measures{"ns/op": 10})
			r.add("slow", "theirs & co", Measures{"ns/op": 10 * ratio})
		}
		return r
	}
	for name, test := range map[string]struct {
		before, now *record
		want        string
	}{
		"within": {run(2, 3, 5), run(4, 4, 9), "some-table: 1 of 1 ratios lie within the range of the run before\n"},
		"outside": {run(2, 3, 5), run(1, 1, 3), "some-table: slow, theirs & co: 1.00 (1.00 to 3.00), and 3.00 (2.00 to 5.00) in the run before\n" +
			"some-table: 0 of 1 ratios lie within the range of the run before\n"},
		"a new case": {run(), run(1), ""},
	} {
		var log strings.Builder
		compareAgain(test.before, test.now, &log)
		if log.String() != test.want {
			t.Errorf("%s: %q", name, log.String())
		}
	}
}

// A process is measured alone: this one's memory isn't counted as its own.
func TestProcess(t *testing.T) {
	ballast := bytes.Repeat([]byte{1}, 256<<20)
	measures, err := Process(t.Context(), "", nil, "/bin/sh", "-c", "true")
	if err != nil {
		t.Fatal(err)
	}
	if peak := measures["peak-B"]; peak <= 0 || peak > 128<<20 || measures["ns"] <= 0 {
		t.Errorf("%v beside %d bytes", measures, len(ballast))
	}
	if _, err := Process(t.Context(), "", nil, "/bin/sh", "-c", "echo why >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a failure came to %v", err)
	}
}

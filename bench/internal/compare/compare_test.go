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
	if got := r.ratio("RSA, 1 key", "theirs & co"); got != (spread{2, 1.75, 2.5}) {
		t.Errorf("ratio %+v", got)
	}
	section := r.section([]string{""})
	for _, line := range []string{
		"| RSA, 1 key | ours | 100 ns | 1 | 2.00 KiB |",
		"|  | theirs & co | 200 ns | 2.00 (1.75 to 2.50) | 1.00 MiB |",
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

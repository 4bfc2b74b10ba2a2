package compare

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestFirstNumber(t *testing.T) {
	for name, want := range map[string]float64{"1 key": 1, "1,000 clusters, 10 mounts": 1000, "into 100 mounts": 100, "no change": 0} {
		if got := FirstNumber(name); got != want {
			t.Errorf("%q: %v instead of %v", name, got, want)
		}
	}
}

func TestCurve(t *testing.T) {
	table := &Table{
		Name: "curve", Title: "A <curve>", Curve: "keys", Metrics: []Metric{{"ns", "time"}},
		Cases: []string{"1 key", "1,000 keys"}, Contenders: []Contender{{Name: "one"}, {Name: "other"}, {Name: "absent"}},
	}
	r := &record{table: table, samples: map[sampleKey][]Measures{}}
	for _, name := range table.Cases {
		r.add(name, "one", Measures{"ns": 1e6 * FirstNumber(name)})
		r.add(name, "other", Measures{"ns": 5e6})
	}
	picture := r.picture()
	for decoder := xml.NewDecoder(bytes.NewReader(picture)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	text := string(picture)
	if n := strings.Count(text, "<polyline"); n != 2 {
		t.Errorf("%d lines instead of 2", n)
	}
	if n := strings.Count(text, "<circle"); n != 4 {
		t.Errorf("%d points instead of 4", n)
	}
	for _, want := range []string{"A &lt;curve&gt;", ">1,000<", ">10.0 ms<", ">other<"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the chart", want)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("a point that isn't one")
	}
}

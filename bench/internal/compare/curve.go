package compare

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// picture is the table's chart: bars, or lines where it has a Curve.
func (r *record) picture() []byte {
	if r.table.Curve != "" {
		return r.curve()
	}
	return r.chart()
}

// Measures of a chart with lines, in pixels.
const (
	curveLeft   = 74
	curveTop    = 64
	curveRight  = 250 // the names of the lines
	curveHeight = 300
	curveLabel  = 14
)

// The lines are told apart by their dashes too.
var curveStrokes = []struct{ colour, dashes string }{
	{"#1a7f37", ""}, {"#0969da", ""}, {"#8250df", ""}, {"#bc4c00", "6 3"}, {"#cf222e", "2 3"}, {"#6e7781", "8 3 2 3"},
}

type point struct{ x, y float64 }

// curve draws a line for each contender, of the medians of the first metric.
func (r *record) curve() []byte {
	t := r.table
	unit := t.Metrics[0].Unit
	lines := make([][]point, len(t.Contenders))
	lowX, highX, lowY, highY := math.Inf(1), 0.0, math.Inf(1), 0.0
	for i, c := range t.Contenders {
		for _, name := range t.Cases {
			series := r.series(name, c.Name, unit)
			x := FirstNumber(name)
			if y := spreadOf(series).median; len(series) > 0 && x > 0 && y > 0 {
				lines[i] = append(lines[i], point{x, y})
				lowX, highX, lowY, highY = min(lowX, x), max(highX, x), min(lowY, y), max(highY, y)
			}
		}
	}
	lowY, highY = lowY/1.3, highY*1.3
	width := float64(chartWidth - curveLeft - curveRight - chartMargin)
	at := func(p point) (float64, float64) {
		return curveLeft + width*along(p.x, lowX, highX), curveTop + curveHeight*(1-along(p.y, lowY, highY))
	}

	var out bytes.Buffer
	height := curveTop + curveHeight + 50
	fmt.Fprintf(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %[2]d\" role=\"img\" aria-label=\"%s\">\n", chartWidth, height, escape(t.Title))
	out.WriteString(chartStyle)
	fmt.Fprintf(&out, "<rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", chartWidth-1, height-1)
	fmt.Fprintf(&out, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", chartMargin, chartMargin+14, escape(t.Title))
	fmt.Fprintf(&out, "<text class=\"note\" x=\"%d\" y=\"%d\">%s over %s; less is better; both logarithmic</text>\n", chartMargin, chartMargin+34, escape(t.Metrics[0].Name), escape(t.Curve))
	for _, y := range ticks(lowY, highY) {
		_, py := at(point{lowX, y})
		fmt.Fprintf(&out, "<line x1=\"%d\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%[3]f\" stroke=\"#8c959f\" stroke-opacity=\"0.35\"/>\n", curveLeft, curveLeft+width, py)
		fmt.Fprintf(&out, "<text class=\"note\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", curveLeft-8, py+4, escape(quantity(y, unit)))
	}
	for _, name := range t.Cases {
		x := FirstNumber(name)
		if x <= 0 {
			continue
		}
		px, _ := at(point{x, lowY})
		fmt.Fprintf(&out, "<text class=\"note\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", px, curveTop+curveHeight+20, escape(grouped(x)))
	}
	fmt.Fprintf(&out, "<text class=\"note\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", curveLeft+width/2, curveTop+curveHeight+38, escape(t.Curve))
	shown := 0
	for i, c := range t.Contenders {
		if len(lines[i]) == 0 {
			continue
		}
		stroke := curveStrokes[i%len(curveStrokes)]
		var path strings.Builder
		for _, p := range lines[i] {
			px, py := at(p)
			fmt.Fprintf(&path, "%.1f,%.1f ", px, py)
			fmt.Fprintf(&out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", px, py, stroke.colour)
		}
		fmt.Fprintf(&out, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\"/>\n", strings.TrimSpace(path.String()), stroke.colour, stroke.dashes)
		// The names stand in a legend: lines that end at one height would hide each other's.
		lx, ly := float64(chartWidth-curveRight), curveTop+curveLabel+shown*(curveLabel+8)
		shown++
		fmt.Fprintf(&out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%[3]d\" stroke=\"%[4]s\" stroke-width=\"2\" stroke-dasharray=\"%[5]s\"/>\n", lx, lx+26, ly-4, stroke.colour, stroke.dashes)
		fmt.Fprintf(&out, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", lx+34, ly, escape(c.Name))
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// along says how far value is from low to high, on a logarithmic scale.
func along(value, low, high float64) float64 {
	if high <= low {
		return 0
	}
	return math.Log(value/low) / math.Log(high/low)
}

// ticks are 1, 2 and 5 times each power of ten between low and high; only the powers where
// these are many.
func ticks(low, high float64) []float64 {
	steps := []float64{1, 2, 5}
	if high/low > 1000 {
		steps = steps[:1]
	}
	var all []float64
	for power := math.Pow(10, math.Floor(math.Log10(low))); power <= high; power *= 10 {
		for _, step := range steps {
			if y := step * power; y >= low && y <= high {
				all = append(all, y)
			}
		}
	}
	return all
}

var number = regexp.MustCompile(`[0-9][0-9,]*`)

// FirstNumber returns the first number in a name such as "1,000 clusters"; 0 for none.
func FirstNumber(name string) float64 {
	n, err := strconv.ParseFloat(strings.ReplaceAll(number.FindString(name), ",", ""), 64)
	if err != nil {
		return 0
	}
	return n
}

// grouped writes a whole number with commas between thousands.
func grouped(n float64) string {
	digits := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

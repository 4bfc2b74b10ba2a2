package compare

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

// Measures of a chart in pixels.
const (
	chartWidth   = 760
	chartMargin  = 16
	chartNames   = 240 // the column of the contenders' names
	chartFigures = 170 // room for the figures after the longest bar
	chartBar     = 14
	chartStep    = 20
	chartGap     = 14 // between two cases
)

// A chart brings its own background, so that its text can be read wherever it is shown.
const chartStyle = `<style>
  .ground { fill: #ffffff; stroke: #d0d7de }
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .case { font-weight: 600 }
  .note { fill: #59636e }
  .first { fill: #1a7f37 }
  .other { fill: #8c959f }
  .spread { stroke: #1f2328; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #30363d }
    text { fill: #e6edf3 }
    .note { fill: #9198a1 }
    .first { fill: #3fb950 }
    .other { fill: #6e7681 }
    .spread { stroke: #e6edf3 }
  }
</style>
`

// chart draws a bar for each contender in each case: its ratio to the first contender, with
// the range of the ratios as a line. Where the ratios are more than thirtyfold apart
// the scale is logarithmic, and says so.
func (r *record) chart() []byte {
	t := r.table
	lowest, highest := 1.0, 1.0
	for _, name := range t.Cases {
		for _, c := range t.Contenders {
			if ratio := r.ratio(name, c.Name); !math.IsNaN(ratio.median) {
				lowest, highest = min(lowest, ratio.median), max(highest, ratio.high)
			}
		}
	}
	logarithmic := lowest > 0 && highest/lowest > 30
	room := float64(chartWidth - 2*chartMargin - chartNames - chartFigures)
	at := func(ratio float64) float64 {
		if logarithmic {
			from := math.Log(lowest / 2)
			return room * max(0, math.Log(ratio)-from) / (math.Log(highest) - from)
		}
		return room * ratio / highest
	}

	var bars bytes.Buffer
	y := chartMargin + 44
	for _, name := range t.Cases {
		y += chartGap
		fmt.Fprintf(&bars, "<text class=\"case\" x=\"%d\" y=\"%d\">%s</text>\n", chartMargin, y, escape(name))
		y += 8
		for i, c := range t.Contenders {
			series := r.series(name, c.Name, t.Metrics[0].Unit)
			if len(series) == 0 {
				continue
			}
			class, ratio := "other", r.ratio(name, c.Name)
			if i == 0 {
				class, ratio = "first", spread{1, 1, 1}
			}
			left, figure := float64(chartMargin+chartNames), quantity(spreadOf(series).median, t.Metrics[0].Unit)
			fmt.Fprintf(&bars, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", chartMargin+chartNames-8, y+chartBar-3, escape(c.Name))
			end := 0.0
			if !math.IsNaN(ratio.median) {
				end = max(at(ratio.median), at(ratio.high))
				figure += " · " + factor(ratio.median) + "×"
				fmt.Fprintf(&bars, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n", class, left, y, max(1, at(ratio.median)), chartBar)
				if ratio.high > ratio.low {
					fmt.Fprintf(&bars, "<line class=\"spread\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%[3]d\"/>\n", left+at(ratio.low), left+at(ratio.high), y+chartBar/2)
				}
			}
			fmt.Fprintf(&bars, "<text class=\"note\" x=\"%.1f\" y=\"%d\">%s</text>\n", left+end+6, y+chartBar-3, escape(figure))
			y += chartStep
		}
		y += 4
	}
	note := fmt.Sprintf("%s, times %s; less is better", t.Metrics[0].Name, t.Contenders[0].Name)
	if logarithmic {
		note += "; logarithmic"
	}
	height := y + chartMargin
	var out bytes.Buffer
	fmt.Fprintf(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %[2]d\" role=\"img\" aria-label=\"%s\">\n", chartWidth, height, escape(t.Title))
	out.WriteString(chartStyle)
	fmt.Fprintf(&out, "<rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", chartWidth-1, height-1)
	fmt.Fprintf(&out, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", chartMargin, chartMargin+14, escape(t.Title))
	fmt.Fprintf(&out, "<text class=\"note\" x=\"%d\" y=\"%d\">%s</text>\n", chartMargin, chartMargin+34, escape(note))
	out.Write(bars.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

func escape(s string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return ""
	}
	return b.String()
}

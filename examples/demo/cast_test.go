package main

import (
	"bytes"
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fenced"
)

var update = flag.Bool("update", false, "play on real servers, and draw the cast again")

// file is the cast: what a run printed, as a picture.
const file = "../../docs/img/demo.svg"

// changing is what differs from run to run, and from real servers to stand-ins.
var changing = regexp.MustCompile(`^Servers: .*|^  logged in.*|127\.0\.0\.1:\d+|\b[0-9a-f]{8}\b|trusted (just now|\d+ min ago)`)

// masked returns the lines of a run without what differs.
func masked(lines []string) []string {
	same := make([]string, len(lines))
	for i, line := range lines {
		same[i] = changing.ReplaceAllString(line, "…")
	}
	return same
}

// TestCast: the cast in the documentation shows what the demonstration prints today.
func TestCast(t *testing.T) {
	start := standIns
	if *update {
		start = anyServers
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, start))
	played := strings.Split(strings.TrimSpace(out.String()), "\n")
	if *update {
		require.Contains(t, played[0], "real", "make lab builds the servers")
		require.NoError(t, os.WriteFile(file, cast(played), 0o644))
	}
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Less(t, len(kept), 60_000)
	var svg struct {
		Lines []string `xml:"g>text"`
	}
	require.NoError(t, xml.Unmarshal(kept, &svg))
	assert.Equal(t, masked(played), masked(svg.Lines), "make cast")
	assert.Equal(t, string(cast(svg.Lines)), string(kept), "the drawing of the same lines: make cast")
}

// TestReadme: what README.md shows of a sync's output is like what a sync prints.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	svg, err := os.ReadFile(file)
	require.NoError(t, err)
	varying := regexp.MustCompile(`https?://[^ <]+|\b[0-9a-f]{8}\b|\d+ (added|kept)`)
	blocks, ok := fenced.Blocks(string(readme))
	require.True(t, ok)
	lines := 0
	for _, b := range blocks {
		if b.Language != "text" {
			continue
		}
		for line := range strings.Lines(b.Text) {
			assert.Contains(t, varying.ReplaceAllString(string(svg), "…"), varying.ReplaceAllString(strings.TrimSpace(line), "…"))
			lines++
		}
	}
	assert.Equal(t, 6, lines)
}

// The size of a line, of a letter, and of the frame around them.
const (
	lineHeight, frame = 18, 16
	width             = 76*7.8 + 2*frame + 0.2
)

// cast draws lines as a terminal that prints them again and again. All of it stands in the
// picture; a curtain in the terminal's colour moves down over it, line by line. Where nothing
// moves, there is no curtain.
func cast(lines []string) []byte {
	var text, curtain bytes.Buffer
	at, times := 1.0, make([]float64, len(lines))
	for i, line := range lines {
		class := "out"
		switch strings.TrimSpace(line)[:min(1, len(strings.TrimSpace(line)))] {
		case "#":
			class, at = "say", at+2
		case "$":
			class, at = "type", at+0.8
		case "+":
			class = "new"
		}
		if i > 0 && strings.ContainsAny(lines[i-1][:min(1, len(lines[i-1]))], "#$") {
			at += 0.6
		}
		times[i] = at
		fmt.Fprintf(&text, "<text class=\"%s\" y=\"%d\">", class, (i+1)*lineHeight)
		_ = xml.EscapeText(&text, []byte(line)) // a Buffer takes everything
		text.WriteString("</text>\n")
	}
	whole, height := at+8, len(lines)*lineHeight
	for i, at := range times {
		if i == 0 || at > times[i-1] {
			fmt.Fprintf(&curtain, "%.2f%%{transform:translateY(%dpx)}", 100*at/whole, (next(times, i)-len(times))*lineHeight)
		}
	}
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="What make demo prints">
<style>
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d5d8da;white-space:pre}
.say{fill:#a0a8b0}.type{fill:#fff;font-weight:700}.new{fill:#7bd3a3}.ground{fill:#16191c}
@media (prefers-reduced-motion:no-preference){.curtain{animation:show %.1[3]fs step-end infinite}}
@keyframes show{0%%{transform:translateY(-%[4]dpx)}%[5]s100%%{transform:none}}
</style>
<rect class="ground" width="%[1]d" height="%[2]d" rx="8"/>
<g transform="translate(%[6]d %[7]d)" xml:space="preserve">
%[8]s</g>
<rect class="ground curtain" x="8" y="%[9]d" width="%[10]d" height="%[4]d"/>
</svg>
`, int(width), height+2*frame, whole, height, curtain.Bytes(), frame, frame-4, text.Bytes(), height+frame+2, int(width)-16)
}

// next returns how many lines are there once line i is.
func next(times []float64, i int) int {
	for i++; i < len(times) && times[i] == times[i-1]; i++ {
	}
	return i
}

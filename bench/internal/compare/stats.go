package compare

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// spread is the median of a series, its least and its greatest.
type spread struct{ median, low, high float64 }

func spreadOf(series []float64) spread {
	sorted := slices.Sorted(slices.Values(series))
	return spread{quantile(sorted, 0.5), quantile(sorted, 0), quantile(sorted, 1)}
}

// quantile interpolates between the two nearest figures of a sorted series.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	below := int(at)
	if below == len(sorted)-1 {
		return sorted[below]
	}
	return sorted[below] + (at-float64(below))*(sorted[below+1]-sorted[below])
}

// ratios divides two series, round by round.
func ratios(series, reference []float64) []float64 {
	list := make([]float64, 0, len(series))
	for i := range min(len(series), len(reference)) {
		if reference[i] != 0 {
			list = append(list, series[i]/reference[i])
		}
	}
	return list
}

// TimeRatio returns the median over the rounds of what one benchmark takes, divided by what
// the other does in its turn.
func TimeRatio(ctx context.Context, rounds int, one, other func(*testing.B)) (float64, error) {
	list := make([]float64, 0, rounds)
	for range rounds {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		a, err := Benchmark(one)
		if err != nil {
			return 0, err
		}
		b, err := Benchmark(other)
		if err != nil {
			return 0, err
		}
		list = append(list, a[Time.Unit]/b[Time.Unit])
	}
	return spreadOf(list).median, nil
}

func (s spread) String() string {
	return fmt.Sprintf("%s (%s to %s)", factor(s.median), factor(s.low), factor(s.high))
}

// factor writes a ratio with three significant digits.
func factor(f float64) string {
	switch {
	case math.IsNaN(f):
		return ""
	case f >= 99.95:
		return fmt.Sprintf("%.0f", f)
	case f >= 9.995:
		return fmt.Sprintf("%.1f", f)
	case f >= 0.0995:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.2g", f)
}

// quantity writes a figure in a multiple of its unit that fits.
func quantity(value float64, unit string) string {
	base, _, _ := strings.Cut(unit, "/")
	switch base[strings.LastIndexByte(base, '-')+1:] {
	case "ns":
		for _, step := range []struct {
			unit time.Duration
			name string
		}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
			if value >= float64(step.unit) {
				return factor(value/float64(step.unit)) + " " + step.name
			}
		}
		return factor(value) + " ns"
	case "B":
		for _, step := range []struct {
			bits int
			name string
		}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
			if size := float64(int64(1) << step.bits); value >= size {
				return factor(value/size) + " " + step.name
			}
		}
		return fmt.Sprintf("%.0f B", value)
	}
	if value == math.Trunc(value) {
		return fmt.Sprintf("%.0f", value)
	}
	return factor(value)
}

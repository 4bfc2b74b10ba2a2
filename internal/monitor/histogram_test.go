package monitor

import (
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
)

// TestContinued: a histogram goes on from what was written, or not at all.
func TestContinued(t *testing.T) {
	buckets := []float64{1, 2}
	written := func(count uint64, sum float64, pairs ...float64) *dto.Metric {
		h := &dto.Histogram{SampleCount: &count, SampleSum: &sum}
		for i := 0; i < len(pairs); i += 2 {
			n := uint64(pairs[i+1])
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &pairs[i], CumulativeCount: &n})
		}
		return &dto.Metric{Histogram: h}
	}
	h := continued(written(3, 10, 1, 1, 2, 2), buckets)
	observe(&h, buckets, 2*time.Second)
	assert.Equal(t, &histogram{count: 4, sum: 12, bounds: buckets, within: []uint64{1, 3}}, h)
	assert.Equal(t, map[float64]uint64{1: 1, 2: 3}, h.buckets())
	for name, m := range map[string]*dto.Metric{
		"no histogram":       {},
		"a bucket less":      written(3, 10, 1, 1),
		"another bucket":     written(3, 10, 1, 1, 3, 2),
		"counts that shrink": written(3, 10, 1, 2, 2, 1),
		"more than all":      written(3, 10, 1, 1, 2, 4),
		"a negative sum":     written(3, -1, 1, 1, 2, 2),
	} {
		assert.Nil(t, continued(m, buckets), name)
	}
}

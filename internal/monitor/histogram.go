package monitor

import (
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Histograms, without the prefix.
const (
	fetchDuration  = "fetch_duration_seconds"
	writeDuration  = "write_duration_seconds"
	publishToTrust = "publish_to_trust_seconds"
)

var (
	requestBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	// trustBuckets go from a rotation that was watched to one that cron found.
	trustBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 300}
)

// histogram counts durations. Prometheus's own can't go on from what a file holds, and each
// source has one: it is small.
type histogram struct {
	count  uint64
	sum    float64   // seconds
	bounds []float64 // the buckets; shared, not changed
	within []uint64  // by bucket: how many took at most that many seconds
}

func newHistogram(buckets []float64) *histogram {
	return &histogram{bounds: buckets, within: make([]uint64, len(buckets))}
}

// buckets returns the counts in Prometheus's form.
func (h *histogram) buckets() map[float64]uint64 {
	all := map[float64]uint64{}
	for i, bound := range h.bounds {
		all[bound] = h.within[i]
	}
	return all
}

// observe counts one more in a histogram, which is made where it is nil.
func observe(h **histogram, buckets []float64, d time.Duration) {
	if *h == nil {
		*h = newHistogram(buckets)
	}
	(*h).count++
	(*h).sum += d.Seconds()
	for i, bound := range (*h).bounds {
		if d.Seconds() <= bound {
			(*h).within[i]++
		}
	}
}

// continued returns the histogram that was written, or nil where it has other buckets.
func continued(m *dto.Metric, buckets []float64) *histogram {
	written, h := m.GetHistogram(), newHistogram(buckets)
	h.count, h.sum = written.GetSampleCount(), written.GetSampleSum()
	found, below := 0, uint64(0)
	for _, b := range written.GetBucket() {
		n := b.GetCumulativeCount()
		if n < below || n > h.count {
			return nil
		}
		below = n
		if i := slices.Index(h.bounds, b.GetUpperBound()); i >= 0 {
			h.within[i] = n
			found++
		}
	}
	if found != len(buckets) || !(h.sum >= 0) {
		return nil
	}
	return h
}

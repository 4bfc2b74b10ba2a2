package main

import (
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

// histogram counts durations. Prometheus's own can't go on from what a file holds.
type histogram struct {
	count  uint64
	sum    float64            // seconds
	within map[float64]uint64 // by bucket: how many took that many seconds at the most
}

func newHistogram(buckets []float64) *histogram {
	h := &histogram{within: map[float64]uint64{}}
	for _, bound := range buckets {
		h.within[bound] = 0
	}
	return h
}

// observe counts one more in a histogram, which is made where it is nil.
func observe(h **histogram, buckets []float64, d time.Duration) {
	if *h == nil {
		*h = newHistogram(buckets)
	}
	(*h).count++
	(*h).sum += d.Seconds()
	for bound := range (*h).within {
		if d.Seconds() <= bound {
			(*h).within[bound]++
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
		if _, ours := h.within[b.GetUpperBound()]; ours {
			h.within[b.GetUpperBound()] = n
			found++
		}
	}
	if found != len(buckets) || !(h.sum >= 0) {
		return nil
	}
	return h
}

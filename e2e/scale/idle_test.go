//go:build linux

package scale

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// What harvest watch costs while nothing changes: each source is asked every 45 seconds or a
// little more, and answers that all is as it was.
func TestIdle(t *testing.T) {
	alongside(t)
	for name, withTLS := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			alongside(t)
			p := watch(t, start(t, withTLS))
			goroutines := p.metrics(t)["go_goroutines"]
			before, complaints := p.usage(t), p.complaints.Load()
			began := time.Now()
			<-time.After(idle)
			after, passed := p.usage(t), time.Since(began)
			m := p.metrics(t)
			t.Logf("harvest watch over %s, %d sources on %d mounts, idle for %v:\n"+
				"resident  %s at the end, of it %s of files; %s at the beginning, %s at the most\n"+
				"heap      %s in use, stacks %s\n"+
				"CPU       %.2f %% of a core\n"+
				"it holds  %d goroutines, %d sockets",
				name, sources, mounts(), passed.Round(time.Second),
				mib(after.rss), mib(after.file), mib(before.rss), mib(after.peak),
				mib(m["go_memstats_heap_inuse_bytes"]), mib(m["go_memstats_stack_inuse_bytes"]),
				100*float64(after.cpu-before.cpu)/float64(passed), m["go_goroutines"], after.sockets)
			assert.LessOrEqual(t, m["go_goroutines"], goroutines+goroutines/50+8, "goroutines grew while nothing happened")
			assert.Equal(t, complaints, p.complaints.Load(), "it complained")
		})
	}
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

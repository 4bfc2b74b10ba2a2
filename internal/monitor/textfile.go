package monitor

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Textfile is the metrics of one sync, for node_exporter's textfile collector. What the file says
// already of counts and of times of success goes on: after a failed sync, the time of the last good
// one is what an alert stands on.
type Textfile struct {
	name     string
	board    *Board
	registry *prometheus.Registry
	now      func() time.Time

	mu     sync.Mutex
	events []func() // in their order
}

// NewTextfile returns the metrics of a sync whose events it is told of.
func NewTextfile(name string, build Build, now func() time.Time) *Textfile {
	t := &Textfile{name: name, board: New(slog.New(slog.DiscardHandler), func(error) string { return "" }), now: now}
	t.registry = NewRegistry(t.board, build)
	return t
}

// Event takes in an event of a mount.
func (t *Textfile) Event(e vaultsync.Event) {
	if e.Report != nil { // Write has it too
		return
	}
	at := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, func() { t.board.Event(e, at) })
}

// Write replaces the file by what the report and the old file say. After an error the old one is
// still there.
func (t *Textfile) Write(r *vaultsync.Report) error {
	known := map[vaultsync.MountID]Expected{}
	for _, m := range r.Mounts {
		var clusters []string
		for _, result := range r.Clusters {
			clusters = append(clusters, result.Cluster)
		}
		known[m.MountID] = Expected{Clusters: slices.Compact(clusters)}
	}
	t.board.Expect(known)
	t.goOn(known)
	for _, result := range r.Clusters {
		t.board.Result(result, result.Asked)
	}
	t.mu.Lock()
	events := t.events
	t.mu.Unlock()
	for _, event := range events {
		event()
	}
	for _, m := range r.Mounts {
		t.board.Report(m, t.now())
	}
	return writeTextfile(t.name, t.registry)
}

// writeTextfile gives a file other contents, readable to all, or leaves it as it was. The name that
// it has meanwhile doesn't end in .prom: the collector passes it over.
func writeTextfile(name string, g prometheus.Gatherer) error {
	if err := checkTextfile(name); err != nil {
		return err
	}
	return prometheus.WriteToTextfile(name, g)
}

// maxTextfile bounds what is read of an old file.
const maxTextfile = 16 << 20

// goOn takes over from the old file what has no beginning in this run. A file that can't
// be read is nothing to go on from.
func (t *Textfile) goOn(mounts map[vaultsync.MountID]Expected) {
	b := t.board
	b.mu.Lock()
	defer b.mu.Unlock()
	ofMount := func(take func(*mountState, *series)) func(*series) {
		return func(s *series) {
			if state := b.mounts[s.mount()]; state != nil {
				take(state, s)
			}
		}
	}
	families := t.families()
	for _, metric := range []struct {
		name string
		take func(*series)
	}{
		{"fetch_last_success_timestamp_seconds", func(s *series) { b.sources[s.source()] = &sourceState{good: instant(s.value(), t.now())} }},
		{fetchDuration, func(s *series) {
			if state := b.sources[s.source()]; state != nil { // who answered was read
				state.fetches = continued(s.Metric, requestBuckets)
			}
		}},
		{"errors_total", func(s *series) { b.errors[errorID{s.label("kind"), s.source(), s.mount()}] = s.value() }},
		{"sync_last_success_timestamp_seconds", ofMount(func(m *mountState, s *series) { m.inSync = instant(s.value(), t.now()) })},
		{"drift_repaired_total", ofMount(func(m *mountState, s *series) { m.drift = s.value() })},
		{"conflicts_total", ofMount(func(m *mountState, s *series) { m.conflicts = s.value() })},
		{writeDuration, ofMount(func(m *mountState, s *series) { m.writes = continued(s.Metric, requestBuckets) })},
		{publishToTrust, ofMount(func(m *mountState, s *series) {
			if h := continued(s.Metric, trustBuckets); h != nil {
				m.trustOf()[s.source()] = h
			}
		})},
	} {
		for _, m := range families["harvest_"+metric.name].GetMetric() {
			metric.take(&series{m})
		}
	}
	b.forget(mounts)
}

// families returns what the old file says.
func (t *Textfile) families() map[string]*dto.MetricFamily {
	if checkTextfile(t.name) != nil {
		return nil // Write says so
	}
	f, err := os.Open(t.name)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // only read
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(f, maxTextfile))
	if err != nil {
		return nil
	}
	return families
}

// series is a line of a file, or those of a histogram.
type series struct{ *dto.Metric }

func (s *series) label(name string) string {
	for _, l := range s.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func (s *series) source() pem.Owner {
	return pem.Owner{Cluster: s.label("cluster"), Region: s.label("region")}
}

func (s *series) mount() vaultsync.MountID {
	return vaultsync.MountID{Vault: s.label("vault"), Namespace: s.label("namespace"), Path: s.label("mount")}
}

func (s *series) value() float64 {
	if s.GetCounter() != nil {
		return s.GetCounter().GetValue()
	}
	return s.GetGauge().GetValue()
}

// instant is the time of a timestamp metric; what can't be one is none. What lies in the
// future was written before the clock was set back: counted from now on, it ages, and an
// alert on it doesn't sleep until the clock is there again.
func instant(seconds float64, now time.Time) time.Time {
	if !(seconds > 0 && seconds < 1<<40) {
		return time.Time{}
	}
	if t := time.UnixMilli(int64(seconds * 1000)); t.Before(now) {
		return t
	}
	return now
}

// checkTextfile refuses what is there and no file, by way of a link too: a device would be
// replaced by one, and a pipe waited for. What isn't there is made.
func checkTextfile(name string) error {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", name)
	}
	return nil
}

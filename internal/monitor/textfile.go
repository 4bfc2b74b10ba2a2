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
	if checkTextfile(t.name) != nil {
		return // Write says so
	}
	f, err := os.Open(t.name)
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // only read
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(f, maxTextfile))
	if err != nil {
		return
	}
	each := func(name string, do func(label func(string) string, m *dto.Metric)) {
		for _, m := range families[name].GetMetric() {
			label := func(name string) string {
				for _, l := range m.GetLabel() {
					if l.GetName() == name {
						return l.GetValue()
					}
				}
				return ""
			}
			do(label, m)
		}
	}
	source := func(label func(string) string) pem.Owner {
		return pem.Owner{Cluster: label("cluster"), Region: label("region")}
	}
	mount := func(label func(string) string) vaultsync.MountID {
		return vaultsync.MountID{Vault: label("vault"), Namespace: label("namespace"), Path: label("mount")}
	}
	t.board.mu.Lock()
	defer t.board.mu.Unlock()
	each("harvest_fetch_last_success_timestamp_seconds", func(label func(string) string, m *dto.Metric) {
		t.board.sources[source(label)] = &sourceState{good: instant(valueOf(m), t.now())}
	})
	each("harvest_"+fetchDuration, func(label func(string) string, m *dto.Metric) {
		if s := t.board.sources[source(label)]; s != nil { // who answered was read
			s.fetches = continued(m, requestBuckets)
		}
	})
	each("harvest_errors_total", func(label func(string) string, m *dto.Metric) {
		t.board.errors[errorID{label("kind"), source(label), mount(label)}] = valueOf(m)
	})
	each("harvest_"+writeDuration, func(label func(string) string, m *dto.Metric) {
		if state := t.board.mounts[mount(label)]; state != nil {
			state.writes = continued(m, requestBuckets)
		}
	})
	each("harvest_"+publishToTrust, func(label func(string) string, m *dto.Metric) {
		state, h := t.board.mounts[mount(label)], continued(m, trustBuckets)
		if state == nil || h == nil {
			return
		}
		if state.trust == nil {
			state.trust = map[pem.Owner]*histogram{}
		}
		state.trust[source(label)] = h
	})
	for name, set := range map[string]func(*mountState, float64){
		"harvest_sync_last_success_timestamp_seconds": func(m *mountState, v float64) { m.inSync = instant(v, t.now()) },
		"harvest_drift_repaired_total":                func(m *mountState, v float64) { m.drift = v },
		"harvest_conflicts_total":                     func(m *mountState, v float64) { m.conflicts = v },
	} {
		each(name, func(label func(string) string, m *dto.Metric) {
			if state := t.board.mounts[mount(label)]; state != nil {
				set(state, valueOf(m))
			}
		})
	}
	t.board.forget(mounts)
}

func valueOf(m *dto.Metric) float64 {
	if m.GetCounter() != nil {
		return m.GetCounter().GetValue()
	}
	return m.GetGauge().GetValue()
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

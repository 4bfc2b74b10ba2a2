package monitor

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// metrics shows a board to Prometheus. Labels are cluster and region for sources, vault,
// namespace and mount for mounts. What left the configuration leaves the metrics.
type metrics struct {
	board *Board
}

var (
	sourceLabels = []string{"cluster", "region"}
	mountLabels  = []string{"vault", "namespace", "mount"}
	ownerLabels  = []string{"vault", "namespace", "mount", "cluster", "region"}
)

var _ prometheus.Collector = (*metrics)(nil)

// descriptions of what is read from the board. They are made for a registry, not at start.
type descriptions struct {
	fetched, synced, published, trusted, untrusted, foreign, twice, skipped, errors, drift, conflicts, fetches, writes, trust *prometheus.Desc
}

func describe() *descriptions {
	desc := func(name, help string, labels []string) *prometheus.Desc {
		return prometheus.NewDesc("harvest_"+name, help, labels, nil)
	}
	return &descriptions{
		fetched:   desc("fetch_last_success_timestamp_seconds", "When the source was last read; 0: not yet.", sourceLabels),
		synced:    desc("sync_last_success_timestamp_seconds", "When the mount was last found or made equal to what its clusters publish, all of them read; 0: not yet.", mountLabels),
		published: desc("keys_published", "Usable keys that the source publishes, as last read.", sourceLabels),
		trusted:   desc("keys_trusted", "Keys on the mount that are annotated as the cluster's and region's.", ownerLabels),
		untrusted: desc("keys_untrusted", "Keys that the cluster and region publishes, and that the mount is to trust and doesn't yet: logins with them fail.", ownerLabels),
		foreign:   desc("keys_foreign", "Keys on the mount that are nobody's: without an annotation, or adopted and no longer published.", mountLabels),
		twice:     desc("keys_under_two_names", "Keys on the mount that are trusted for one of its clusters and under a name that isn't one of them.", mountLabels),
		skipped:   desc("keys_skipped", "Members of the source's key set that were not taken, by reason.", append(sourceLabels[:2:2], "reason")),
		errors:    desc("errors_total", "Errors, by kind: of a source, a mount, a source on a mount, or a login to Vault.", append([]string{"kind"}, ownerLabels...)),
		drift:     desc("drift_repaired_total", "Keys put back or taken away again, and stated settings put back, after another writer changed the mount.", mountLabels),
		conflicts: desc("conflicts_total", "Times that another writer undid a write while it was being confirmed.", mountLabels),
		fetches:   desc(fetchDuration, "Time that the source took to answer, where Nomad didn't hold the query until something changed.", sourceLabels),
		writes:    desc(writeDuration, "Time that Vault took to answer a write to the mount, or until the write failed.", mountLabels),
		trust:     desc(publishToTrust, "Time from a key's arrival here until the mount trusted it.", ownerLabels),
	}
}

// Build is what runs.
type Build struct{ Version, Commit, Go string }

// NewRegistry returns a registry with the board's metrics and the build's.
func NewRegistry(b *Board, build Build) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(&metrics{b}, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "harvest_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Commit, "goversion": build.Go},
	}, func() float64 { return 1 }))
	return r
}

func labelsOfMount(id vaultsync.MountID) []string { return []string{id.Vault, id.Namespace, id.Path} }

func labelsOf(o pem.Owner) []string { return []string{o.Cluster, o.Region} }

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	d := describe()
	for _, desc := range []*prometheus.Desc{d.fetched, d.synced, d.published, d.trusted, d.untrusted, d.foreign, d.twice, d.skipped, d.errors, d.drift, d.conflicts, d.fetches, d.writes, d.trust} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, metric := range m.snapshot() { // a slow reader doesn't hold the board
		ch <- metric
	}
}

func (m *metrics) snapshot() []prometheus.Metric {
	var all []prometheus.Metric
	add := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		metric, err := prometheus.NewConstMetric(desc, kind, value, labels...)
		if err != nil { // a label that isn't UTF-8
			metric = prometheus.NewInvalidMetric(desc, err)
		}
		all = append(all, metric)
	}
	addTimes := func(desc *prometheus.Desc, h *histogram, labels ...string) {
		if h == nil {
			return
		}
		metric, err := prometheus.NewConstHistogram(desc, h.count, h.sum, h.buckets(), labels...)
		if err != nil {
			metric = prometheus.NewInvalidMetric(desc, err)
		}
		all = append(all, metric)
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	d, b := describe(), m.board
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, s := range b.sources {
		addTimes(d.fetches, s.fetches, labelsOf(id)...)
		add(d.fetched, gauge, seconds(s.good), labelsOf(id)...)
		if s.arrived == nil {
			continue
		}
		add(d.published, gauge, float64(len(s.arrived)), labelsOf(id)...)
		for reason, n := range s.skipped {
			add(d.skipped, gauge, float64(n), id.Cluster, id.Region, string(reason))
		}
	}
	for id, mount := range b.mounts {
		add(d.synced, gauge, seconds(mount.inSync), labelsOfMount(id)...)
		add(d.drift, counter, mount.drift, labelsOfMount(id)...)
		add(d.conflicts, counter, mount.conflicts, labelsOfMount(id)...)
		addTimes(d.writes, mount.writes, labelsOfMount(id)...)
		for source, times := range mount.trust {
			addTimes(d.trust, times, append(labelsOfMount(id), labelsOf(source)...)...)
		}
		if !mount.read {
			continue
		}
		add(d.foreign, gauge, float64(mount.foreign), labelsOfMount(id)...)
		add(d.twice, gauge, float64(mount.twice), labelsOfMount(id)...)
		owners := map[pem.Owner]int{}
		for _, owner := range mount.trusted {
			owners[owner]++
		}
		for owner, n := range owners {
			add(d.trusted, gauge, float64(n), append(labelsOfMount(id), labelsOf(owner)...)...)
		}
		for owner, n := range b.untrusted(mount) {
			add(d.untrusted, gauge, float64(n), append(labelsOfMount(id), labelsOf(owner)...)...)
		}
	}
	for id, n := range b.errors {
		add(d.errors, counter, n, append([]string{id.kind}, append(labelsOfMount(id.mount), labelsOf(id.source)...)...)...)
	}
	return all
}

// untrusted counts the keys that a mount is to trust and doesn't, by who publishes them; b.mu must
// be held.
func (b *Board) untrusted(m *mountState) map[pem.Owner]int {
	count := map[pem.Owner]int{}
	for source, s := range b.sources {
		if s.arrived != nil && slices.Contains(m.Clusters, source.Cluster) {
			count[source] = 0
		}
	}
	keys := b.keysOf(m)
	for _, k := range keys.List {
		if _, read := count[k.Owner]; read && (k.State == Pending || k.State == Refused) {
			count[k.Owner]++
		}
	}
	return count
}

// seconds is a time for a timestamp metric, as the machine's clock has it now: where that
// was set since, the age stays right. What never was is 0, so that an alert on the age sees
// it.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(inPresentTime(t, time.Now()).UnixMilli()) / 1000
}

// inPresentTime returns t by the clock that reads now, where that was set since. Without a
// monotonic reading that is t itself.
func inPresentTime(t, now time.Time) time.Time { return now.Add(-now.Sub(t)) }

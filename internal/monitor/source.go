package monitor

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// Result takes in what a source gave at a time.
func (b *Board) Result(r jwks.Result, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := pem.Owner{Cluster: r.Cluster, Region: r.Region}
	b.asked[r.Cluster] = true
	s := b.sources[id]
	if s == nil {
		s = &sourceState{}
		b.sources[id] = s
	}
	log := b.log.With("cluster", id.Cluster, "region", id.Region)
	if r.Err != nil {
		if errors.Is(r.Err, jwks.ErrRegionGone) {
			// Regions come and go as a remote says: what is gone is told, and forgotten.
			log.Warn("region is gone; its trusted keys stay")
			delete(b.sources, id)
			maps.DeleteFunc(b.errors, func(e errorID, _ float64) bool { return e.source == id })
			return
		}
		b.fail(&s.failure, errorID{source: id}, r.Err, at, log, slog.LevelWarn, "cluster not read; its trusted keys stay, and it is asked again")
		return
	}
	again := s.failure.kind != ""
	s.failure.end()
	s.good = at
	s.answered(r)
	if r.Set == nil || len(r.Set.Keys) == 0 { // the list of a federation's regions
		if again {
			log.Info("cluster's regions read again")
		}
		return
	}
	old := s.arrived
	s.arrived = map[pem.Fingerprint]arrival{}
	for _, k := range Published(id, r.Set) {
		s.arrived[k.Fingerprint] = arrival{at, k.KeyID, k.Algorithm}
		if known, ok := old[k.Fingerprint]; ok {
			s.arrived[k.Fingerprint] = known
		}
	}
	both := common(old, s.arrived)
	if len(s.arrived) > both || len(old) > both {
		b.outdate(id.Cluster)
	}
	s.skipped = map[jwks.Reason]int{}
	for _, skipped := range r.Set.Skipped {
		s.skipped[skipped.Reason]++
	}
	message := "keys published"
	if again {
		message = "cluster read again"
	}
	log.Info(message, "keys", len(r.Set.Keys), "skipped", len(r.Set.Skipped), "new", len(s.arrived)-both, "index", r.Set.Index)
	var skipped []string
	for _, k := range r.Set.Skipped {
		skipped = append(skipped, k.Error())
	}
	logSome(log, "key not taken", "error", skipped)
	logSome(log, "remark on the key set", "warning", r.Set.Warnings)
}

// Unchanged takes in that a source gave what it gave before.
func (b *Board) Unchanged(r jwks.Result, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.sources[pem.Owner{Cluster: r.Cluster, Region: r.Region}]; s != nil && s.failure.kind == "" {
		s.good = at
		s.answered(r)
	}
}

// answered counts the time that an answer took, if it is known. An error's isn't counted:
// one that stays is told of once, however often the source is asked.
func (s *sourceState) answered(r jwks.Result) {
	if r.Took > 0 {
		observe(&s.fetches, requestBuckets, r.Took)
	}
}

// outdate notes that what the mounts of a cluster were compared with isn't what it publishes now,
// until their next report; b.mu must be held.
func (b *Board) outdate(cluster string) {
	for _, m := range b.mounts {
		if slices.Contains(m.Clusters, cluster) {
			m.synced = false
		}
	}
}

func common(a, b map[pem.Fingerprint]arrival) int {
	n := 0
	for f := range a {
		if _, both := b[f]; both {
			n++
		}
	}
	return n
}

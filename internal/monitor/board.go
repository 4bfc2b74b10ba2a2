// Package monitor keeps the last outcome of each source, mount and login, and tells of it: in the
// log once, in metrics and in what a status page shows.
package monitor

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Board holds the last outcome of each source, mount and login. From it come the log, in
// which a failure stands once and not at each try, the metrics, and readiness. Its methods
// may be called from several goroutines at once. It grows with the configuration, never
// with time.
type Board struct {
	log  *slog.Logger
	hint func(error) string

	mu      sync.Mutex
	from    map[string]string // what each cluster is read from
	asked   map[string]bool   // clusters that were heard of once, well or badly
	sources map[pem.Owner]*sourceState
	mounts  map[vaultsync.MountID]*mountState
	logins  map[string]failure // by Vault; those that failed last
	errors  map[errorID]float64
	settled chan struct{}
}

// errorID is what errors are counted by. A source's error has no mount, and the other way
// round; a mount's error about a cluster has both.
type errorID struct {
	kind   string
	source pem.Owner
	mount  vaultsync.MountID
}

// failure is an error as the log tells of it: once for each kind, since the words change
// with each try.
type failure struct {
	kind  string // "": none
	since time.Time
	last  LastError // stays when it is over
}

func (f *failure) end() { *f = failure{last: f.last} }

type sourceState struct {
	failure failure
	good    time.Time // when it was last known to be read
	arrived map[pem.Fingerprint]arrival
	skipped map[jwks.Reason]int
	fetches *histogram // nil: none
}

// arrival is a published key, and since when it is known here.
type arrival struct {
	at               time.Time
	keyID, algorithm string
}

type mountState struct {
	Expected
	attempted bool
	failure   failure
	failed    map[pem.Owner]failure // beside what the source itself reports
	inSync    time.Time
	trusted   map[pem.Fingerprint]pem.Owner // foreign ones aside
	foreign   int
	twice     int  // keys under two names
	read      bool // trusted and foreign are known
	warned    []string
	keys      Keys
	settings  int    // to be changed
	partial   bool   // some cluster's keys could not be learned
	synced    bool   // the last sync left it equal to what all its clusters publish
	forbidden string // why it can't be written, as Vault said when the watch began
	drift     float64
	conflicts float64
	writes    *histogram               // nil: none
	trust     map[pem.Owner]*histogram // from a key's arrival here until Vault trusted it
}

// New returns a board of nothing yet. hint returns what to do about an error; "" is nothing.
func New(log *slog.Logger, hint func(error) string) *Board {
	return &Board{
		log: log, hint: hint, settled: make(chan struct{}), asked: map[string]bool{},
		sources: map[pem.Owner]*sourceState{}, mounts: map[vaultsync.MountID]*mountState{},
		logins: map[string]failure{}, errors: map[errorID]float64{},
	}
}

// Expected is a mount of the configuration: the clusters that it trusts, and the login by
// which it is reached.
type Expected struct {
	Clusters []string
	Login    string
}

// Expect takes in which mounts there are. What isn't among them, nor belongs to one, is forgotten.
func (b *Board) Expect(mounts map[vaultsync.MountID]Expected) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, m := range mounts {
		if b.mounts[id] == nil {
			b.mounts[id] = &mountState{}
		}
		b.mounts[id].Expected = m
	}
	b.forget(mounts)
	b.settle()
}

// forget drops what belongs to no mount of these; b.mu must be held.
func (b *Board) forget(mounts map[vaultsync.MountID]Expected) {
	clusters, logins := map[string]bool{}, map[string]bool{}
	for _, m := range mounts {
		logins[m.Login] = true
		for _, name := range m.Clusters {
			clusters[name] = true
		}
	}
	gone := func(id vaultsync.MountID) bool { _, there := mounts[id]; return !there }
	maps.DeleteFunc(b.mounts, func(id vaultsync.MountID, _ *mountState) bool { return gone(id) })
	for _, m := range b.mounts {
		maps.DeleteFunc(m.trust, func(id pem.Owner, _ *histogram) bool { return !slices.Contains(m.Clusters, id.Cluster) })
	}
	maps.DeleteFunc(b.asked, func(name string, _ bool) bool { return !clusters[name] })
	maps.DeleteFunc(b.sources, func(id pem.Owner, _ *sourceState) bool { return !clusters[id.Cluster] })
	maps.DeleteFunc(b.logins, func(name string, _ failure) bool { return !logins[name] })
	maps.DeleteFunc(b.errors, func(id errorID, _ float64) bool {
		return id.mount.Path != "" && gone(id.mount) || id.mount.Path == "" && id.mount.Vault != "" && !logins[id.mount.Vault] ||
			id.source.Cluster != "" && !clusters[id.source.Cluster]
	})
}

// Settled is closed once each mount had its first sync.
func (b *Board) Settled() <-chan struct{} { return b.settled }

// settle notices when each mount had its first sync; b.mu must be held.
func (b *Board) settle() {
	for _, m := range b.mounts {
		if !m.attempted {
			return
		}
	}
	select {
	case <-b.settled:
	default:
		close(b.settled)
	}
}

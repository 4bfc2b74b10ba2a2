package fakenomad

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Region is one region's keyring and what it publishes. Its methods may be called while
// requests are under way; each change ends the queries blocked on the index.
type Region struct {
	// Name is the region's name.
	Name string

	mu      sync.Mutex
	keys    []*Key
	active  *Key
	every   []*Key // removed ones too, to give their RSA keys back
	raw     []byte
	index   uint64
	noIndex bool
	down    bool
	made    time.Time
	changed chan struct{}
}

func newRegion(name string) *Region {
	r := newEmptyRegion(name)
	r.Rotate("RS256")
	return r
}

func newEmptyRegion(name string) *Region {
	return &Region{Name: name, index: 7, made: time.Now(), changed: make(chan struct{})}
}

// update applies do and ends blocked queries.
func (r *Region) update(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
	r.index += 3 // the index is the cluster's, not the keyring's: it jumps
	r.wake()
}

func (r *Region) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Rotate adds a key, RS256 or EdDSA, and signs with it from now on; the old ones stay
// published (nomad operator root keyring rotate -now).
func (r *Region) Rotate(algorithm string) *Key {
	k := NewKey(algorithm)
	r.update(func() { r.add(k); r.active = k })
	return k
}

// Prepublish adds a key and goes on signing with the active one (nomad operator root
// keyring rotate -prepublish).
func (r *Region) Prepublish(algorithm string) *Key {
	k := NewKey(algorithm)
	r.update(func() { r.add(k) })
	return k
}

// Activate signs with a key that is there already.
func (r *Region) Activate(k *Key) {
	r.update(func() { r.active = k })
}

// Add publishes a key that the test made, without signing with it.
func (r *Region) Add(k *Key) {
	r.update(func() { r.keys = append(r.keys, k) })
}

// Remove stops publishing a key (nomad operator root keyring remove). Unlike Nomad it
// removes the active one as well, as a rebuilt cluster would.
func (r *Region) Remove(id string) {
	r.update(func() {
		r.keys = slices.DeleteFunc(r.keys, func(k *Key) bool { return k.ID == id })
	})
}

// Clear publishes an empty set, as a server that has just started may.
func (r *Region) Clear() {
	r.update(func() { r.keys = nil })
}

// Rebuild is a new cluster at the same address: other keys, and an index that starts
// over. It returns the new key.
func (r *Region) Rebuild() *Key {
	k := NewKey("RS256")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = nil
	r.add(k)
	r.active = k
	r.index = 5
	r.wake()
	return k
}

// Restore is a restore from a snapshot: these keys, the last of which signs, and the index
// of that time. Queries that are held go on, since the index is behind theirs.
func (r *Region) Restore(index uint64, keys ...*Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.active, r.index = slices.Clone(keys), keys[len(keys)-1], index
	r.wake()
}

// Touch moves the index and changes nothing else.
func (r *Region) Touch() { r.update(func() {}) }

// Publish serves that document, whatever it is, until it is called with nil.
func (r *Region) Publish(document []byte) {
	r.update(func() { r.raw = document })
}

// HideIndex leaves X-Nomad-Index out and never blocks, as a plain web server does.
func (r *Region) HideIndex(hide bool) {
	r.update(func() { r.noIndex = hide })
}

// Down fails the region's last server: the region vanishes from /v1/regions and can't be
// reached through the others.
func (r *Region) Down(down bool) {
	r.update(func() { r.down = down })
}

// Keys returns what is published, in the order of the key ids, as Nomad lists them.
func (r *Region) Keys() []*Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sorted()
}

// Active returns the key that signs.
func (r *Region) Active() *Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active
}

// Index is what X-Nomad-Index says now.
func (r *Region) Index() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.index
}

func (r *Region) add(k *Key) {
	r.keys = append(r.keys, k)
	r.every = append(r.every, k)
}

func (r *Region) sorted() []*Key {
	keys := slices.Clone(r.keys)
	slices.SortFunc(keys, func(a, b *Key) int { return strings.Compare(a.ID, b.ID) })
	return keys
}

// release gives the RSA keys back.
func (r *Region) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.every {
		rsaKeys.give(k)
	}
	r.every = nil
}

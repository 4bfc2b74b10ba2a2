package vaultsync

import (
	"slices"
	"time"

	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// keyHistory is what a watch has seen of the keys of one mount, by this process's monotonic
// clock, which nobody sets. An annotation tells what a clock said when it was written: another
// machine's, or this one's before it was set. A nil history, as of a single sync, has seen
// nothing.
type keyHistory struct {
	at   time.Time // when the list that is planned on was read
	keys map[pem.Fingerprint]keyRecord
}

type keyRecord struct {
	since   time.Time // when it was first read; zero: it was there when the watch began
	last    time.Time // when it was last read
	missing time.Time // when a retention period began; zero: none has, or before the watch
}

// forgotten is how long a key is remembered that is no longer on the mount. A writer who puts
// it back within that time doesn't make it a new one.
const forgotten = time.Hour

// mostGone bounds how many such keys are remembered for each mount; the latest are. A cluster
// may publish a thousand other keys every second.
const mostGone = 1000

// readAt sets when Vault's answer was here.
func (h *keyHistory) readAt(at time.Time) {
	if h != nil {
		h.at = at
	}
}

// note records the keys that were read.
func (h *keyHistory) note(elements []plan.Element) {
	if h == nil {
		return
	}
	var since time.Time
	if h.keys == nil {
		h.keys = map[pem.Fingerprint]keyRecord{}
	} else {
		since = h.at
	}
	for _, t := range elements {
		if t.Opaque {
			continue
		}
		k, known := h.keys[t.Fingerprint]
		if !known {
			k.since = since
		}
		k.last = h.at
		h.keys[t.Fingerprint] = k
	}
	h.forget()
}

// forget drops keys that have long been gone, and the oldest of too many.
func (h *keyHistory) forget() {
	type departure struct {
		key  pem.Fingerprint
		last time.Time
	}
	var gone []departure
	for f, k := range h.keys {
		switch {
		case h.at.Sub(k.last) > forgotten:
			delete(h.keys, f)
		case k.last.Before(h.at):
			gone = append(gone, departure{f, k.last})
		}
	}
	if len(gone) <= mostGone {
		return
	}
	slices.SortFunc(gone, func(a, b departure) int { return b.last.Compare(a.last) })
	for _, d := range gone[mostGone:] {
		delete(h.keys, d.key)
	}
}

// planned records which keys are in their retention period.
func (h *keyHistory) planned(p *plan.Plan) {
	if h == nil {
		return
	}
	for f, k := range h.keys {
		begins, retained := p.Retained[f]
		switch {
		case !retained:
			k.missing = time.Time{}
		case begins && k.missing.IsZero():
			k.missing = h.at
		}
		h.keys[f] = k
	}
}

// NewerThan reports whether a key is known to have come to the mount at t or later.
func (h *keyHistory) NewerThan(f pem.Fingerprint, t time.Time) bool {
	since := h.keys[f].since
	return !since.IsZero() && !since.Before(t)
}

// Missing returns for how long a key's retention period is known to have run.
func (h *keyHistory) Missing(f pem.Fingerprint) (time.Duration, bool) {
	missing := h.keys[f].missing
	return h.at.Sub(missing), !missing.IsZero()
}

package vaultsync

import (
	"slices"
	"time"

	"github.com/jwksharvest/harvest/pem"
)

// sightings are what a watch itself has seen of a mount's keys, in times of this process's
// own clock, which nobody sets. Annotations tell what a clock said when they were written:
// that of another machine, or this one's before it was set. Nil has seen nothing, as a
// single sync.
type sightings struct {
	at   time.Time // when what is planned on was read
	keys map[pem.Fingerprint]sighting
}

type sighting struct {
	since   time.Time // when it was first read; zero: it was there when the watch began
	last    time.Time // when it was last read
	missing time.Time // when a retention period began; zero: none has, or before the watch
}

// forgotten is how long a key is remembered that is no longer on the mount: a writer who
// puts it back at once doesn't make it a new one.
const forgotten = time.Hour

// mostGone is how many such keys are remembered, the latest, for each mount. A cluster may
// publish a thousand other keys every second.
const mostGone = 1000

// look sets the time at which the mount was read: when the answer was here.
func (s *sightings) look(at time.Time) {
	if s != nil {
		s.at = at
	}
}

// note takes in what was read.
func (s *sightings) note(elements []trusted) {
	if s == nil {
		return
	}
	var since time.Time
	if s.keys == nil {
		s.keys = map[pem.Fingerprint]sighting{}
	} else {
		since = s.at
	}
	for _, t := range elements {
		if t.opaque {
			continue
		}
		k, known := s.keys[t.fingerprint]
		if !known {
			k.since = since
		}
		k.last = s.at
		s.keys[t.fingerprint] = k
	}
	s.forget()
}

// forget drops keys that have long been gone, or that many others went after.
func (s *sightings) forget() {
	type departure struct {
		key  pem.Fingerprint
		last time.Time
	}
	var gone []departure
	for f, k := range s.keys {
		switch {
		case s.at.Sub(k.last) > forgotten:
			delete(s.keys, f)
		case k.last.Before(s.at):
			gone = append(gone, departure{f, k.last})
		}
	}
	if len(gone) <= mostGone {
		return
	}
	slices.SortFunc(gone, func(a, b departure) int { return b.last.Compare(a.last) })
	for _, d := range gone[mostGone:] {
		delete(s.keys, d.key)
	}
}

// planned takes in which keys are in their retention period.
func (s *sightings) planned(p *Plan) {
	if s == nil {
		return
	}
	for f, k := range s.keys {
		begins, retained := p.retained[f]
		switch {
		case !retained:
			k.missing = time.Time{}
		case begins && k.missing.IsZero():
			k.missing = s.at
		}
		s.keys[f] = k
	}
}

// newerThan says whether a key is known to have come to the mount after that time.
func (s *sightings) newerThan(f pem.Fingerprint, t time.Time) bool {
	if s == nil {
		return false
	}
	since := s.keys[f].since
	return !since.IsZero() && !since.Before(t)
}

// missingLess says whether a key's retention period is known to have begun less than d ago.
func (s *sightings) missingLess(f pem.Fingerprint, d time.Duration) bool {
	if s == nil {
		return false
	}
	missing := s.keys[f].missing
	return !missing.IsZero() && s.at.Sub(missing) < d
}

package history

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Verdict is what a history comes to.
type Verdict struct {
	// Wrong is what must never be, in any history: the last list isn't what it has to be, an
	// element isn't as its owner wrote it, or a denied key was sent.
	Wrong []string
	// Claims are how many syncs ended well.
	Claims int
	// Lost are the updates that were lost although a sync had ended well with them.
	Lost []Loss
}

// Loss is a key that was claimed, and then wasn't there.
type Loss struct {
	Key, By       string
	Claimed, Seen time.Time
	// Late reports whether some write by then took more than half of the settle time to be
	// answered: then the protocol promises nothing.
	Late bool
}

// Kept are the losses that the protocol rules out.
func (v Verdict) Kept() []Loss {
	return slices.DeleteFunc(slices.Clone(v.Lost), func(l Loss) bool { return l.Late })
}

// Check decides over the history. Its last read must be younger than the last sync of each
// harvester, and all faults over.
func (l *Log) Check(settle time.Duration) Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sorted()
	v := Verdict{Claims: len(l.claims)}
	v.Wrong = append(v.Wrong, l.checkForeign()...)
	v.Wrong = append(v.Wrong, l.checkDenied()...)
	v.Wrong = append(v.Wrong, l.checkEnd()...)
	v.Lost = l.losses(settle)
	return v
}

// checkForeign finds reads in which an element that belongs to nobody isn't as it was.
func (l *Log) checkForeign() (wrong []string) {
	for _, element := range l.foreign {
		for _, r := range l.reads {
			if !slices.Contains(r.list, element) {
				wrong = append(wrong, fmt.Sprintf("a foreign element is gone, or isn't as it was, as %s read it", r.by))
				break
			}
		}
	}
	return wrong
}

// checkDenied finds writes of a denied key that stand on a read younger than the denial.
func (l *Log) checkDenied() (wrong []string) {
	for _, w := range l.writes {
		var since time.Time // when the read began that the write stands on
		for _, r := range l.reads {
			if r.by == w.by && !r.to.After(w.from) {
				since = r.from
			}
		}
		for key, d := range l.denied {
			if _, sent := w.keys[key]; sent && !d.to.IsZero() && since.After(d.to) {
				wrong = append(wrong, fmt.Sprintf("%s sent the denied key %s", w.by, key))
			}
		}
	}
	return wrong
}

// checkEnd compares the last read with what has to be there.
func (l *Log) checkEnd() (wrong []string) {
	if len(l.reads) == 0 {
		return []string{"nothing was read"}
	}
	last := l.reads[len(l.reads)-1]
	want := map[string]bool{}
	for key := range l.published {
		if l.publishedDuring(key, last.span) && !l.deniedBy(key, last.from) {
			want[key] = true
		}
	}
	for _, element := range l.foreign {
		want[l.Name(element)] = true
	}
	for key := range want {
		if _, has := last.keys[key]; !has {
			wrong = append(wrong, "at the end the published key "+key+" isn't trusted")
		}
	}
	for key, element := range last.keys {
		switch {
		case l.deniedBy(key, last.from):
			wrong = append(wrong, "at the end the denied key "+key+" is trusted")
		case !want[key]:
			wrong = append(wrong, "at the end the key "+key+" is trusted, which nobody publishes")
		case !slices.Contains(l.foreign, element) && !l.asWritten(key, element):
			wrong = append(wrong, "at the end the element of "+key+" isn't as its owner wrote it")
		}
	}
	if len(last.list) != len(last.keys) {
		wrong = append(wrong, "at the end a key is there twice")
	}
	slices.Sort(wrong)
	return wrong
}

// asWritten reports whether an element is what the first to write the key made of it: everybody
// else copies it. After a write from outside it may be an older one of the owner's.
func (l *Log) asWritten(key, element string) bool {
	owner, text := "", ""
	for _, w := range l.writes {
		now, has := w.keys[key]
		if !has {
			continue
		}
		if owner == "" {
			owner = w.by
		}
		if w.by != owner {
			continue
		}
		if text = now; text == element && len(l.outside) > 0 {
			return true
		}
	}
	return text == element || owner == "" // it was there before the history began
}

// losses finds claimed keys that a later read doesn't show. A harvester's next claim takes over
// from the one before.
func (l *Log) losses(settle time.Duration) (lost []Loss) {
	for i, c := range l.claims {
		until := time.Time{}
		if i+1 < len(l.claims) && l.claims[i+1].by == c.by {
			until = l.claims[i+1].at
		}
		missing := map[string]bool{}
		for _, key := range c.keys {
			missing[key] = true
		}
		for _, r := range l.reads {
			if r.from.Before(c.at) || !until.IsZero() && r.from.After(until) {
				continue
			}
			whole := span{c.at, r.to}
			if l.outsideBetween(whole) {
				break
			}
			for _, key := range slices.Sorted(maps.Keys(missing)) {
				if _, has := r.keys[key]; has {
					continue
				}
				delete(missing, key) // told once, or wanted no more
				if l.publishedDuring(key, whole) && !l.deniedBy(key, r.to) {
					lost = append(lost, Loss{Key: key, By: c.by, Claimed: c.at, Seen: r.to, Late: l.late(r.to, settle)})
				}
			}
		}
	}
	return lost
}

// late reports whether a write that began before that time took longer than the protocol allows.
func (l *Log) late(before time.Time, settle time.Duration) bool {
	return slices.ContainsFunc(l.writes, func(w write) bool {
		return w.from.Before(before) && w.to.After(before.Add(-3*settle)) && w.to.Sub(w.from) > settle/2
	})
}

// NoFault is what Gaps have for those during which there was no fault.
const NoFault = "no fault"

// Gaps are how long keys weren't trusted that were published, or were trusted although denied,
// sorted, by the fault that went on meanwhile.
type Gaps map[string][]time.Duration

// Of sums the gaps of one fault up.
func (g Gaps) Of(fault string) string {
	d := g[fault]
	if len(d) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d, half within %v, the longest %v",
		len(d), d[(len(d)-1)/2].Round(time.Millisecond), d[len(d)-1].Round(time.Millisecond))
}

// Untrusted are the times for which a key wasn't trusted that was published, from its publication
// or from the last read that showed it to the next that does, where it was published for as long;
// and Denied those from the first configuration that denies a key to the end of the last read that
// shows it.
func (l *Log) Untrusted() (untrusted, denied Gaps) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sorted()
	untrusted, denied = Gaps{}, Gaps{}
	for key, spans := range l.published {
		for _, p := range spans {
			for _, gap := range l.gaps(key, p) {
				untrusted[l.faultDuring(gap)] = append(untrusted[l.faultDuring(gap)], gap.to.Sub(gap.from))
			}
		}
	}
	for key, d := range l.denied {
		gap := span{d.from, d.from}
		for _, r := range l.reads {
			if _, has := r.keys[key]; has && !r.from.Before(d.from) {
				gap.to = r.to
			}
		}
		denied[l.faultDuring(gap)] = append(denied[l.faultDuring(gap)], gap.to.Sub(gap.from))
	}
	for _, gaps := range []Gaps{untrusted, denied} {
		for _, d := range gaps {
			slices.Sort(d)
		}
	}
	return untrusted, denied
}

// gaps are the spans within p for which a key that is published then wasn't trusted. Reads may
// overlap: one that lacks the key counts if it began after the last that has it.
func (l *Log) gaps(key string, p span) (all []span) {
	since, trusted := p.from, false
	for _, r := range l.reads {
		if !r.to.After(p.from) || !p.to.IsZero() && !r.to.Before(p.to) || l.deniedBy(key, r.to) {
			continue
		}
		_, has := r.keys[key]
		switch {
		case has && !trusted:
			all = append(all, span{since, r.to})
			since, trusted = r.to, true
		case has && r.to.After(since):
			since = r.to
		case !has && trusted && r.from.After(since):
			trusted = false
		}
	}
	return all
}

// Faults are how often each fault was made.
func (l *Log) Faults() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := map[string]int{}
	for _, f := range l.faults {
		times[f.name]++
	}
	return times
}

// faultDuring is the fault that lasted longest within a span, or NoFault.
func (l *Log) faultDuring(s span) string {
	name, most := NoFault, time.Duration(0)
	for _, f := range l.faults {
		from, to := f.from, f.to
		if from.Before(s.from) {
			from = s.from
		}
		if to.After(s.to) {
			to = s.to
		}
		if d := to.Sub(from); d > most {
			name, most = f.name, d
		}
	}
	return name
}

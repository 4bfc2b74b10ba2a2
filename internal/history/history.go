// Package history records what several harvesters and an observer did to one mount, and decides
// whether it was right.
//
// A checker of linearizability isn't needed. Vault answers reads and writes of one path in one
// order (Raft), and each property here is of one read, or of one write and the read that it
// stands on, against facts that held during all of it: what was published, denied and claimed
// from before its beginning until after its end. So no order of writes that overlap has to be
// found, and none can excuse what is found.
package history

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Log is the history of one mount. Its methods may be called at the same time.
type Log struct {
	// Name returns the name of an element's key: its kid, say.
	Name func(element string) string

	mu        sync.Mutex
	reads     []read
	writes    []write
	published map[string][]span // by the key's name
	denied    map[string]span   // from the first configuration that has it to the one that completes them
	claims    []claim
	outside   []span // writes by somebody else, such as a restored snapshot
	faults    []fault
	foreign   []string // elements that nobody may touch
}

type span struct{ from, to time.Time }

type read struct {
	by string
	span
	list []string
	keys map[string]string // elements by the name of their key
}

type write struct {
	read
	err bool // not answered, or not well: it may have been carried out or not
}

type claim struct {
	by   string
	at   time.Time
	keys []string
}

type fault struct {
	name string
	span
}

// Transport records the requests of one harvester to the configuration of a mount.
func (l *Log) Transport(by string, next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Path, "/config") || strings.Contains(r.URL.Path, "/sys/") {
			return next.RoundTrip(r)
		}
		var sent []byte
		if r.Body != nil {
			var err error
			if sent, err = io.ReadAll(r.Body); err != nil {
				return nil, err
			}
			r.Body = io.NopCloser(bytes.NewReader(sent))
		}
		begin := time.Now()
		answer, err := next.RoundTrip(r)
		var got []byte
		if err == nil {
			if got, err = io.ReadAll(answer.Body); err != nil {
				answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(got), failing{err}))
			} else {
				answer.Body = io.NopCloser(bytes.NewReader(got))
			}
		}
		failed := err != nil || answer.StatusCode/100 != 2 // a redirect answers nothing
		switch {
		case r.Method == http.MethodPut:
			l.Wrote(by, begin, listOf(sent), failed)
		case !failed:
			l.Read(by, begin, listOf(got))
		}
		if answer == nil {
			return nil, err
		}
		return answer, nil // the body tells of an error in its middle
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// listOf is the list of keys in the body of a request or an answer.
func listOf(body []byte) []string {
	var has struct {
		List []string `json:"jwt_validation_pubkeys"`
		Data struct {
			List []string `json:"jwt_validation_pubkeys"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &has) // no such list is an empty one
	return append(has.List, has.Data.List...)
}

// Read notes a read that has just been answered.
func (l *Log) Read(by string, begin time.Time, list []string) {
	r := l.read(by, begin, list)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads = append(l.reads, r)
}

// Wrote notes a write that has just been answered, or has failed.
func (l *Log) Wrote(by string, begin time.Time, list []string, failed bool) {
	w := write{l.read(by, begin, list), failed}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes = append(l.writes, w)
}

func (l *Log) read(by string, begin time.Time, list []string) read {
	keys := make(map[string]string, len(list))
	for _, element := range list {
		keys[l.Name(element)] = element
	}
	return read{by, span{begin, time.Now()}, list, keys}
}

// Paste notes an element that belongs to nobody: it must stay as it is.
func (l *Log) Paste(element string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.foreign = append(l.foreign, element)
}

// Publish notes that these keys of a cluster are published from now on, and those of before no
// more.
func (l *Log) Publish(before, now []string) {
	at := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.published == nil {
		l.published = map[string][]span{}
	}
	for _, key := range before {
		if spans := l.published[key]; !slices.Contains(now, key) && len(spans) > 0 {
			spans[len(spans)-1].to = at
		}
	}
	for _, key := range now {
		if !slices.Contains(before, key) {
			l.published[key] = append(l.published[key], span{from: at})
		}
	}
}

// Deny notes that a key is being denied. The function that it returns notes that every
// configuration has it now.
func (l *Log) Deny(key string) (everywhere func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.denied == nil {
		l.denied = map[string]span{}
	}
	l.denied[key] = span{from: time.Now()}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.denied[key] = span{l.denied[key].from, time.Now()}
	}
}

// Claim notes that a harvester's sync ended well with these keys trusted. From now on they must
// stay, until they are published no more, denied, or the mount is written from outside.
func (l *Log) Claim(by string, keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claims = append(l.claims, claim{by, time.Now(), keys})
}

// Stood reports whether a harvester's last two reads, a settle time or more apart and after its
// last write, showed one list. That is what a sync ends with that nothing newer cuts short.
func (l *Log) Stood(by string, settle time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	var last *read
	for i := len(l.reads) - 1; i >= 0; i-- {
		r := &l.reads[i]
		switch {
		case r.by != by:
		case last == nil:
			last = r
		case !slices.Equal(r.list, last.list):
			return false
		case last.from.Sub(r.from) >= settle:
			return !slices.ContainsFunc(l.writes, func(w write) bool { return w.by == by && w.to.After(r.from) })
		}
	}
	return false
}

// Outside notes a write of the whole mount by somebody else. The function that it returns notes
// its end.
func (l *Log) Outside() (end func()) {
	from := time.Now()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.outside = append(l.outside, span{from, time.Now()})
	}
}

// Fault notes that a fault begins, for the figures. The function that it returns notes its end.
func (l *Log) Fault(name string) (end func()) {
	from := time.Now()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.faults = append(l.faults, fault{name, span{from, time.Now()}})
	}
}

// publishedDuring reports whether a key was published from the beginning of s to its end.
func (l *Log) publishedDuring(key string, s span) bool {
	return slices.ContainsFunc(l.published[key], func(p span) bool {
		return !p.from.After(s.from) && (p.to.IsZero() || !p.to.Before(s.to))
	})
}

// deniedBy reports whether some configuration denied a key by that time.
func (l *Log) deniedBy(key string, at time.Time) bool {
	d, denied := l.denied[key]
	return denied && !d.from.After(at)
}

func (l *Log) outsideBetween(s span) bool {
	return slices.ContainsFunc(l.outside, func(o span) bool { return o.to.After(s.from) && o.from.Before(s.to) })
}

// sorted puts what was noted by several into the order of its beginning.
func (l *Log) sorted() {
	slices.SortStableFunc(l.reads, func(a, b read) int { return a.from.Compare(b.from) })
	slices.SortStableFunc(l.writes, func(a, b write) int { return a.from.Compare(b.from) })
	slices.SortStableFunc(l.claims, func(a, b claim) int { return cmp.Or(cmp.Compare(a.by, b.by), a.at.Compare(b.at)) })
}

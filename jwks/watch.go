package jwks

import (
	"context"
	"iter"
	"time"
)

// WatchOptions are how often a source is asked. The zero value is ready for use.
type WatchOptions struct {
	// Wait is how long Nomad may hold a query until something changes, a sixteenth more
	// at most; zero is 45 s, less than most proxies wait.
	Wait time.Duration
	// Interval is the time between two questions where a source has no index to wait on,
	// and between two looks at a federation's list of regions; zero is 60 s. A tenth of
	// it, more or less, is by chance.
	Interval time.Duration
	// OnUnchanged is called each time that a source gave once more what it gave before:
	// with the Result as it was, and a later Asked (and Index), and the Took of this time. It is
	// called where the sequence is consumed, never beside it. May be nil.
	OnUnchanged func(Result)
}

const (
	defaultWait     = 45 * time.Second
	defaultInterval = 60 * time.Second
)

func (o WatchOptions) wait() time.Duration     { return orDefault(o.Wait, defaultWait) }
func (o WatchOptions) interval() time.Duration { return orDefault(o.Interval, defaultInterval) }

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Watch yields what s publishes: first what is there now, then each change, and each error
// that is news. An error ends nothing, and the same one is yielded once, until it is another
// or the source has recovered; then the set is yielded again, changed or not. A document
// that is refused, an empty set included, is such an error: what was yielded before it isn't
// withdrawn. The sequence ends, without an error of its own, when ctx does or the consumer
// stops; nothing is left running then.
//
// A [Nomad] region is asked with the index of its last reply, and answers as soon as
// something changes (Nomad: blocking queries). Such a query that ends without an answer,
// because a proxy or a time limit cut it short, says nothing: a question without an index
// follows, and its outcome counts. An index that goes backwards, as after a restore, is
// forgotten. A [File], which must be a regular one, is read every two seconds, and every other
// source asked every Interval, or as it asks for itself as a [Poller].
//
// No source is asked more than ten times in a row without a pause, and then once a second;
// after an error, a document that is refused included, the pause grows from one second to a
// minute. Of what a source publishes the digest of the last document is kept; one that is the
// same byte for byte isn't even parsed.
func Watch(ctx context.Context, s Source, o WatchOptions) iter.Seq2[*Set, error] {
	return func(yield func(*Set, error) bool) {
		newWatch(s, o, func(n news) bool {
			if n.unchanged {
				if o.OnUnchanged != nil {
					o.OnUnchanged(Result{Region: s.RegionName(), Set: n.set, Asked: n.asked, Took: n.took})
				}
				return true
			}
			return yield(n.set, n.err)
		}).run(ctx)
	}
}

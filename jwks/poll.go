package jwks

import (
	"context"
	"crypto/sha256"
	"time"
)

// Poller is a Source that a watch can ask for what has changed. It is optional: a source that is no
// Poller is fetched from every Interval, and its sets are compared. [Nomad], [URL], [Issuer] and
// [File] are Pollers.
//
// A type that embeds one of them and overrides Fetch has to override Poll too, because a watch
// doesn't call Fetch then. [Wrap] decorates both.
type Poller interface {
	Source
	// Poll asks what is published now. It ends soon after ctx does. An error means that nothing
	// was learned; a document that was read and refused is an Answer.
	Poll(ctx context.Context, q Query) (Answer, error)
}

// Query is what a watch knows when it asks. The zero value asks for what is there now.
type Query struct {
	// Index and Digest are those of the last Answer.
	Index  uint64
	Digest [sha256.Size]byte
	// Wait is how long the source may hold the question while Index is the current one.
	Wait time.Duration
}

// Answer is what a source publishes.
type Answer struct {
	// Set is what is published. Nil, with a nil Err, means that nothing changed: Digest is that
	// of the Query.
	Set *Set
	// Err is why what is published is refused. The Set is nil then.
	Err error
	// Index makes the next question one that the source holds until something changes. Zero: the
	// source holds none.
	Index uint64
	// Digest identifies what is published, such as by its SHA-256. Zero: it isn't known, and the
	// sets are compared.
	Digest [sha256.Size]byte
	// Asked is as in Result; zero is the time of the question.
	Asked time.Time
	// Next is the time until the next question where the source holds none; zero is the
	// Interval of WatchOptions.
	Next time.Duration
}

// answerWith returns the answer that consists of a document, which is read only where the query
// doesn't know it.
func (q Query) answerWith(body []byte, parse func() (*Set, error)) Answer {
	a := Answer{Digest: sha256.Sum256(body)}
	if a.Digest != q.Digest {
		a.Set, a.Err = parse()
	}
	return a
}

package jwks

import (
	"context"
	"crypto/sha256"
	"time"
)

// Poller is a Source that a watch can ask for what has changed. It is optional: a watch fetches
// from any other source every Interval, and compares the sets. [Nomad], [URL], [Issuer] and [File]
// are Pollers.
//
// A type that embeds one of them and overrides Fetch must override Poll too, because a watch
// doesn't call its Fetch. [Wrap] decorates both.
type Poller interface {
	Source
	// Poll asks what is published now. It ends soon after ctx does. An error means that the source
	// didn't answer; a document that was read and refused is an Answer.
	Poll(ctx context.Context, q Query) (Answer, error)
}

// Query is what a watch knows when it asks. The zero value asks for what is there now.
type Query struct {
	// Index and Digest are those of the last Answer.
	Index  uint64
	Digest [sha256.Size]byte
	// Wait is how long the source may hold the request while Index is current.
	Wait time.Duration
}

// Answer is what a source publishes.
type Answer struct {
	// Set is what is published. Nil with a nil Err means that nothing changed; Digest is then the
	// Query's.
	Set *Set
	// Err is why what is published is refused. The Set is nil then.
	Err error
	// Index is that of the next Query, which the source then holds until something changes. Zero:
	// the source holds no query.
	Index uint64
	// Digest identifies what is published, such as its SHA-256. Zero: there is none, and the sets
	// are compared.
	Digest [sha256.Size]byte
	// Asked is as in Result. Zero is the time of the request.
	Asked time.Time
	// Next is the time until the next request to a source that holds none; zero is the Interval of
	// WatchOptions.
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

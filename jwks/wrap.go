package jwks

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
)

// Wrap returns a source that calls around, which may call fetch to ask s, and returns that set or
// another one. It may log, count, wait for its turn or leave keys out.
//
// The result is a [Poller] or a [Discoverer] if s is one, and a request that s holds until
// something changes is held within fetch. What around returns is compared with what it returned
// before. It must not change the set that fetch returned. Where around doesn't call fetch, or hides
// its error, nothing tells when to ask again: a watch does so after its Interval.
//
// Wrap returns s if either of the two is nil.
func Wrap(s Source, around func(ctx context.Context, fetch func(context.Context) (*Set, error)) (*Set, error)) Source {
	if s == nil || around == nil {
		return s
	}
	plain := wrapped{s, around}
	poller, polls := s.(Poller)
	discoverer, discovers := s.(Discoverer)
	switch {
	case polls && discovers:
		return struct {
			*wrappedPoller
			Discoverer
		}{&wrappedPoller{wrapped: plain, poller: poller}, discoverer}
	case polls:
		return &wrappedPoller{wrapped: plain, poller: poller}
	case discovers:
		return struct {
			wrapped
			Discoverer
		}{plain, discoverer}
	}
	return plain
}

// wrapped is a source that is asked by way of a function.
type wrapped struct {
	source Source
	around func(ctx context.Context, fetch func(context.Context) (*Set, error)) (*Set, error)
}

// RegionName is that of the source.
func (w wrapped) RegionName() string { return w.source.RegionName() }

// String returns the source as errors and logs name it.
func (w wrapped) String() string { return fmt.Sprint(w.source) }

// Fetch asks the source by way of the function.
func (w wrapped) Fetch(ctx context.Context) (*Set, error) { return w.around(ctx, w.source.Fetch) }

// Check is that of the source, if it has one.
func (w wrapped) Check() error { return check(w.source) }

func check(s Source) error {
	if checked, ok := s.(interface{ Check() error }); ok {
		return checked.Check()
	}
	return nil
}

// wrappedPoller is a wrapped Poller.
type wrappedPoller struct {
	wrapped
	poller Poller

	mu   sync.Mutex
	last Answer // of the poller, that had something to say
}

// Poll asks the source by way of the function, which gets the set even where nothing changed.
func (w *wrappedPoller) Poll(ctx context.Context, q Query) (Answer, error) {
	w.mu.Lock()
	said := w.last
	w.mu.Unlock()
	known := q.Digest
	q.Digest = said.Digest
	var a Answer
	set, err := w.around(ctx, func(ctx context.Context) (*Set, error) {
		var err error
		if a, err = w.poller.Poll(ctx, q); err != nil {
			return nil, err
		}
		if a.Set != nil || a.Err != nil {
			said = a
		}
		return said.Set, said.Err
	})
	isRefusal := said.Err != nil && errors.Is(err, said.Err)
	if err != nil && !isRefusal {
		return Answer{}, err
	}
	w.mu.Lock()
	w.last = said
	w.mu.Unlock()
	a.Set, a.Err, a.Digest = set, err, said.Digest
	switch isSame := isRefusal || set == said.Set; {
	case !isSame:
		a.Digest = [sha256.Size]byte{}
	case a.Digest == known && known != [sha256.Size]byte{}:
		a.Set, a.Err = nil, nil
	}
	return a, nil
}

// WithIssuer returns s as a [Discoverer] that knows the "iss" of its tokens, for sources that have
// no discovery document, such as a [URL] or a [File]. If s is a Discoverer itself, it is no longer
// asked.
func WithIssuer(s Source, issuer string) Source {
	known := knownIssuer{Source: s, issuer: issuer}
	if p, ok := s.(Poller); ok {
		return polledIssuer{known, p}
	}
	return known
}

// knownIssuer is a source whose tokens have an issuer that the operator names.
type knownIssuer struct {
	Source
	issuer string
}

// String returns the source as errors and logs name it.
func (k knownIssuer) String() string { return fmt.Sprint(k.Source) }

// Check is that of the source, if it has one.
func (k knownIssuer) Check() error { return check(k.Source) }

// Discover returns the issuer.
func (k knownIssuer) Discover(context.Context) (Metadata, error) {
	m := Metadata{Issuer: k.issuer}
	return m, m.check()
}

// polledIssuer is a knownIssuer that is a Poller.
type polledIssuer struct {
	knownIssuer
	poller Poller
}

// Poll asks the source.
func (p polledIssuer) Poll(ctx context.Context, q Query) (Answer, error) {
	return p.poller.Poll(ctx, q)
}

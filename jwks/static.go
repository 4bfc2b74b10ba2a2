package jwks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jwksharvest/harvest/internal/text"
)

// NewSet returns a set of the caller's own keys, at most MaxMembers. They are judged as [Parse] and
// [Judge] judge those of a document. Keys that aren't usable are in Skipped, with their place among
// the arguments. The same key is kept once, and a key without a KeyID gets its thumbprint.
//
// The error is a *[NoKeysError] where no key is left, or wraps ErrTooLarge. The keys themselves
// aren't copied, and must not change afterwards.
func NewSet(keys ...Key) (*Set, error) {
	if len(keys) > MaxMembers {
		return nil, fmt.Errorf("%w: over %d keys", ErrTooLarge, MaxMembers)
	}
	c := newCollector(len(keys))
	for i, key := range keys {
		key.Algorithms = slices.Clone(key.Algorithms) // those of the same key are added to them
		c.add(i, key.KeyID, &key, judgeKey(key))
	}
	return c.result()
}

// Static returns a source that always publishes the same keys (see [NewSet]), such as those of a
// test or of a partner who sends a key by mail. They belong to that region, "" being none, and must
// not change once in use.
func Static(region string, keys ...Key) Source { return staticSource{region, keys} }

type staticSource struct {
	region string
	keys   []Key
}

// RegionName returns the region.
func (s staticSource) RegionName() string { return s.region }

// String returns what errors and logs call it.
func (s staticSource) String() string { return fmt.Sprintf("%d keys of the caller's own", len(s.keys)) }

// Fetch is [NewSet] of the keys.
func (s staticSource) Fetch(ctx context.Context) (*Set, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	set, err := NewSet(s.keys...)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", s, err)
	}
	return set, nil
}

// SourceFunc returns a source that calls a function, for keys from a place that this package
// doesn't know. The function keeps the rules of [Source] for Fetch. Its keys are judged
// ([Set.Judge]). If it returns no set and no error, that is a *[NoKeysError].
func SourceFunc(fetch func(ctx context.Context) (*Set, error)) Source { return funcSource(fetch) }

type funcSource func(ctx context.Context) (*Set, error)

// RegionName returns "".
func (funcSource) RegionName() string { return "" }

// Fetch returns what the function does, judged.
func (f funcSource) Fetch(ctx context.Context) (*Set, error) {
	if f == nil {
		return nil, errors.New("SourceFunc was given no function")
	}
	set, err := f(ctx)
	switch {
	case err != nil:
		return nil, err
	case set == nil:
		return nil, new(NoKeysError)
	}
	for _, k := range set.Keys {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("judging key %q: %w", text.KeyID(k.KeyID), err)
		}
		_ = Judge(k) // remembered
	}
	return set.Judge()
}

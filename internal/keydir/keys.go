package keydir

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/wait"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// Key is a published key as its file holds it.
type Key struct {
	jwks.Key
	Block pem.Block
	Text  []byte // the block as PEM, with a line feed at the end
}

// Judge leaves out of the results the keys that must not be trusted. A set that can't be judged
// before ctx ends counts as one that could not be read.
func Judge(ctx context.Context, results []jwks.Result) {
	for i, r := range results {
		if r.Err != nil {
			continue
		}
		set, err := wait.Within(ctx, r.Set.Judge)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("judging %d keys: %w", len(r.Set.Keys), err)
		}
		results[i].Set, results[i].Err = set, err
	}
}

// Collect returns the keys of all results in their order, each once. With annotate, each has the
// annotation of one that is added now.
func Collect(results []jwks.Result, annotate bool, now time.Time) ([]Key, error) {
	var keys []Key
	seen := map[pem.Fingerprint]bool{}
	for _, r := range results {
		if r.Err != nil {
			continue
		}
		for _, k := range r.Set.Keys {
			b := pem.Block{Public: k.Public}
			if annotate {
				b.Annotation = pem.Annotation{
					Version: pem.Version, Cluster: r.Cluster, Region: r.Region, KeyID: k.KeyID, Algorithms: k.Algorithms, Added: now,
				}
			}
			if seen[b.Fingerprint()] {
				continue
			}
			seen[b.Fingerprint()] = true
			text, err := b.MarshalText()
			if err != nil {
				return nil, fmt.Errorf("key %q: %w", k.KeyID, err)
			}
			keys = append(keys, Key{Key: k, Block: b, Text: append(text, '\n')})
		}
	}
	return keys, nil
}

// NewMountBody returns the configuration of a new mount with these keys.
func NewMountBody(keys []Key) map[string]any {
	var elements []string
	for _, k := range keys {
		elements = append(elements, strings.TrimSuffix(string(k.Text), "\n"))
	}
	return map[string]any{mountconfig.KeysField: elements}
}

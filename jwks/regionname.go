package jwks

import (
	"context"
	"crypto"
	"slices"
	"sync"
)

// maxNameless is how many regions are asked at most to find out which one is the agent's.
const maxNameless = 64

// name returns what the region is called, or "". An agent doesn't tell without a token which
// region is its own; among several it is the one that publishes the same keys, as each region
// has a keyring of its own.
func (n Nomad) name(ctx context.Context) string {
	if n.Region != "" {
		return n.Region
	}
	regions, err := n.Regions(ctx)
	if err != nil || len(regions) > maxNameless {
		return ""
	}
	if len(regions) == 1 {
		return regions[0]
	}
	own, err := n.Fetch(ctx)
	if err != nil {
		return ""
	}
	var pending sync.WaitGroup
	var mu sync.Mutex
	var same []string
	slots := make(slots, maxClusterFetches)
	for _, region := range regions {
		pending.Go(func() {
			if slots.acquire(ctx) != nil {
				return
			}
			defer slots.release()
			other := n
			other.Region = region
			set, err := other.Fetch(ctx)
			if err != nil || !sameKeys(own, set) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			same = append(same, region)
		})
	}
	pending.Wait()
	if len(same) != 1 { // none, as during a rotation, or a proxy that drops the region
		return ""
	}
	return same[0]
}

// sameKeys reports whether two sets have the same key IDs and keys, in any order.
func sameKeys(a, b *Set) bool {
	within := func(s *Set, k Key) bool {
		public, ok := k.Public.(interface{ Equal(crypto.PublicKey) bool })
		return ok && slices.ContainsFunc(s.Keys, func(other Key) bool { return other.KeyID == k.KeyID && public.Equal(other.Public) })
	}
	lacks := func(s, other *Set) bool {
		return slices.ContainsFunc(other.Keys, func(k Key) bool { return !within(s, k) })
	}
	return !lacks(a, b) && !lacks(b, a)
}

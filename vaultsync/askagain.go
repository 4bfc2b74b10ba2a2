package vaultsync

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jwksharvest/harvest/internal/contain"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// askAgainWithin bounds a second question to a source.
const askAgainWithin = 10 * time.Second

// again asks sources once more whose answers lack keys, and returns what is desired then: what
// either of the two answers has is published. An answer that doesn't come changes nothing.
func (m *subscriber) again(ctx context.Context, owners []pem.Owner) plan.Desired {
	ctx, cancel := context.WithTimeout(ctx, askAgainWithin)
	defer cancel()
	var asking sync.WaitGroup
	for _, b := range m.inboxes {
		for _, owner := range owners {
			if owner.Cluster == b.cluster.Name {
				asking.Go(func() { b.askAgain(ctx, owner.Region) })
			}
		}
	}
	asking.Wait()
	return m.desired()
}

// askAgain asks a source of the cluster once more, for all mounts, and takes in both answers.
func (b *inbox) askAgain(ctx context.Context, region string) {
	b.asking.Lock()
	defer b.asking.Unlock()
	at := slices.IndexFunc(b.cluster.Sources, func(s jwks.Source) bool { return s.RegionName() == region })
	first, known := b.set(region)
	if at < 0 || !known || first == b.twice[region] {
		return
	}
	var second *jwks.Set
	err := contain.Panics(func() (err error) {
		second, err = b.cluster.Sources[at].Fetch(ctx)
		return err
	})
	if err != nil || second == nil {
		return
	}
	both := union(first, second)
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.results, func(r jwks.Result) bool { return r.Region == region && r.Set == first })
	if i < 0 { // a third answer came meanwhile
		return
	}
	b.results = slices.Clone(b.results)
	b.results[i].Set = both
	if b.twice == nil {
		b.twice = map[string]*jwks.Set{}
	}
	b.twice[region] = both
}

// set returns what a region of the cluster published last.
func (b *inbox) set(region string) (*jwks.Set, bool) {
	for _, r := range b.known() {
		if r.Region == region && r.Err == nil && r.Set != nil {
			return r.Set, true
		}
	}
	return nil, false
}

// recentSets are the sets that a region published last, the newest at the end.
type recentSets struct {
	digests [][sha256.Size]byte
	returns bool // the last one had been there before it
}

// mostRecent is how many sets of a region are remembered.
const mostRecent = 8

// noteReturn returns a set that a Watch was told of, with a warning where it was published before
// and another one since: the answers alternate.
func (b *inbox) noteReturn(region string, set *jwks.Set, isNews bool) *jwks.Set {
	if set == nil || len(set.Keys) == 0 {
		return set
	}
	seen := b.recent[region]
	if seen == nil {
		seen = new(recentSets)
		if b.recent == nil {
			b.recent = map[string]*recentSets{}
		}
		b.recent[region] = seen
	}
	if isNews {
		seen.add(digestOf(set))
	}
	if !seen.returns {
		return set
	}
	noted := *set
	noted.Warnings = slices.Concat(set.Warnings, []string{"it went back to a set of keys that it published before: its answers alternate, " +
		"as where several servers with keys of their own answer at one address, or it was restored from a backup"})
	return &noted
}

func (s *recentSets) add(digest [sha256.Size]byte) {
	n := len(s.digests)
	if n > 0 && s.digests[n-1] == digest {
		return
	}
	s.returns = slices.Contains(s.digests, digest)
	if s.digests = append(s.digests, digest); n == mostRecent {
		s.digests = s.digests[1:]
	}
}

// digestOf identifies the keys of a set, in any order.
func digestOf(set *jwks.Set) [sha256.Size]byte {
	var all []pem.Fingerprint
	for _, k := range set.Keys {
		if f, err := pem.FingerprintOf(k.Public); err == nil {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b pem.Fingerprint) int { return bytes.Compare(a[:], b[:]) })
	h := sha256.New()
	for _, f := range all {
		_, _ = h.Write(f[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// union returns the keys of two answers of one source. Where each has keys that the other lacks, or
// the second has more, it says so.
func union(first, second *jwks.Set) *jwks.Set {
	more := lacking(second.Keys, first.Keys)
	if len(more) == 0 {
		both := *first // another one: it stands for two answers
		return &both
	}
	both := *first
	both.Keys = slices.Concat(first.Keys, more)
	both.Warnings = slices.Concat(first.Warnings, []string{alternates(lacking(first.Keys, second.Keys), more)})
	return &both
}

// alternates says how two answers of one source differ.
func alternates(first, second []jwks.Key) string {
	for _, k := range first {
		if slices.ContainsFunc(second, func(other jwks.Key) bool { return other.KeyID == k.KeyID }) {
			return fmt.Sprintf("its answers alternate, with two keys under one kid %q: servers behind this address that should share a key have each made one; "+
				"logins with either work, and which server signs is chance", text.KeyID(k.KeyID))
		}
	}
	const most = 4
	var kids []string
	for _, k := range second[:min(len(second), most)] {
		kids = append(kids, text.KeyID(k.KeyID))
	}
	return fmt.Sprintf("its answers alternate: only one of two has %s; several servers or caches answer at this address, each with keys of its own or with older ones. "+
		"The keys of both answers count as published", text.QuoteAll(kids))
}

// lacking returns the keys that are not among others.
func lacking(keys, others []jwks.Key) []jwks.Key {
	return slices.DeleteFunc(slices.Clone(keys), func(k jwks.Key) bool {
		public, ok := k.Public.(interface{ Equal(crypto.PublicKey) bool })
		return !ok || slices.ContainsFunc(others, func(o jwks.Key) bool { return public.Equal(o.Public) })
	})
}

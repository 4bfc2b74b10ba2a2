// Package verdicts remembers what was found out about keys before a plan, so that the plan takes a
// short time.
package verdicts

import (
	"errors"
	"iter"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// Verdict is what a plan has to know of a published key: its fingerprint, and why it must not be
// trusted, if so.
type Verdict struct {
	Fingerprint pem.Fingerprint
	Refusal     *jwks.KeyError
	Err         error // no key that can be written
	Unjudged    bool  // there was no time to look
}

// Known are the verdicts so far. A cluster may publish a thousand new keys every second, and
// judging one may take a tenth of a second. So clusters take turns until they are stopped, and keys
// for which there was no time wait. Trusted keys stay meanwhile. The zero value is ready for use.
type Known struct {
	published map[*jwks.Set][]Verdict
	trusted   map[pem.Fingerprint]*jwks.KeyError // those that were judged, nil for a sound one
}

// JudgePublished judges the desired keys that have no verdict yet, and forgets the verdicts on keys
// that are no longer desired. The regions of a cluster take turns too. It ends when stop, which may
// be nil, returns true.
func (v *Known) JudgePublished(results []jwks.Result, stop func() bool) {
	known := v.published
	v.published = map[*jwks.Set][]Verdict{}
	queues := turns{}
	for _, r := range results {
		if r.Set == nil || v.published[r.Set] != nil {
			continue
		}
		all := known[r.Set]
		if len(all) != len(r.Set.Keys) {
			all = make([]Verdict, len(r.Set.Keys))
			for i, k := range r.Set.Keys {
				all[i].Fingerprint, all[i].Err = pem.FingerprintOf(k.Public)
				all[i].Unjudged = true
			}
		}
		v.published[r.Set] = all
		for i, k := range r.Set.Keys {
			if all[i].Unjudged {
				queues.add(r.Cluster, i, func() { all[i].Refusal, all[i].Unjudged = Refusal(k), false })
			}
		}
	}
	queues.run(stop)
}

// JudgeTrusted judges annotated keys, and ends as JudgePublished does.
func (v *Known) JudgeTrusted(annotated iter.Seq2[pem.Fingerprint, pem.Block], stop func() bool) {
	v.trusted = map[pem.Fingerprint]*jwks.KeyError{}
	queues, places := turns{}, map[string]int{}
	for f, b := range annotated {
		cluster := b.Annotation.Cluster
		queues.add(cluster, places[cluster], func() { v.trusted[f] = Refusal(jwks.Key{Public: b.Public}) })
		places[cluster]++
	}
	queues.run(stop)
}

// Published returns the verdicts on published keys only, for a later plan, which must judge anew
// what is trusted by then.
func (v *Known) Published() *Known { return &Known{published: v.published} }

// OnTrusted reports whether JudgeTrusted was called.
func (v *Known) OnTrusted() bool { return v.trusted != nil }

// Refusal returns why a key must not be trusted; nil: it may be.
func Refusal(k jwks.Key) *jwks.KeyError {
	refusal, _ := errors.AsType[*jwks.KeyError](jwks.Judge(k))
	return refusal
}

// turns are the keys of clusters to judge, by cluster and place among its own.
type turns map[string][][]func()

func (t turns) add(cluster string, place int, judge func()) {
	for len(t[cluster]) <= place {
		t[cluster] = append(t[cluster], nil)
	}
	t[cluster][place] = append(t[cluster][place], judge)
}

// run judges one key of each cluster after another, until it is stopped.
func (t turns) run(stop func() bool) {
	flat := map[string][]func(){}
	for cluster, places := range t {
		for _, judges := range places {
			flat[cluster] = append(flat[cluster], judges...)
		}
	}
	for len(flat) > 0 {
		for cluster, judges := range flat {
			if stop != nil && stop() {
				return
			}
			judges[0]()
			if flat[cluster] = judges[1:]; len(judges) == 1 {
				delete(flat, cluster)
			}
		}
	}
}

// Of returns the verdicts on a set.
func (v *Known) Of(set *jwks.Set) []Verdict {
	if v != nil {
		if known := v.published[set]; len(known) == len(set.Keys) {
			return known
		}
	}
	var all Known
	all.JudgePublished([]jwks.Result{{Set: set}}, nil)
	return all.published[set]
}

// OfTrusted returns why a trusted key must not be trusted; nil also where there was no time to
// look.
func (v *Known) OfTrusted(f pem.Fingerprint, b pem.Block) *jwks.KeyError {
	if v == nil || !v.OnTrusted() {
		return Refusal(jwks.Key{Public: b.Public})
	}
	return v.trusted[f]
}

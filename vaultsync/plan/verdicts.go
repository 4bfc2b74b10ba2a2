package plan

import (
	"errors"

	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
)

// verdict is what a plan has to know of a published key: its fingerprint, and why it must not be
// trusted, if so.
type verdict struct {
	fingerprint pem.Fingerprint
	refusal     *jwks.KeyError
	err         error // no key that can be written
	unjudged    bool  // there was no time to look
}

// Verdicts are what was found out about keys before a plan, so that the plan takes a short time. A
// cluster may publish a thousand new keys every second, and judging one may take a tenth of a
// second. So clusters take turns until they are stopped, and keys for which there was no time wait.
// Trusted keys stay meanwhile. The zero value is ready for use.
type Verdicts struct {
	published map[*jwks.Set][]verdict
	trusted   map[pem.Fingerprint]*jwks.KeyError // those that were judged, nil for a sound one
}

// JudgePublished judges the desired keys that have no verdict yet, and forgets the verdicts on keys
// that are no longer desired. The regions of a cluster take turns too. It ends when stop, which may
// be nil, returns true.
func (v *Verdicts) JudgePublished(want Desired, stop func() bool) {
	known := v.published
	v.published = map[*jwks.Set][]verdict{}
	queues := turns{}
	for _, r := range want.Results {
		if r.Set == nil || v.published[r.Set] != nil {
			continue
		}
		all := known[r.Set]
		if len(all) != len(r.Set.Keys) {
			all = make([]verdict, len(r.Set.Keys))
			for i, k := range r.Set.Keys {
				all[i].fingerprint, all[i].err = pem.FingerprintOf(k.Public)
				all[i].unjudged = true
			}
		}
		v.published[r.Set] = all
		for i, k := range r.Set.Keys {
			if all[i].unjudged {
				queues.add(r.Cluster, i, func() { all[i].refusal, all[i].unjudged = refusalOf(k), false })
			}
		}
	}
	queues.run(stop)
}

// JudgeTrusted judges the annotated keys of a list, and ends as JudgePublished does.
func (v *Verdicts) JudgeTrusted(list []Element, stop func() bool) {
	v.trusted = map[pem.Fingerprint]*jwks.KeyError{}
	queues, places := turns{}, map[string]int{}
	for _, e := range list {
		if e.Foreign() {
			continue
		}
		cluster := e.Block.Annotation.Cluster
		queues.add(cluster, places[cluster], func() { v.trusted[e.Fingerprint] = refusalOf(jwks.Key{Public: e.Block.Public}) })
		places[cluster]++
	}
	queues.run(stop)
}

// Published returns the verdicts on published keys only, for a later plan, which must judge anew
// what is trusted by then.
func (v *Verdicts) Published() *Verdicts { return &Verdicts{published: v.published} }

// OnTrusted reports whether JudgeTrusted was called.
func (v *Verdicts) OnTrusted() bool { return v.trusted != nil }

func refusalOf(k jwks.Key) *jwks.KeyError {
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

// of returns the verdicts on a set.
func (v *Verdicts) of(set *jwks.Set) []verdict {
	if v != nil {
		if known := v.published[set]; len(known) == len(set.Keys) {
			return known
		}
	}
	var all Verdicts
	all.JudgePublished(Desired{Results: []jwks.Result{{Set: set}}}, nil)
	return all.published[set]
}

// ofTrusted returns why a trusted key must not be trusted; nil also where there was no time to
// look.
func (v *Verdicts) ofTrusted(e Element) *jwks.KeyError {
	if v == nil || !v.OnTrusted() {
		return refusalOf(jwks.Key{Public: e.Block.Public})
	}
	return v.trusted[e.Fingerprint]
}

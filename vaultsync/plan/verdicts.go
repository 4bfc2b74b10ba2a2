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
}

// Verdicts are those on the keys of sets, in their order. A federation may publish hundreds of
// thousands of keys: a sync judges them before it reads the mount, not between the read and the
// write, which would come too late then.
type Verdicts map[*jwks.Set][]verdict

// Judge returns the verdicts on all that is desired. Those that are known already are taken over.
func (d Desired) Judge(known Verdicts) Verdicts {
	all := Verdicts{}
	for _, r := range d.Results {
		switch {
		case r.Set == nil || all[r.Set] != nil:
		case known[r.Set] != nil:
			all[r.Set] = known[r.Set]
		default:
			all[r.Set] = judgeSet(r.Set)
		}
	}
	return all
}

// of returns the verdicts on a set.
func (v Verdicts) of(set *jwks.Set) []verdict {
	if known := v[set]; len(known) == len(set.Keys) {
		return known
	}
	return judgeSet(set)
}

func judgeSet(set *jwks.Set) []verdict {
	out := make([]verdict, len(set.Keys))
	for i, k := range set.Keys {
		out[i].fingerprint, out[i].err = pem.FingerprintOf(k.Public)
		out[i].refusal, _ = errors.AsType[*jwks.KeyError](jwks.Judge(k))
	}
	return out
}

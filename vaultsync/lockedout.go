package vaultsync

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/pem"
)

// ErrAlgorithm: keys of a cluster are trusted, and Vault refuses its logins, since
// jwt_supported_algs has none of their algorithms and nobody stated that it should be so.
// Wrapped by an *AlgorithmError.
var ErrAlgorithm = errors.New("logins are refused for their algorithm")

// AlgorithmError is ErrAlgorithm with one of the cluster's keys.
type AlgorithmError struct {
	KeyID     string
	Signs     []string // what the key signs with
	Supported []string // jwt_supported_algs
	Mends     []string // a list by which every published key of the mount's clusters logs in
}

// Error says how to mend it.
func (e *AlgorithmError) Error() string {
	return fmt.Sprintf("%v: it signs with %s (kid %s), and jwt_supported_algs is %s; state jwt_supported_algs = %s for the mount",
		ErrAlgorithm, strings.Join(e.Signs, ", "), shownKeyID(e.KeyID), bracketed(e.Supported), quotedAlgorithms(e.Mends))
}

// Is reports true for ErrAlgorithm.
func (e *AlgorithmError) Is(target error) bool { return target == ErrAlgorithm }

// supported returns jwt_supported_algs as it will be; empty means any.
func (p *planner) supported() []string {
	if p.o.Settings.Algorithms != nil {
		return p.o.Settings.Algorithms
	}
	return p.plan.current.Algorithms()
}

// leftOut reports whether a key that isn't trusted yet is not to be: jwt_supported_algs is
// stated, and has none of its algorithms.
func (p *planner) leftOut(o *offer) bool {
	return p.o.Settings.Algorithms != nil && !slices.ContainsFunc(o.owners, func(owner pem.Owner) bool { return p.admits(o, owner) })
}

func (p *planner) admits(o *offer, owner pem.Owner) bool {
	return admitted(p.supported(), o.as[owner].Algorithms, o.Public)
}

// leaveOut names a key that is left out. Its logins would be refused anyway.
func (p *planner) leaveOut(o *offer) {
	k := Key{Cluster: o.owners[0].Cluster, Region: o.owners[0].Region, KeyID: o.KeyID, Public: o.Public, Fingerprint: o.fingerprint}
	k.setAlgorithms(o.Algorithms)
	k.Reason = "left out: jwt_supported_algs is stated as " + bracketed(p.o.Settings.Algorithms)
	p.plan.Skipped = append(p.plan.Skipped, k)
}

// findLockedOut looks for clusters that publish keys by which Vault takes no login. A list
// that is stated is meant; any other keeps the mount from being in sync.
func (p *planner) findLockedOut() {
	locked := map[pem.Owner][]Key{}
	var owners []pem.Owner
	missing := slices.Clone(p.supported()) // what a list that mends it has
	trusted := map[pem.Fingerprint]bool{}
	for _, k := range slices.Concat(p.plan.Add, p.plan.Adopt, p.plan.Keep) {
		trusted[k.Fingerprint] = true
	}
	for _, f := range p.offerOrder {
		o := p.offers[f]
		if !trusted[f] {
			continue
		}
		for _, owner := range o.owners {
			if p.admits(o, owner) {
				continue
			}
			as := o.as[owner]
			k := Key{KeyID: as.KeyID, Public: as.Public}
			k.setAlgorithms(as.Algorithms)
			if locked[owner] == nil {
				owners = append(owners, owner)
			}
			locked[owner] = append(locked[owner], k)
			missing = append(missing, k.algorithms()...)
		}
	}
	missing = statable(missing)
	for _, owner := range owners {
		keys := locked[owner]
		err := &AlgorithmError{keys[0].KeyID, keys[0].algorithms(), p.supported(), missing}
		if p.o.Settings.Algorithms != nil {
			p.warn("jwt_supported_algs is stated as %s, and %s signs with %s (kid %s): these logins of it are refused once that is written",
				bracketed(err.Supported), owner, strings.Join(err.Signs, ", "), shownKeyID(err.KeyID))
			continue
		}
		i := slices.IndexFunc(p.plan.Failed, func(f Failure) bool { return f.Cluster == owner.Cluster && f.Region == owner.Region })
		if i < 0 {
			p.plan.Failed = append(p.plan.Failed, Failure{owner.Cluster, owner.Region, len(keys), err})
			continue
		}
		p.plan.Failed[i].Err = fmt.Errorf("%w; %w", p.plan.Failed[i].Err, err) // there is no room for others either
	}
	p.sortFailures()
}

// statable returns what of these algorithms Vault knows, each once and sorted.
func statable(algs []string) []string {
	return slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, alg := range algs {
			if slices.Contains(vaultAlgorithms, alg) && !yield(alg) {
				return
			}
		}
	}))
}

// stateAlgorithms says how to have a mount take these algorithms.
func stateAlgorithms(algs []string) string {
	algs = statable(algs)
	return fmt.Sprintf("state jwt_supported_algs = %s in the mount's block, or -jwt-supported-algs %s, and run harvest sync",
		quotedAlgorithms(algs), strings.Join(algs, ","))
}

// clearBoundIssuer says how to have a mount take any issuer.
const clearBoundIssuer = `state bound_issuer = "" in the mount's block, or -bound-issuer "", and run harvest sync`

// quotedAlgorithms returns a list as it stands in a configuration file.
func quotedAlgorithms(algs []string) string { return `["` + strings.Join(algs, `", "`) + `"]` }

func bracketed(algs []string) string { return "[" + vaultapi.Clean(strings.Join(algs, ", ")) + "]" }

package vaultsync

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// ErrAlgorithm: keys of a cluster are trusted, but Vault refuses its logins: jwt_supported_algs has
// none of their algorithms, and nobody stated that list. Wrapped by an *AlgorithmError.
var ErrAlgorithm = errors.New("logins are refused for their algorithm")

// AlgorithmError is ErrAlgorithm with one of the cluster's keys.
type AlgorithmError struct {
	KeyID     string
	Signs     []string // what the key signs with
	Supported []string // jwt_supported_algs
	Mends     []string // a list with which every published key of the mount's clusters logs in
}

// Error says what keeps the logins out.
func (e *AlgorithmError) Error() string {
	return fmt.Sprintf("%v: it signs with %s (kid %s), and jwt_supported_algs is %s",
		ErrAlgorithm, strings.Join(e.Signs, ", "), vaultapi.KeyID(e.KeyID), vaultapi.Bracket(e.Supported))
}

// Is reports true for ErrAlgorithm.
func (e *AlgorithmError) Is(target error) bool { return target == ErrAlgorithm }

// supported returns jwt_supported_algs as it will be; empty means any.
func (m *mountPlanner) supported() []string {
	if m.o.Settings.Algorithms != nil {
		return m.o.Settings.Algorithms
	}
	return m.current.Algorithms()
}

// nameLockedOut names the clusters that publish keys by which Vault takes no login. A list that
// is stated is meant; any other keeps the mount from being in sync.
func (m *mountPlanner) nameLockedOut() {
	mends := slices.Clone(m.supported())
	for _, locked := range m.plan.LockedOut {
		for _, k := range locked {
			mends = append(mends, k.SignsWith()...)
		}
	}
	mends = vaultapi.KnownAlgorithms(mends)
	for _, locked := range m.plan.LockedOut {
		k := locked[0]
		err := &AlgorithmError{k.KeyID, k.SignsWith(), m.supported(), mends}
		if m.o.Settings.Algorithms != nil {
			m.warn("jwt_supported_algs is stated as %s, and %s signs with %s (kid %s): these logins of it are refused once that is written",
				vaultapi.Bracket(err.Supported), k.Owner, strings.Join(err.Signs, ", "), vaultapi.KeyID(err.KeyID))
			continue
		}
		m.plan.Fail(k.Owner, len(locked), err)
	}
}

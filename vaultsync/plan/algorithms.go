package plan

import "github.com/jwksharvest/harvest/internal/rule"

// setAlgorithms sets what a key is shown to sign with: algs as Vault spells them or, where
// there are none, the usual one of its type.
func (k *Key) setAlgorithms(algs []string) {
	named := rule.SignsWith(algs, k.Public)
	k.Algorithm, k.Algorithms = "", nil
	if len(named) > 0 {
		k.Algorithm = named[0]
	}
	if len(named) > 1 {
		k.Algorithms = named
	}
}

// SignsWith returns every algorithm that the key is shown to sign with.
func (k Key) SignsWith() []string {
	if len(k.Algorithms) > 0 || k.Algorithm == "" {
		return k.Algorithms
	}
	return []string{k.Algorithm}
}

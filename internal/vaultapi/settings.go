package vaultapi

import (
	"slices"
	"strings"
)

// Algorithms are what an empty jwt_supported_algs stands for.
var Algorithms = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}

// KnownAlgorithms returns what of these algorithms Vault knows, each once and sorted.
func KnownAlgorithms(algs []string) []string {
	return slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, alg := range algs {
			if slices.Contains(Algorithms, alg) && !yield(alg) {
				return
			}
		}
	}))
}

// Bracket returns a list in brackets, fit for a terminal.
func Bracket(algs []string) string { return "[" + Clean(strings.Join(algs, ", ")) + "]" }

// KeyID returns a kid, fit for a terminal and cut.
func KeyID(kid string) string {
	const most = 64
	if kid = Clean(kid); len(kid) > most {
		kid = strings.ToValidUTF8(kid[:most], "") + "…"
	}
	return kid
}

package rule

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"slices"
)

// algorithms returns the names, as Vault's jwt_supported_algs spells them, of the
// signatures that a key can make, the usual one first (RFC 7518 section 3.1, RFC 8037).
func algorithms(pub crypto.PublicKey) []string {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		switch pub.Curve.Params().BitSize {
		case 256:
			return []string{"ES256"}
		case 384:
			return []string{"ES384"}
		case 521:
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

// inVault returns algorithms as Vault spells them, each once and in their order.
func inVault(algs []string) []string {
	var out []string
	seen := map[string]bool{} // of an annotation's, there may be very many
	for _, alg := range algs {
		if alg == "Ed25519" { // RFC 9864's name for what Vault calls EdDSA
			alg = "EdDSA"
		}
		if !seen[alg] {
			seen[alg] = true
			out = append(out, alg)
		}
	}
	return out
}

// SignsWith returns algs as Vault spells them or, where there are none, the usual one of the key's
// type.
func SignsWith(algs []string, pub crypto.PublicKey) []string {
	named := inVault(algs)
	if len(named) == 0 {
		named = algorithms(pub)
		named = named[:min(len(named), 1)]
	}
	return named
}

// Admits reports whether a store with these supported algorithms takes signatures of the key by
// one of algs. Without algs it is any that the key can sign with. Without supported ones the store
// takes all.
func Admits(supported, algs []string, pub crypto.PublicKey) bool {
	if len(supported) == 0 {
		return true
	}
	if algs = inVault(algs); len(algs) == 0 {
		algs = algorithms(pub)
	}
	return slices.ContainsFunc(algs, func(a string) bool { return slices.Contains(supported, a) })
}

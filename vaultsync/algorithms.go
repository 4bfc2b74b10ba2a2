package vaultsync

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

// usualAlgorithm returns the algorithm to show for a key and to allow on a new mount:
// alg as Vault spells it or, where there is none, the usual one of the key's type.
func usualAlgorithm(alg string, pub crypto.PublicKey) string {
	switch {
	case alg == "Ed25519": // RFC 9864's name for what Vault calls EdDSA
		return "EdDSA"
	case alg != "":
		return alg
	}
	if all := algorithms(pub); len(all) > 0 {
		return all[0]
	}
	return ""
}

// admitted says whether a mount that supports these algorithms takes a signature of the
// key: of alg or, where that is "", of any that the key can make. None supported: any.
func admitted(supported []string, alg string, pub crypto.PublicKey) bool {
	if len(supported) == 0 {
		return true
	}
	if alg != "" {
		return slices.Contains(supported, usualAlgorithm(alg, pub))
	}
	return slices.ContainsFunc(algorithms(pub), func(a string) bool { return slices.Contains(supported, a) })
}

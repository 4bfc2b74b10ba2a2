package hint

import (
	"fmt"
	"strings"

	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// StateAlgorithms says how to have a mount take these algorithms.
func StateAlgorithms(algs []string) string {
	algs = vaultapi.KnownAlgorithms(algs)
	return fmt.Sprintf("state jwt_supported_algs = %s in the mount's block, or -jwt-supported-algs %s, and run harvest sync",
		quoteAlgorithms(algs), strings.Join(algs, ","))
}

// quoteAlgorithms returns a list as it stands in a configuration file.
func quoteAlgorithms(algs []string) string { return `["` + strings.Join(algs, `", "`) + `"]` }

// ClearBoundIssuer says how to have a mount take any issuer.
const ClearBoundIssuer = `state bound_issuer = "" in the mount's block, or -bound-issuer "", and run harvest sync`

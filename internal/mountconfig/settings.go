package mountconfig

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

// MaxSetting is how many bytes a stated text may have.
const MaxSetting = 1 << 10

// CheckSettings refuses what Vault would refuse, and text that looks like other text. Nil is not
// stated.
func CheckSettings(algorithms []string, boundIssuer, defaultRole *string) error {
	for i, alg := range algorithms {
		switch {
		case alg == "Ed25519":
			return fmt.Errorf("%s: Vault calls Ed25519 EdDSA", AlgorithmsField)
		case !slices.Contains(vaultapi.Algorithms, alg):
			return fmt.Errorf("%s: %s is none that Vault takes; want some of %s, or an empty list for all",
				AlgorithmsField, vaultapi.Quote(alg), strings.Join(vaultapi.Algorithms, ", "))
		case slices.Contains(algorithms[:i], alg):
			return fmt.Errorf("%s names %s twice", AlgorithmsField, alg)
		}
	}
	for field, value := range map[string]*string{IssuerField: boundIssuer, RoleField: defaultRole} {
		if value != nil && (len(*value) > MaxSetting || text.Blank(*value) != *value || strings.TrimSpace(*value) != *value) {
			return fmt.Errorf("%s: want printable text without blanks around it, %d bytes at most", field, MaxSetting)
		}
	}
	return nil
}

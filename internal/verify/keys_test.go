package verify

import (
	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Keys by name.
var (
	now         = fakekeys.Now
	publish     = fakekeys.Publish
	trust       = fakekeys.Trust
	paste       = fakekeys.Paste
	down        = fakekeys.Down
	missing     = fakekeys.Missing
	fingerprint = fakekeys.Fingerprint
)

// config is that of a mount that trusts elements.
func config(elements ...string) vaultsync.Config { return vaultsync.NewConfig(fields(elements...)) }

func fields(elements ...string) object {
	list := []any{}
	for _, e := range elements {
		list = append(list, e)
	}
	return object{
		"jwt_validation_pubkeys": list, "jwt_supported_algs": []any{"EdDSA", "RS256"}, "default_role": "nomad-workloads", "bound_issuer": "",
		"jwks_url": "", "jwks_pairs": []any{}, "oidc_discovery_url": "", "provider_config": object{},
	}
}

package lint

import (
	"encoding/json"
	"maps"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/vaultsync"
)

// Keys by name.
var (
	now     = fakekeys.Now
	publish = fakekeys.Publish
	trust   = fakekeys.Trust
	paste   = fakekeys.Paste
	down    = fakekeys.Down
	added   = fakekeys.Added
	errDown = fakekeys.ErrDown
	signs   = fakekeys.Signs
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

type object = map[string]any

func changed(base, change object) object {
	out := maps.Clone(base)
	for k, v := range change {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

// nomadRole is the role that Nomad's documentation suggests, as vault/api reads it.
func nomadRole(change object) *jwtrole.Role {
	return jwtrole.New("workloads", changed(object{
		"role_type": "jwt", "bound_audiences": []any{"vault.io"}, "bound_subject": "", "bound_claims": nil, "bound_claims_type": "string",
		"user_claim": "/nomad_job_id", "user_claim_json_pointer": true, "groups_claim": "",
		"claim_mappings":    object{"nomad_namespace": "nomad_namespace"},
		"expiration_leeway": json.Number("0"), "not_before_leeway": json.Number("0"), "clock_skew_leeway": json.Number("0"),
		"token_bound_cidrs": []any{},
	}, change))
}

// Package mountconfig is what auth/<mount>/config holds: what harvest reads of it, what it keeps as
// it is, and what it writes with a plan.
package mountconfig

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// KeysField is the only field of a mount's configuration that harvest changes unasked, and the
// others are its settings.
const (
	KeysField       = "jwt_validation_pubkeys"
	AlgorithmsField = "jwt_supported_algs"
	IssuerField     = "bound_issuer"
	RoleField       = "default_role"
)

// Config is what auth/<mount>/config holds: every field as it was read, known here or
// not. The zero Config is that of a mount that was never configured.
type Config struct {
	Fields map[string]any // as vault/api decodes them; not to be changed
	Stored bool           // in a vaultsync.Store, which takes an empty list
}

// New returns a Config of fields as vault/api decodes them: strings, booleans,
// json.Number, []any and map[string]any. It keeps fields, which must not be changed.
func New(fields map[string]any) Config { return Config{Fields: fields} }

// IsZero reports whether the mount was never configured.
func (c Config) IsZero() bool { return len(c.Fields) == 0 }

// Keys returns the elements of jwt_validation_pubkeys.
func (c Config) Keys() []string { return c.strings(KeysField) }

// Elements returns the elements of jwt_validation_pubkeys, read.
func (c Config) Elements() []plan.Element { return plan.Read(c.Keys()) }

// Annotated returns the keys among them that have an annotation.
func (c Config) Annotated() iter.Seq2[pem.Fingerprint, pem.Block] {
	return func(yield func(pem.Fingerprint, pem.Block) bool) {
		for _, e := range c.Elements() {
			if !e.Foreign() && !yield(e.Fingerprint, e.Block) {
				return
			}
		}
	}
}

// Algorithms returns jwt_supported_algs; empty means that Vault takes any.
func (c Config) Algorithms() []string { return c.strings(AlgorithmsField) }

// BoundIssuer returns bound_issuer; "" means that Vault takes any.
func (c Config) BoundIssuer() string { return c.text(IssuerField) }

// DefaultRole returns default_role, which those get who name no role; "" means that all must.
func (c Config) DefaultRole() string { return c.text(RoleField) }

func (c Config) text(field string) string {
	s, _ := c.Fields[field].(string)
	return s
}

func (c Config) strings(field string) []string { return vaultapi.Strings(c.Fields[field]) }

var (
	// ErrNotStaticKeys: the mount takes its keys from a URL or by OIDC discovery.
	ErrNotStaticKeys = errors.New("mount is not in static key mode")
	// ErrUnreadableFields: Vault leaves secrets of this mount's configuration out of
	// reads, so that writing back what was read would wipe them.
	ErrUnreadableFields = errors.New("mount has settings that can't be read back")
)

// otherModes are the fields that exclude static keys, and urlFields what else means
// something only beside them.
var (
	otherModes = []string{"jwks_url", "jwks_pairs", "oidc_discovery_url"}
	urlFields  = []string{
		"jwks_ca_pem", "oidc_discovery_ca_pem", "oidc_response_mode", "oidc_response_types",
	}
)

// Mode returns the field by which the mount takes its keys from elsewhere, such as jwks_url; ""
// is static keys.
func (c Config) Mode() string {
	for _, field := range otherModes {
		if !isEmpty(c.Fields[field]) {
			return field
		}
	}
	return ""
}

// Check refuses what a write would damage: the error wraps [ErrUnreadableFields] or, unless the
// keys' source is to be converted, [ErrNotStaticKeys].
func (c Config) Check(convert bool) error {
	if !isStrings(c.Fields[KeysField]) {
		return fmt.Errorf("%w: %s is no list of strings, and a write would drop what is there", ErrUnreadableFields, KeysField)
	}
	if !isEmpty(c.Fields["oidc_client_id"]) {
		return fmt.Errorf("%w: oidc_client_id is set, so people sign in on it by OIDC, and a write would wipe the client's secret, "+
			"which no read shows; use a JWT mount of its own", ErrUnreadableFields)
	}
	if !isEmpty(c.Fields["provider_config"]) {
		return fmt.Errorf("%w: a read leaves the secrets of provider_config out, and a write would wipe them; "+
			"use a JWT mount without provider_config", ErrUnreadableFields)
	}
	if mode := c.Mode(); mode != "" && !convert {
		return fmt.Errorf("%w: %s is set", ErrNotStaticKeys, mode)
	}
	return nil
}

// Excluded returns the fields that static keys exclude and that are set now, sorted.
func (c Config) Excluded() []string {
	var out []string
	for _, field := range slices.Concat(otherModes, urlFields) {
		if !isEmpty(c.Fields[field]) {
			out = append(out, field)
		}
	}
	slices.Sort(out)
	return out
}

// Body returns the whole configuration with elements as its keys and these settings: every
// other field that was read goes back, but for those in without.
func (c Config) Body(elements, without []string, settings map[string]any) map[string]any {
	body := maps.Clone(c.Fields)
	if body == nil {
		body = map[string]any{}
	}
	for _, field := range without {
		delete(body, field)
	}
	maps.Copy(body, settings)
	body[KeysField] = elements
	return body
}

// isStrings reports whether v is a list of strings, or nothing.
func isStrings(v any) bool {
	list, ok := v.([]any)
	if !ok {
		_, ok = v.([]string)
		return ok || v == nil
	}
	return !slices.ContainsFunc(list, func(e any) bool { _, ok := e.(string); return !ok })
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case []string:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	default:
		return false
	}
}

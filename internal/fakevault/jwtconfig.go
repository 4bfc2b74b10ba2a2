package fakevault

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The fields of auth/<mount>/config, by kind. Each is in the answer to a read, whether it
// was ever written or not, but for the secret.
var (
	configStrings = []string{
		"oidc_discovery_url", "oidc_discovery_ca_pem", "oidc_client_id", "oidc_client_secret",
		"oidc_response_mode", "jwks_url", "jwks_ca_pem", "default_role", "bound_issuer",
	}
	configLists = []string{
		"oidc_response_types", "jwt_validation_pubkeys", "jwt_supported_algs",
		"unsupported_critical_cert_extensions",
	}
)

// supportedAlgs is every algorithm that jwt_supported_algs may hold, and what an empty
// list stands for.
var supportedAlgs = []string{
	"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA",
}

// parseConfig makes the config that a write of fields leaves behind. It replaces the old
// one whole, but for namespace_in_state, which stays where the write doesn't name it. Its
// error is what Vault answers with 400.
func parseConfig(ctx context.Context, fields, old map[string]any) (map[string]any, error) {
	cfg := map[string]any{}
	for _, f := range configStrings {
		v, err := weakString(fields[f])
		if err != nil {
			return nil, fieldError(f, err)
		}
		cfg[f] = v
	}
	for _, f := range configLists {
		v, err := stringList(fields[f])
		if err != nil {
			return nil, fieldError(f, err)
		}
		cfg[f] = v
	}
	cfg["default_role"] = strings.ToLower(cfg["default_role"].(string))
	cfg["jwks_pairs"] = []any{}
	if v, ok := fields["jwks_pairs"].([]any); ok {
		cfg["jwks_pairs"] = v
	}
	cfg["provider_config"] = map[string]any{}
	if v, ok := fields["provider_config"].(map[string]any); ok {
		cfg["provider_config"] = v
	}
	switch v, ok := fields["namespace_in_state"]; {
	case ok:
		b, err := strconv.ParseBool(fmt.Sprint(v))
		if err != nil {
			return nil, fieldError("namespace_in_state", fmt.Errorf("cannot parse '' as bool: %w", err))
		}
		cfg["namespace_in_state"] = b
	case old != nil:
		cfg["namespace_in_state"] = old["namespace_in_state"]
	default:
		cfg["namespace_in_state"] = true
	}
	return cfg, checkConfig(ctx, cfg)
}

// checkConfig refuses what Vault refuses, in its order and words.
func checkConfig(ctx context.Context, cfg map[string]any) error {
	text := func(f string) string { return cfg[f].(string) }
	keys, pairs := cfg["jwt_validation_pubkeys"].([]string), cfg["jwks_pairs"].([]any)
	set := 0
	for _, is := range []bool{text("oidc_discovery_url") != "", len(keys) > 0, text("jwks_url") != "", len(pairs) > 0} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return errors.New("exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' or 'oidc_discovery_url' must be set")
	case (text("oidc_client_id") == "") != (text("oidc_client_secret") == ""):
		return errors.New("both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC")
	case text("oidc_discovery_url") != "":
		if err := discover(ctx, text("oidc_discovery_url")); err != nil {
			return errors.New("error checking oidc discovery URL")
		}
	case text("oidc_client_id") != "":
		return errors.New("'oidc_discovery_url' must be set for OIDC")
	case text("jwks_ca_pem") != "" && len(pairs) > 0:
		return errors.New("CA PEMs must be provided as part of the 'jwks_pairs' when using multiple JWKS URLs")
	case len(pairs) > 0 && text("bound_issuer") != "":
		return errors.New("Bound issuer is not supported for use with 'jwks_pairs'")
	case text("jwks_url") != "":
		if _, err := fetchKeys(ctx, text("jwks_url")); err != nil {
			return fmt.Errorf("error checking jwks URL %s", text("jwks_url"))
		}
	case len(keys) > 0:
		for _, k := range keys {
			if _, err := parsePublicKey([]byte(k)); err != nil {
				return fmt.Errorf("error parsing public key: %w", err)
			}
		}
	}
	for _, alg := range cfg["jwt_supported_algs"].([]string) {
		if !slices.Contains(supportedAlgs, alg) {
			return fmt.Errorf("invalid jwt_supported_algs: unsupported signing algorithm %q", alg)
		}
	}
	for _, t := range cfg["oidc_response_types"].([]string) {
		if t != "code" && t != "id_token" {
			return fmt.Errorf("invalid response_types %v. 'code' and 'id_token' are allowed", cfg["oidc_response_types"])
		}
	}
	if mode := text("oidc_response_mode"); mode != "" && mode != "query" && mode != "form_post" {
		return fmt.Errorf("invalid response_mode: %q", mode)
	}
	if p := cfg["provider_config"].(map[string]any); len(p) > 0 {
		name, ok := p["provider"].(string)
		if !ok {
			return errors.New("invalid provider_config: 'provider' field not found in provider_config")
		}
		if !slices.Contains([]string{"azure", "gsuite", "secureauth", "ibmisam"}, name) {
			return fmt.Errorf("invalid provider_config: provider %q not found in custom providers", name)
		}
	}
	return nil
}

// readable is the config as a read shows it: without the secrets.
func readable(cfg map[string]any) map[string]any {
	if cfg == nil {
		return nil
	}
	out := copyMap(cfg)
	delete(out, "oidc_client_secret")
	if p, ok := out["provider_config"].(map[string]any); ok && p["provider"] == "gsuite" {
		p = copyMap(p)
		delete(p, "gsuite_service_account")
		out["provider_config"] = p
	}
	return out
}

// parsePublicKey is Vault's: one PEM block, a PKIX public key or a certificate, and
// nothing after it. Text before the block is ignored.
func parsePublicKey(data []byte) (crypto.PublicKey, error) {
	block, rest := pem.Decode(data)
	if block != nil {
		if len(bytes.TrimSpace(rest)) > 0 {
			return nil, errors.New("unexpected trailing data after parsed PEM block")
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			key = cert.PublicKey
		}
		switch key.(type) {
		case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
			return key, nil
		}
	}
	return nil, errors.New("data does not contain any valid public keys")
}

// discover reads an issuer's discovery document and compares the issuer.
func discover(ctx context.Context, issuer string) error {
	var doc struct{ Issuer string }
	if err := fetchJSON(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &doc); err != nil {
		return err
	}
	if doc.Issuer != issuer {
		return fmt.Errorf("issuer did not match the returned issuer, expected %q got %q", issuer, doc.Issuer)
	}
	return nil
}

func fetchJSON(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

func fieldError(field string, err error) error {
	return fmt.Errorf("Field validation failed: error converting input for field %q: %w", field, err)
}

// weakString takes what Vault takes for a string.
func weakString(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		if v {
			return "1", nil
		}
		return "0", nil
	}
	return "", fmt.Errorf("'' expected type 'string', got unconvertible type '%T', value: '%v'", v, v)
}

// stringList takes a list, or one string that is split on commas. Each element loses the
// white space around it.
func stringList(v any) ([]string, error) {
	out := []string{}
	switch v := v.(type) {
	case nil:
	case string:
		if v != "" {
			out = strings.Split(v, ",")
		}
	case []string:
		out = slices.Clone(v)
	case []any:
		for _, e := range v {
			s, err := weakString(e)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
	default:
		s, err := weakString(v)
		if err != nil {
			return nil, err
		}
		out = []string{s}
	}
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out, nil
}

package vaultsync

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// privateText is a private key in the list, where somebody put it.
const privateText = "-----BEGIN PRIVATE KEY-----\ncHJpdmF0ZXByaXZhdGVwcml2YXRlcHJpdmF0ZQ==\n-----END PRIVATE KEY-----"

// FuzzNewPlan plans for arbitrary configurations and settings and checks what becomes of the
// fields besides the keys, of which package plan's FuzzNew takes care.
func FuzzNewPlan(f *testing.F) {
	more := []string{
		"", `{"new": {"a": [1, 2.50, null, {"b": "c"}]}, "bound_issuer": "https://x"}`, `{"jwt_supported_algs": "EdDSA", "bound_issuer": 7, "x": 1e400}`,
		`{"provider_config": {"provider": "azure"}}`, `{"jwks_pairs": [{"jwks_url": "https://x"}], "jwks_ca_pem": "x"}`, `{"jwt_validation_pubkeys": "a,b"}`,
		`{"jwt_validation_pubkeys": ["x", 7]}`, `{"bound_issuer": 0, "": 0}`, `{"huge": "` + strings.Repeat("x", vaultapi.MaxConfig-1500) + `"}`,
	}
	random := rand.NewChaCha8([32]byte{}) // so that go test, by itself, sees some of everything
	for i := range 128 {
		seed := make([]byte, 40)
		_, _ = random.Read(seed)
		f.Add(seed, []byte(more[max(0, i%20-11)]))
	}
	f.Fuzz(func(t *testing.T, data []byte, more []byte) {
		c := fakekeys.Choices(data)
		current, want, o := drawMount(&c, more)
		before, err := json.Marshal(current.Fields)
		require.NoError(t, err)
		p, err := newPlan(current, want, o, circumstances{})
		switch {
		case errors.Is(err, ErrTooLarge):
			require.Greater(t, len(before), vaultapi.MaxConfig-32<<10)
			return
		case errors.Is(err, ErrNotStaticKeys):
			require.NotEmpty(t, current.Mode())
			return
		case errors.Is(err, ErrUnreadableFields):
			require.False(t, readable(current.Fields))
			return
		case errors.Is(err, plan.ErrLastKey):
			require.False(t, o.AllowEmpty)
			return
		}
		require.NoError(t, err)
		requireFields(t, current.Fields, p, o)
		requireStored(t, current, p, want, o)
		text, err := json.Marshal(&MountReport{Plan: p})
		require.NoError(t, err)
		require.NotContains(t, string(text), privateText[30:60])
		after, err := json.Marshal(current.Fields)
		require.NoError(t, err)
		require.True(t, bytes.Equal(before, after), "NewPlan changed its argument")
	})
}

// drawMount makes a configuration of choices and of JSON of further fields, and what to make of
// it.
func drawMount(c *fakekeys.Choices, more []byte) (mountconfig.Config, plan.Desired, Options) {
	list := []any{}
	for range c.Pick(4) {
		list = append(list, c.Of(trust("a", "k1"), trust("b", "k2"), trust("z", "k3"), paste("x"), privateText))
	}
	fields := maps.Clone(config().Fields)
	fields[keysField] = list
	decoder := json.NewDecoder(bytes.NewReader(more))
	decoder.UseNumber() // as vault/api does
	var others map[string]any
	if decoder.Decode(&others) == nil {
		maps.Copy(fields, others)
	}
	if c.Rarely(16) {
		fields[c.Of("jwks_url", "oidc_discovery_url", "oidc_client_id")] = "https://x"
	}
	o := Options{Now: now, AllowEmpty: c.Rarely(4), Convert: c.Rarely(4), DefaultRole: c.Of("", "r")}
	if c.Rarely(3) {
		o.Settings.Algorithms = append([]string{}, strings.Fields(c.Of("", "EdDSA", "RS256 PS256", "EdDSA RS256", "PS512"))...)
	}
	if c.Rarely(4) {
		o.Settings.BoundIssuer, o.Settings.DefaultRole = new(c.Of("", "https://x")), new(c.Of("", "r"))
	}
	if c.Rarely(4) {
		o.Deny = append(o.Deny, fingerprint("k1"), fingerprint("x"))
	}
	want := plan.Desired{Clusters: []string{"a", "b"}, Results: []jwks.Result{publish("a", "k1", "k4")}}
	if c.Rarely(2) {
		want.Results = append(want.Results, publish("b", "k2"))
	}
	return mountconfig.New(fields), want, o
}

// requireStored writes a plan, by way of JSON, and checks that there is room for it, and that
// nothing is left to do then.
func requireStored(t *testing.T, current mountconfig.Config, p *plan.Plan, want plan.Desired, o Options) {
	t.Helper()
	body, err := current.With(p)
	require.NoError(t, err)
	text, err := json.Marshal(body)
	require.NoError(t, err)
	if p.Changed {
		require.LessOrEqual(t, len(text), max(vaultapi.MaxConfig+1<<10, mountconfig.Size(current.Fields)))
	}
	if !p.Emptied && len(p.Next) == 0 {
		return
	}
	var stored map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&stored))
	again, err := newPlan(mountconfig.New(stored), want, o, circumstances{})
	require.NoError(t, err)
	require.False(t, again.Changed, "%v, %v", again.Settings, again.Add)
}

// empty reports whether a field says nothing, as vault/api decodes it.
func empty(v any) bool {
	text, err := json.Marshal(v)
	return err == nil && slices.Contains([]string{`null`, `""`, `[]`, `{}`}, string(text))
}

// readable reports whether a read leaves nothing out that a write would wipe.
func readable(fields map[string]any) bool {
	list, isList := fields[keysField].([]any)
	odd := fields[keysField] != nil && !isList || slices.ContainsFunc(list, func(e any) bool { _, isText := e.(string); return !isText })
	return !odd && empty(fields["provider_config"]) && empty(fields["oidc_client_id"])
}

// requireFields checks that a plan was made for a mount with static keys alone, or for one that
// may be converted, and that each other field goes back as it was.
func requireFields(t *testing.T, fields map[string]any, p *plan.Plan, o Options) {
	t.Helper()
	require.True(t, readable(fields))
	body, err := mountconfig.New(fields).With(p)
	require.NoError(t, err)
	converted := false
	for name, value := range fields {
		switch name {
		case keysField:
		case "jwks_url", "jwks_pairs", "oidc_discovery_url":
			converted = converted || !empty(value)
		case "jwks_ca_pem", "oidc_discovery_ca_pem", "oidc_response_mode", "oidc_response_types":
		default:
			require.Contains(t, body, name)
			if _, stated := statedFields(o.Settings)[name]; !stated || !p.Changed {
				require.Equal(t, value, body[name])
			}
		}
	}
	require.True(t, !converted || o.Convert)
	for name, value := range statedFields(o.Settings) {
		require.True(t, sameSetting(value, body[name]) || len(p.Next) == 0 && !p.Emptied, "%s is stated, and %v", name, body[name])
	}
	for _, name := range []string{"jwks_url", "jwks_pairs", "oidc_discovery_url"} {
		require.True(t, !p.Changed || empty(body[name]), "%s and static keys, of which Vault takes one", name)
	}
	for name := range body {
		_, stated := statedFields(o.Settings)[name]
		require.True(t, name == keysField || stated || slices.Contains(slices.Collect(maps.Keys(fields)), name), "a new field %s", name)
	}
	require.True(t, !converted || !p.Changed || !slices.ContainsFunc(p.Failed, func(f plan.Failure) bool { return !errors.Is(f.Err, ErrAlgorithm) }), "converted, and a cluster was cut off")
}

// statedFields returns the fields that settings state, whatever their value.
func statedFields(s Settings) map[string]any {
	fields := map[string]any{}
	if s.Algorithms != nil {
		fields["jwt_supported_algs"] = s.Algorithms
	}
	if s.BoundIssuer != nil {
		fields["bound_issuer"] = *s.BoundIssuer
	}
	if s.DefaultRole != nil {
		fields["default_role"] = *s.DefaultRole
	}
	return fields
}

// sameSetting compares what is stated with what a body has: lists as sets, nothing as empty.
func sameSetting(stated, has any) bool {
	if empty(stated) || stated == "" {
		return empty(has)
	}
	list, ok := stated.([]string)
	if !ok {
		return stated == has
	}
	var names []string
	switch has := has.(type) {
	case []string:
		names = has
	case []any:
		for _, name := range has {
			text, _ := name.(string)
			names = append(names, text)
		}
	}
	return slices.Equal(slices.Sorted(slices.Values(list)), slices.Sorted(slices.Values(names)))
}

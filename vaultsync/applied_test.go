package vaultsync

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireSettled applies a plan, by way of JSON, and checks that nothing is left to do: not
// later, when only a retention period may have ended, nor for a harvester with its
// clusters in another order.
func requireSettled(t *testing.T, p *Plan, s scene) {
	t.Helper()
	body, err := p.Body()
	require.NoError(t, err)
	text, err := json.Marshal(body)
	require.NoError(t, err)
	if p.Changed {
		require.LessOrEqual(t, len(text), max(MaxConfig+1<<10, bodySize(p.current.fields)))
	}
	if len(p.Next) == 0 && !p.Emptied {
		return
	}
	var stored map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&stored))
	for _, later := range []time.Duration{0, time.Second, time.Hour, 1000 * time.Hour} {
		o := s.o
		o.Now = o.Now.Add(later)
		again, err := NewPlan(NewConfig(stored), s.want, o)
		if errors.Is(err, ErrLastKey) && later > 0 && s.o.Retain > 0 {
			continue
		}
		require.NoError(t, err)
		ended := slices.ContainsFunc(again.Remove, func(k Key) bool { return strings.HasPrefix(k.Reason, "no longer published since") })
		require.True(t, !again.Changed || ended && later > 0, "changed %v later: %v", later, describe(again, allNames...))
		require.Empty(t, again.Add)
		require.Empty(t, again.Adopt)
		if len(s.o.Pin) > 0 { // once no pinned key is published, what is left looks like a turnover
			continue
		}
		require.Equal(t, failures(p), failures(again), "what has failed, %v later", later)
		l := newLaw(scene{stored, nil, s.want, o})
		for _, e := range NewConfig(map[string]any{keysField: again.Next}).Elements() {
			if l.kind(e) == owned && len(l.bound(e.Fingerprint)) == 0 && !l.retired(e.Block.Annotation.Owner()) {
				struck := slices.ContainsFunc(l.named(e), l.retired) && l.unread()
				require.True(t, l.retained(e) || l.young(e) || l.returned(e) || struck, "kept for nobody, %v later: %q", later, e.Text)
			}
		}
	}
	want := s.want
	want.Clusters = slices.Clone(want.Clusters)
	slices.Reverse(want.Clusters)
	again, err := NewPlan(NewConfig(stored), want, s.o)
	require.NoError(t, err)
	require.False(t, again.Changed, "clusters in another order: %v", describe(again, allNames...))
}

func failures(p *Plan) []string {
	var out []string
	for _, f := range p.Failed {
		out = append(out, f.Cluster+"/"+f.Region)
	}
	return out
}

// empty says whether a field says nothing, as vault/api decodes it.
func empty(v any) bool {
	text, err := json.Marshal(v)
	return err == nil && slices.Contains([]string{`null`, `""`, `[]`, `{}`}, string(text))
}

// readable says whether a read leaves nothing out that a write would wipe.
func readable(fields map[string]any) bool {
	list, isList := fields[keysField].([]any)
	odd := fields[keysField] != nil && !isList || slices.ContainsFunc(list, func(e any) bool { _, isText := e.(string); return !isText })
	return !odd && empty(fields["provider_config"]) && empty(fields["oidc_client_id"])
}

// requireFields checks that a plan was made for a mount with static keys alone, or for one that
// may be converted, and that each other field goes back as it was.
func requireFields(t *testing.T, fields map[string]any, p *Plan, o Options) {
	t.Helper()
	require.True(t, readable(fields))
	body, err := p.Body()
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
	require.True(t, !converted || !p.Changed || !slices.ContainsFunc(p.Failed, func(f Failure) bool { return !errors.Is(f.Err, ErrAlgorithm) }), "converted, and a cluster was cut off")
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

package vaultsync

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

func config(elements ...string) mountconfig.Config {
	return mountconfig.New(fixture.Changed(fixture.Mount(elements...), object{"new_in_vault_9": json.Number("7")}))
}

// planOf plans without an error.
func planOf(t *testing.T, current mountconfig.Config, want plan.Desired, o Options) *plan.Plan {
	t.Helper()
	p, err := newPlan(current, want, o, circumstances{})
	require.NoError(t, err)
	return p
}

// bodyOf returns what a plan makes of a mount's fields.
func bodyOf(t *testing.T, current mountconfig.Config, p *plan.Plan) map[string]any {
	t.Helper()
	body, err := current.With(p)
	require.NoError(t, err)
	return body
}

// requireApplied checks what holds of any plan: once applied nothing is left to do, and
// every field but the keys and what is stated is as it was.
func requireApplied(t *testing.T, current mountconfig.Config, p *plan.Plan, want plan.Desired, o Options) {
	t.Helper()
	body := bodyOf(t, current, p)
	for field, value := range current.Fields {
		if _, stated := statedFields(o.Settings)[field]; field != keysField && current.Mode() == "" && !stated {
			require.Equal(t, value, body[field], field)
		}
	}
	if len(p.Next) == 0 {
		return
	}
	again := planOf(t, mountconfig.New(body), want, o)
	require.False(t, again.Changed, "a plan that was applied leaves something to do: %v, %v", again.Add, again.Settings)
}

func TestPlanNewMount(t *testing.T) {
	p := planOf(t, mountconfig.Config{}, plan.Desired{Clusters: []string{"a"}, Results: []jwks.Result{publish("a", "k1")}}, Options{Now: now})
	body := bodyOf(t, mountconfig.Config{}, p)
	assert.Equal(t, map[string]any{keysField: p.Next}, body, "no list of algorithms: the clusters that answered first would decide it for all")
}

func TestPlanRefusals(t *testing.T) {
	url := config()
	url.Fields["jwks_url"] = "https://nomad.example.com/.well-known/jwks.json"
	url.Fields["jwks_ca_pem"] = "x"
	provider := config(trust("a", "k1"))
	provider.Fields["provider_config"] = map[string]any{"provider": "gsuite"}
	oidc := config(trust("a", "k1"))
	oidc.Fields["oidc_client_id"] = "x"
	signIn := config()
	signIn.Fields["oidc_client_id"], signIn.Fields["oidc_discovery_url"] = "x", "https://accounts.example.com"
	huge := config(trust("a", "k1"))
	huge.Fields["huge"] = strings.Repeat("x", vaultapi.MaxConfig)
	delete(huge.Fields, "default_role")
	good := []jwks.Result{publish("a", "k1", "k2")}

	for name, test := range map[string]struct {
		current mountconfig.Config
		want    []jwks.Result
		o       Options
		is      error
		says    string
	}{
		"jwks_url":              {url, good, Options{}, ErrNotStaticKeys, "jwks_url"},
		"converted blindly":     {url, []jwks.Result{publish("a", "k1"), down("b")}, Options{Convert: true}, ErrNotStaticKeys, "b"},
		"provider_config":       {provider, good, Options{Convert: true}, ErrUnreadableFields, "provider_config"},
		"no list of keys":       {mountconfig.New(map[string]any{keysField: "a,b"}), good, Options{}, ErrUnreadableFields, "no list of strings"},
		"a key of another type": {mountconfig.New(map[string]any{keysField: []any{paste("x"), json.Number("7")}}), good, Options{}, ErrUnreadableFields, "no list of strings"},
		"client id":             {oidc, good, Options{}, ErrUnreadableFields, "oidc_client_id"},
		"people's sign-in":      {signIn, good, Options{}, ErrUnreadableFields, "people sign in"},
		"sign-in converted":     {signIn, good, Options{Convert: true}, ErrUnreadableFields, "people sign in"},
		"last key denied":       {config(trust("a", "k1")), []jwks.Result{publish("a", "k1")}, Options{Deny: []pem.Fingerprint{fingerprint("k1")}}, plan.ErrLastKey, "(denied), and Vault takes no empty list"},
		"negative":              {config(), good, Options{Settle: -1}, nil, "negative"},
		"a plan's":              {config(), good, Options{Foreign: "maybe"}, nil, "maybe"},
		"two of one region":     {config(), []jwks.Result{publish("a", "k1"), publish("a", "k2")}, Options{}, nil, "two results of region"},
		"too large":             {huge, good, Options{Convert: true, DefaultRole: strings.Repeat("x", 1000)}, ErrTooLarge, "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			test.o.Now = now
			clusters := []string{"a"}
			if len(test.want) > 1 {
				clusters = append(clusters, "b")
			}
			p, err := newPlan(test.current, plan.Desired{Clusters: clusters, Results: test.want}, test.o, circumstances{})
			assert.Nil(t, p)
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
			require.ErrorContains(t, err, test.says)
		})
	}
}

func TestPlanConvert(t *testing.T) {
	current := config()
	current.Fields["jwks_url"] = "https://nomad.example.com"
	current.Fields["jwks_ca_pem"] = strings.Repeat("x", vaultapi.MaxConfig) // which goes, and leaves its room
	want := plan.Desired{Clusters: []string{"a"}, Results: []jwks.Result{publish("a", "k1")}}
	p := planOf(t, current, want, Options{Now: now, Convert: true})
	assert.Contains(t, p.Warnings, "converted to static keys: jwks_ca_pem, jwks_url cleared")
	body := bodyOf(t, current, p)
	assert.NotContains(t, body, "jwks_url")
	assert.Equal(t, "nomad-workloads", body["default_role"])
	requireApplied(t, current, p, want, Options{Now: now})

	p = planOf(t, current, plan.Desired{Clusters: []string{"a"}, Results: []jwks.Result{down("a")}}, Options{Now: now, Convert: true})
	assert.False(t, p.Changed, "without keys there is nothing to convert to")
}

func TestPlanAllowEmpty(t *testing.T) {
	want := plan.Desired{Clusters: []string{"a"}, Results: []jwks.Result{publish("a", "k1")}}
	o := Options{Now: now, AllowEmpty: true, Deny: []pem.Fingerprint{fingerprint("k1")}}
	current := config(trust("a", "k1"))
	p := planOf(t, current, want, o)
	require.True(t, p.Changed)
	body := bodyOf(t, current, p)
	other := bodyOf(t, current, p)
	require.Len(t, body[keysField], 1)
	assert.NotEqual(t, body[keysField], other[keysField], "a fresh key each time, its private half in nobody's hands")

	placeholder := body[keysField].([]string)[0]
	for name, o := range map[string]Options{"allowed": o, "no longer allowed": {Now: now, Deny: o.Deny}} {
		p = planOf(t, config(placeholder), want, o)
		assert.False(t, p.Changed, name)
	}
	p = planOf(t, config(placeholder), want, Options{Now: now})
	assert.Len(t, p.Add, 1)
	assert.Len(t, p.Remove, 1)
}

func TestPlanWarnings(t *testing.T) {
	current := config(paste("x"))
	current.Fields[algsField] = []any{"RS256"}
	current.Fields["bound_issuer"] = "https://a.example.com"
	p := planOf(t, current, plan.Desired{Clusters: []string{"a", "b"}, Results: []jwks.Result{publish("a", "k1"), publish("b", "k2")}}, Options{Now: now})
	text := strings.Join(p.Warnings, "\n")
	for _, want := range []string{"bound_issuer", "no cluster's"} {
		assert.Contains(t, text, want)
	}
	require.Len(t, p.Failed, 2)
	require.ErrorIs(t, p.Failed[0].Err, ErrAlgorithm)
	current.Fields[algsField] = []any{}
	p = planOf(t, current, plan.Desired{Clusters: []string{"a"}, Results: []jwks.Result{publish("a", "k1")}}, Options{Now: now, Foreign: plan.ForeignKeep})
	assert.Empty(t, p.Warnings)
}

func TestReportJSON(t *testing.T) {
	p := planOf(t, config(trust("a", "k1"), paste("x")), plan.Desired{Clusters: []string{"a", "b"}, Results: []jwks.Result{publish("a", "k1", "k2"), down("b")}}, Options{Now: now})
	b, err := json.Marshal(&Report{Mounts: []*MountReport{{MountID: MountID{Vault: "https://vault", Path: "jwt-nomad"}, Plan: p}, {Err: errDown}}})
	require.NoError(t, err)
	var got struct{ Mounts []map[string]any }
	require.NoError(t, json.Unmarshal(b, &got))
	require.Len(t, got.Mounts, 2)
	m := got.Mounts[0]
	assert.Equal(t, true, m["changed"])
	assert.Equal(t, map[string]any{
		"cluster": "a", "region": "", "kid": "k1", "alg": "EdDSA", "sha256": fingerprint("k1").String(),
		"added": "2026-11-21T12:00:00Z", "reason": "published",
	}, m["keep"].([]any)[0])
	assert.Equal(t, []any{map[string]any{"cluster": "b", "region": "", "kept": 0.0, "error": `cluster "b": i/o timeout`}}, m["failed"])
	assert.Equal(t, []any{}, m["remove"], "an empty list, not null")
	assert.Equal(t, "i/o timeout", got.Mounts[1]["error"])
}

// What status shows of keys says why each is trusted, where that isn't plain.
func TestTrusted(t *testing.T) {
	hour := now.Add(-time.Hour)
	standIn, err := mountconfig.NewPlaceholder()
	require.NoError(t, err)
	var reasons []string
	for _, k := range config(
		trust("a", "k1"), paste("x"), "junk", "harvest/2 x\n"+paste("y"), standIn, trust("a", "k2", missing(hour)), trust("a", "k3", adopted, missing(hour)),
	).Trusted() {
		reasons = append(reasons, k.Reason)
	}
	assert.Equal(t, []string{
		"", "no annotation", "not a key that can be read", "annotated by a newer harvest", "stands in for an empty list: nobody can sign with it",
		"no longer published; in its retention period", "adopted, and no longer published since 2026-11-22T11:00:00Z",
	}, reasons)
}

// A context that ends while a plan is made says nothing about Vault.
func TestPlanningThatTakesTooLong(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakevault.Server, m *Mount) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		want := desired(publish("a", "k1"))
		slowly := func(current mountconfig.Config, o Options, _ bool) (*plan.Plan, error) {
			time.Sleep(time.Minute)
			return newPlan(current, want, o, circumstances{})
		}
		report := m.sync(ctx, want, Options{}, conduct{plan: slowly})
		require.ErrorIs(t, report.Err, context.DeadlineExceeded)
		require.ErrorContains(t, report.Err, "planning")
		assert.NotContains(t, report.Err.Error(), "Vault ")
		assert.Zero(t, report.Written)
	})
}

package vaultsync

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// What a program gets wrong is an error before anything is asked, and never a panic.
func TestCheckOfWrongArguments(t *testing.T) {
	v := fakevault.New(t)
	v.Enable("", "jwt-nomad", "jwt")
	good := func() *Harvester {
		return &Harvester{
			Clusters: []jwks.Cluster{{Name: "a", Sources: []jwks.Source{jwks.Static("")}}},
			Targets:  []Target{{Mount: NewMount(v.Client(), "jwt-nomad"), Clusters: []string{"a"}}},
		}
	}
	source := func(h *Harvester, sources ...jwks.Source) { h.Clusters[0].Sources = sources }
	require.NoError(t, good().Check())
	schemeless := v.Client()
	schemeless.SetReadYourWrites(false)
	require.NoError(t, schemeless.SetAddress("vault.example.com:8200"))
	var nobody *faultySource
	for says, spoil := range map[string]func(h *Harvester){
		"no mount":                     func(h *Harvester) { h.Targets[0].Mount = nil },
		"its mount no client":          func(h *Harvester) { h.Targets[0].Mount.Client = nil },
		"source that is nil":           func(h *Harvester) { source(h, nil) },
		`"a" has a source that is nil`: func(h *Harvester) { source(h, nobody) },
		"Vault's address":              func(h *Harvester) { h.Targets[0].Mount.Client = schemeless },
		"without auth/":                func(h *Harvester) { h.Targets[0].Mount.Path = "auth/jwt-nomad" },
		"slashes around it":            func(h *Harvester) { h.Targets[0].Mount.Path = "jwt-nomad/" },
		"mount path":                   func(h *Harvester) { h.Targets[0].Mount.Path = "" },
		`cluster "aa" is not defined`:  func(h *Harvester) { h.Targets[0].Options.AllowTurnover = []string{"aa/r1"} },
		"named by two targets":         func(h *Harvester) { h.Targets = append(h.Targets, h.Targets[0]) },
		"no mounts":                    func(h *Harvester) { h.Targets = nil },
		`"z" is not defined`:           func(h *Harvester) { h.Targets[0].Clusters = []string{"a", "z"} },
		"defined twice":                func(h *Harvester) { h.Clusters = append(h.Clusters, h.Clusters...) },
		"two sources":                  func(h *Harvester) { source(h, jwks.Static(""), jwks.Static("")) },
		"no source":                    func(h *Harvester) { source(h) },
		"pin: cluster":                 func(h *Harvester) { h.Targets[0].Options.Pin = map[string][]pem.Fingerprint{"b": {fingerprint("k1")}} },
		"nomad: no address":            func(h *Harvester) { source(h, jwks.Nomad{}) },
		"no address":                   func(h *Harvester) { source(h, jwks.URL("", nil)) },
		"issuer: no address":           func(h *Harvester) { source(h, jwks.Issuer("", nil)) },
		`cluster "a": address "a:1"`: func(h *Harvester) {
			source(h, jwks.Wrap(jwks.WithIssuer(jwks.URL("a:1", nil), "https://i"), func(ctx context.Context, fetch func(context.Context) (*jwks.Set, error)) (*jwks.Set, error) {
				return fetch(ctx)
			}))
		},
		"jwt_supported_algs": func(h *Harvester) { h.Targets[0].Options.Settings.Algorithms = []string{"HS256"} },
		"cluster name":       func(h *Harvester) { h.Clusters[0].Name, h.Targets[0].Clusters[0] = "a b", "a b" },
		"no clusters":        func(h *Harvester) { h.Targets[0].Clusters = nil },
		`foreign keys: "no"`: func(h *Harvester) { h.Targets[0].Options.Foreign = "no" },
		"can't be negative":  func(h *Harvester) { h.Targets[0].Options.MaxAge = -1 },
	} {
		t.Run(says, func(t *testing.T) {
			h := good()
			spoil(h)
			err := h.Check()
			require.ErrorContains(t, err, says)
			require.ErrorIs(t, err, plan.ErrInvalid)
			assert.Equal(t, "invalid", Kind(err))
			report, err := h.Sync(t.Context())
			assert.Nil(t, report)
			require.ErrorIs(t, err, plan.ErrInvalid)
			require.ErrorIs(t, h.Watch(t.Context(), WatchOptions{}), plan.ErrInvalid)
		})
	}
	assert.Empty(t, v.Requests())
	for _, m := range []*Mount{{}, {Path: "jwt"}, {Path: "auth/jwt", Client: v.Client()}} {
		_, err := m.Read(t.Context())
		require.ErrorIs(t, err, plan.ErrInvalid)
		_, err = m.Sync(t.Context(), desired(publish("a", "k1")), Options{})
		require.ErrorIs(t, err, plan.ErrInvalid)
	}
	_, err := NewMount(v.Client(), "jwt-nomad").Plan(t.Context(), plan.Desired{}, Options{})
	require.ErrorIs(t, err, plan.ErrInvalid)
}

// A mount refuses options as a Harvester does: a mistyped pin would pin nothing.
func TestMountRefusesWrongOptions(t *testing.T) {
	for says, o := range map[string]Options{
		"pin: cluster":              {Pin: map[string][]pem.Fingerprint{"typo": {fingerprint("k1")}}},
		"allowed turnover: cluster": {AllowTurnover: []string{"typo/r1"}},
		"jwt_supported_algs":        {Settings: Settings{Algorithms: []string{"HS256"}}},
		"can't be negative":         {Writes: -1},
		"retain":                    {Retain: -2},
	} {
		runInBubble(t, says, func(t *testing.T, v *fakevault.Server, m *Mount) {
			want := desired(publish("a", "k1"))
			p := planned(t, m, want, Options{})
			for name, do := range map[string]func() (*MountReport, error){
				"plan":  func() (*MountReport, error) { return m.Plan(t.Context(), want, o) },
				"sync":  func() (*MountReport, error) { return m.Sync(t.Context(), want, o) },
				"apply": func() (*MountReport, error) { return m.Apply(t.Context(), p, o) },
			} {
				report, err := do()
				require.ErrorContains(t, err, says, name)
				require.ErrorIs(t, err, plan.ErrInvalid, name)
				require.ErrorAs(t, err, new(*MountError), name)
				assert.False(t, report.InSync(), name)
			}
			assert.Empty(t, v.Keys("", "jwt-nomad"))
		})
	}
}

// What a program left out is no panic.
func TestNil(t *testing.T) {
	assert.Empty(t, Kind(nil))
	assert.Nil(t, jwks.Wrap(nil, nil))
	s := jwks.Static("", jwks.Key{})
	assert.Equal(t, s, jwks.Wrap(s, nil))
	_, err := jwks.SourceFunc(nil).Fetch(t.Context())
	require.ErrorContains(t, err, "no function")
	v := fakevault.New(t)
	report, err := NewMount(v.Client(), "jwt-nomad").Apply(t.Context(), nil, Options{})
	require.ErrorIs(t, err, plan.ErrInvalid)
	require.ErrorAs(t, err, new(*MountError))
	assert.False(t, report.InSync())
	for _, none := range []jwks.Source{nil, jwks.SourceFunc(nil), jwks.Wrap(nil, nil)} {
		h := Harvester{Clusters: []jwks.Cluster{{Name: "a", Sources: []jwks.Source{none}}}}
		require.ErrorContains(t, h.Check(), "a source that is nil")
	}
}

// Anyone who stops something finds that they did, and no word that it was Vault's fault.
func TestCancellation(t *testing.T) {
	v := fakevault.New(t)
	v.Enable("", "jwt-nomad", "jwt")
	v.Enable("", "second", "jwt")
	m, want := NewMount(v.Client(), "jwt-nomad"), desired(publish("a", "k1"))
	h := Harvester{
		Clusters: []jwks.Cluster{{Name: "a", Sources: []jwks.Source{jwks.SourceFunc(func(ctx context.Context) (*jwks.Set, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})}}},
		Targets: []Target{{Mount: m, Clusters: []string{"a"}}},
	}
	p, err := m.Plan(t.Context(), want, Options{})
	require.NoError(t, err)
	for name, cause := range map[string]error{"cancelled": nil, "with a cause": errors.New("the building is on fire")} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			for name, do := range map[string]func() error{
				"read":     func() error { _, err := m.Read(ctx); return err },
				"ask":      func() error { _, err := mayDo(ctx, m); return err },
				"plan":     func() error { _, err := m.Plan(ctx, want, Options{}); return err },
				"sync":     func() error { _, err := m.Sync(ctx, want, Options{}); return err },
				"apply":    func() error { _, err := m.Apply(ctx, p.Plan, Options{}); return err },
				"sync all": func() error { _, err := h.Sync(ctx); return err },
				"plan all": func() error { _, err := h.Plan(ctx); return err },
				"wait to settle": func() error {
					return waitCancelled(NewMount(v.Client(), map[bool]string{true: "jwt-nomad", false: "second"}[cause == nil]), cause, want)
				},
			} {
				err := do()
				require.ErrorIs(t, err, context.Canceled, name)
				assert.NotContains(t, err.Error(), "can't be reached", name)
				assert.Equal(t, "canceled", Kind(err), name)
			}
			require.NoError(t, h.Watch(ctx, WatchOptions{}))
		})
	}
}

// waitCancelled cancels a sync that has written and waits.
func waitCancelled(m *Mount, cause error, want plan.Desired) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	_, err := m.Sync(ctx, want, Options{DefaultRole: "r", Settle: 0, AllowTurnover: []string{"*"}, OnEvent: func(Event) { cancel(cause) }})
	return err
}

func TestUnreachableIsNoTimeout(t *testing.T) {
	config := api.DefaultConfig()
	config.Address, config.MaxRetries = "http://127.0.0.1:1", 0
	c, err := api.NewClient(config)
	require.NoError(t, err)
	_, err = NewMount(c, "jwt-nomad").Read(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
	assert.Equal(t, "unreachable", Kind(err))
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err = NewMount(c, "jwt-nomad").Read(ctx)
	require.NotErrorIs(t, err, ErrUnreachable)
	assert.Equal(t, "timeout", Kind(err))
}

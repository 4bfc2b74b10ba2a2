package vaultsync

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// memory is a Store that writes what it is told, or fails.
type memory struct {
	list                     []string
	plans, writes            int
	unread, planned, refused error
}

func (m *memory) Read(context.Context) ([]string, error) { return slices.Clone(m.list), m.unread }

func (m *memory) Planned(context.Context, *plan.Plan) error {
	m.plans++
	return m.planned
}

func (m *memory) Write(_ context.Context, p *plan.Plan) error {
	m.writes++
	if m.refused == nil {
		m.list = p.Next
	}
	return m.refused
}

func (m *memory) names() []string {
	var out []string
	for _, k := range mountconfig.New(map[string]any{keysField: m.list}).Trusted() {
		out = append(out, k.Cluster+" "+k.KeyID)
	}
	return out
}

func TestStoreIsSyncedAsAMountIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memory{}
		m := &Mount{Path: "elsewhere", Store: s}
		report := synced(t, m, desired(publish("a", "k1")), Options{AllowEmpty: true})
		assert.True(t, report.InSync())
		assert.Equal(t, []string{"a k1"}, s.names())

		s.plans, s.writes = 0, 0
		synced(t, m, desired(publish("a", "k1")), Options{AllowEmpty: true})
		assert.Equal(t, 1, s.plans, "it hears of a plan without changes too")
		assert.Zero(t, s.writes)

		deny := Options{AllowEmpty: true, Deny: []pem.Fingerprint{report.Plan.Add[0].Fingerprint}}
		report = synced(t, m, desired(publish("a", "k1")), deny)
		assert.Empty(t, s.list, "a store takes an empty list")
		assert.Empty(t, report.Plan.Warnings)
	})
}

func TestStoreThatCannotWriteFailsTheSync(t *testing.T) {
	full := errors.New("no space left")
	for name, s := range map[string]*memory{"on a plan": {planned: full}, "on a write": {refused: full}} {
		synctest.Test(t, func(t *testing.T) {
			report, err := (&Mount{Path: "elsewhere", Store: s}).Sync(t.Context(), desired(publish("a", "k1")), Options{})
			require.ErrorIs(t, err, full, name)
			require.EqualError(t, err, "elsewhere: no space left")
			require.NotNil(t, report.Plan, "the report has what was to be done")
			assert.Empty(t, s.list)
		})
	}
}

// What can't be read isn't empty.
func TestStoreThatCannotBeReadIsNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memory{unread: errors.New("no such disk")}
		_, err := (&Mount{Path: "elsewhere", Store: s}).Sync(t.Context(), desired(publish("a", "k1")), Options{})
		require.EqualError(t, err, "elsewhere: no such disk")
		assert.Zero(t, s.writes)
	})
}

func TestStoreIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memory{}
		h := &Harvester{
			Clusters: []jwks.Cluster{{Name: "a", Sources: []jwks.Source{jwks.Static("", publish("a", "k1").Set.Keys...)}}},
			Targets:  []Target{{Mount: &Mount{Path: "elsewhere", Store: s}, Clusters: []string{"a"}}},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, h.Watch(ctx, WatchOptions{}))
		assert.Equal(t, []string{"a k1"}, s.names())
		assert.Equal(t, 1, s.writes)
	})
}

// A store is no Vault: what is asked of one is refused, and not sent anywhere.
func TestStoreHasNoSession(t *testing.T) {
	m := &Mount{Path: "elsewhere", Store: &memory{}}
	_, err := m.Session()
	require.ErrorIs(t, err, errNoVault)
	_, err = mayDo(t.Context(), m)
	require.ErrorIs(t, err, errNoVault)
	assert.Equal(t, MountID{Path: "elsewhere"}, m.ID())
}

package vaultsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// planned returns a plan of a mount as it comes out of a file.
func planned(t *testing.T, m *Mount, want plan.Desired, o Options) *plan.Plan {
	t.Helper()
	report, err := m.Plan(t.Context(), want, o)
	require.NoError(t, err)
	assert.Equal(t, !report.Plan.Changed, report.Done)
	text, err := json.Marshal(report)
	require.NoError(t, err)
	p := new(plan.Plan)
	require.NoError(t, json.Unmarshal(text, p))
	return p
}

func TestApply(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		synced(t, m, desired(publish("a", "k1")), Options{})
		o := Options{Settings: Settings{Algorithms: []string{"RS256", "EdDSA"}, BoundIssuer: new("https://a")}}
		p := planned(t, m, desired(publish("a", "k1", "k2")), o)
		require.Len(t, p.Add, 1)
		require.Len(t, p.Settings, 2)
		assert.ElementsMatch(t, []string{"a k1"}, trustedNames(v))

		time.Sleep(20 * time.Hour)
		report, err := m.Apply(t.Context(), p, o)
		require.NoError(t, err)
		assert.True(t, report.InSync())
		assert.Equal(t, 1, report.Written)
		assert.ElementsMatch(t, []string{"a k1", "a k2"}, trustedNames(v))
		assert.Equal(t, report.Plan.Next, v.Keys("", "jwt-nomad"))
		assert.Equal(t, "https://a", v.Config("", "jwt-nomad")[issuerField])

		report, err = m.Apply(t.Context(), p, o)
		require.NoError(t, err, "it is done")
		assert.Zero(t, report.Written)
	})
}

// A plan that was carried out, or that changes nothing, is held to the rules all the same: without
// an error the mount is as they want it.
func TestApplyOfWhatIsDoneRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		o        Options
		err      error
		says     string
		isAdding bool // only a plan that added the key can tell
	}{
		"an added key is denied":          {o: Options{Deny: []pem.Fingerprint{fingerprint("k2")}}, err: plan.ErrRefused, says: fingerprint("k2").Short()},
		"a kept key is denied":            {o: Options{Deny: []pem.Fingerprint{fingerprint("k1")}}, err: plan.ErrRefused, says: fingerprint("k1").Short()},
		"an added key isn't pinned":       {o: Options{Pin: map[string][]pem.Fingerprint{"a": {fingerprint("k1")}}}, err: plan.ErrRefused, says: "not pinned for a", isAdding: true},
		"its cluster's region is retired": {o: Options{Retired: []string{"a/"}}, err: plan.ErrRefused, says: "retired", isAdding: true},
		"it is too old":                   {o: Options{MaxAge: time.Nanosecond}, err: plan.ErrStale, says: "over 1ns"},
	} {
		for _, isAdding := range []bool{true, false} {
			if test.isAdding && !isAdding {
				continue
			}
			runInBubble(t, fmt.Sprint(name, ", adding ", isAdding), func(t *testing.T, v *fakevault.Server, m *Mount) {
				synced(t, m, desired(publish("a", "k1")), Options{})
				p := planned(t, m, desired(publish("a", "k1", "k2")), Options{})
				_, err := m.Apply(t.Context(), p, Options{})
				require.NoError(t, err)
				if !isAdding {
					p = planned(t, m, desired(publish("a", "k1", "k2")), Options{})
				}
				require.Equal(t, isAdding, p.Changed)
				time.Sleep(time.Second)
				before := v.Config("", "jwt-nomad")
				report, err := m.Apply(t.Context(), p, test.o)
				require.ErrorIs(t, err, test.err)
				require.ErrorContains(t, err, test.says)
				assert.False(t, report.InSync())
				assert.Zero(t, report.Written)
				assert.Equal(t, before, v.Config("", "jwt-nomad"))
			})
		}
	}
}

// What is refused is named, and nothing is written.
func TestApplyRefuses(t *testing.T) {
	stated := Options{Settings: Settings{BoundIssuer: new("https://a")}}
	for name, test := range map[string]struct {
		between func(t *testing.T, v *fakevault.Server, m *Mount)
		change  func(*plan.Plan)
		o       Options
		err     error
		says    string
	}{
		"another writer came first": {between: func(t *testing.T, _ *fakevault.Server, m *Mount) {
			synced(t, m, plan.Desired{Clusters: []string{"b"}, Results: desired(publish("b", "k7")).Results}, Options{})
		}, o: stated, err: plan.ErrStale, says: "has changed since"},
		"another writer set the issuer": {between: func(t *testing.T, v *fakevault.Server, _ *Mount) {
			require.NoError(t, v.WriteConfig("", "jwt-nomad", fixture.Changed(v.Config("", "jwt-nomad"), object{issuerField: "https://x"})))
		}, o: stated, err: plan.ErrStale, says: "bound_issuer"},
		"days later":                 {between: func(*testing.T, *fakevault.Server, *Mount) { time.Sleep(25 * time.Hour) }, o: stated, err: plan.ErrStale, says: "25h0m"},
		"denied by now":              {o: Options{Deny: []pem.Fingerprint{fingerprint("k2")}, Settings: stated.Settings}, err: plan.ErrRefused, says: fingerprint("k2").Short()},
		"pinned by now":              {o: Options{Pin: map[string][]pem.Fingerprint{"a": {fingerprint("k1")}}, Settings: stated.Settings}, err: plan.ErrRefused, says: "not pinned for a"},
		"retired by now":             {o: Options{Retired: []string{"a/"}, Settings: stated.Settings}, err: plan.ErrRefused, says: "retired"},
		"no room by now":             {o: Options{MaxKeys: 1, Settings: stated.Settings}, err: plan.ErrNoRoom, says: "1 waits"},
		"an issuer no longer stated": {o: Options{}, err: plan.ErrRefused, says: "bound_issuer"},
		"another issuer stated":      {o: Options{Settings: Settings{BoundIssuer: new("https://b")}}, err: plan.ErrRefused, says: "bound_issuer"},
		"for another mount":          {change: func(p *plan.Plan) { p.Store = "jwt-other" }, o: stated, err: plan.ErrRefused, says: "jwt-other"},
		"a setting that isn't ours": {change: func(p *plan.Plan) { p.Settings = []plan.Change{{Field: "jwks_url", After: `"https://evil"`}} }, o: stated, err: plan.ErrRefused,
			says: "jwks_url"},
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			synced(t, m, desired(publish("a", "k1")), Options{})
			p := planned(t, m, desired(publish("a", "k1", "k2")), stated)
			if test.between != nil {
				test.between(t, v, m)
			}
			if test.change != nil {
				test.change(p)
			}
			before := v.Config("", "jwt-nomad")
			report, err := m.Apply(t.Context(), p, test.o)
			require.ErrorAs(t, err, new(*MountError))
			require.ErrorIs(t, err, test.err)
			require.ErrorContains(t, err, test.says)
			assert.Zero(t, report.Written)
			assert.Equal(t, before, v.Config("", "jwt-nomad"))
		})
	}
}

// Who writes after the plan was written doesn't make it stale; who undoes it is written over.
func TestApplyBesideOthers(t *testing.T) {
	for name, other := range map[string]func(t *testing.T, v *fakevault.Server, base []string){
		"adds their own": func(t *testing.T, v *fakevault.Server, _ []string) {
			require.NoError(t, v.WriteConfig("", "jwt-nomad", map[string]any{keysField: append(v.Keys("", "jwt-nomad"), trust("b", "k7"))}))
		},
		"undoes it": func(t *testing.T, v *fakevault.Server, base []string) {
			require.NoError(t, v.WriteConfig("", "jwt-nomad", map[string]any{keysField: base}))
		},
	} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			synced(t, m, desired(publish("a", "k1")), Options{})
			base := v.Keys("", "jwt-nomad")
			p := planned(t, m, desired(publish("a", "k1", "k2")), Options{})
			done := false
			_, err := m.Apply(t.Context(), p, Options{OnEvent: func(e Event) {
				if e.Kind == EventAdded && !done {
					done = true
					other(t, v, base)
				}
			}})
			require.NoError(t, err)
			assert.Subset(t, trustedNames(v), []string{"a k1", "a k2"})
		})
	}
}

func TestReview(t *testing.T) {
	refusal := errors.New("more than one key would go")
	careful := func(_ context.Context, p *plan.Plan) error {
		if len(p.Remove) > 1 {
			return refusal
		}
		return nil
	}
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		synced(t, m, desired(publish("a", "k1", "k2", "k3")), Options{Review: careful})
		assert.Equal(t, 3, v.Count("GET", configPath), "read, read back and looked at: a quick review costs no read")
		report, err := m.Sync(t.Context(), desired(publish("a", "k3")), Options{Review: careful})
		require.ErrorIs(t, err, refusal)
		require.ErrorIs(t, err, ErrReview)
		require.ErrorAs(t, err, new(*MountError))
		assert.Zero(t, report.Written)
		assert.Len(t, trustedNames(v), 3)
		synced(t, m, desired(publish("a", "k2", "k3")), Options{Review: careful})
		assert.ElementsMatch(t, []string{"a k2", "a k3"}, trustedNames(v))
	})
}

// A person takes a day. What they approved is written on the mount as it is then, and they are
// asked again where that is something else.
func TestReviewTakesItsTime(t *testing.T) {
	for name, meanwhile := range map[string]bool{"nobody else writes": false, "another harvester writes": true} {
		runInBubble(t, name, func(t *testing.T, v *fakevault.Server, m *Mount) {
			asked := 0
			report, err := m.Sync(t.Context(), desired(publish("a", "k1")), Options{Writes: 1, Review: func(_ context.Context, p *plan.Plan) error {
				asked++
				assert.Len(t, p.Add, 1)
				time.Sleep(24 * time.Hour)
				if meanwhile && asked == 1 {
					require.NoError(t, v.WriteConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("b", "k7")}}))
				}
				return nil
			}})
			require.NoError(t, err)
			assert.Equal(t, 1, report.Written)
			assert.Contains(t, trustedNames(v), "a k1")
			assert.Equal(t, map[bool]int{false: 1, true: 2}[meanwhile], asked)
		})
	}
}

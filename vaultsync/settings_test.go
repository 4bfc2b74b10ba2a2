package vaultsync

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

func TestPlanSettings(t *testing.T) {
	stated := Settings{Algorithms: []string{"RS256", "EdDSA"}, BoundIssuer: new("https://a"), DefaultRole: new("")}
	fields := func(algs []any, issuer, role string) map[string]any {
		return map[string]any{keysField: []any{trust("a", "k1")}, algsField: algs, issuerField: issuer, roleField: role, "x": "y"}
	}
	all := map[string]any{algsField: []string{"EdDSA", "RS256"}, issuerField: "https://a", roleField: ""}
	for name, test := range map[string]struct {
		fields map[string]any
		stated Settings
		want   []plan.Change
		body   map[string]any // besides the keys and what isn't harvest's
	}{
		"nothing stated":   {fields([]any{"EdDSA"}, "https://b", "r"), Settings{}, nil, map[string]any{algsField: []any{"EdDSA"}, issuerField: "https://b", roleField: "r"}},
		"as it is":         {fields([]any{"EdDSA", "RS256"}, "https://a", ""), stated, nil, nil},
		"in another order": {fields([]any{"RS256", "EdDSA"}, "https://a", ""), stated, nil, nil},
		"all differ": {fields([]any{"EdDSA"}, "", "r"), stated, []plan.Change{
			{Field: issuerField, Before: "", After: `"https://a"`}, {Field: roleField, Before: `"r"`, After: ""}, {Field: algsField, Before: `["EdDSA"]`, After: `["EdDSA","RS256"]`},
		}, all},
		"one stated":  {fields(nil, "https://a", "r"), Settings{DefaultRole: new("s")}, []plan.Change{{Field: roleField, Before: `"r"`, After: `"s"`}}, map[string]any{algsField: []any(nil), issuerField: "https://a", roleField: "s"}},
		"all cleared": {fields([]any{"EdDSA"}, "https://a", "r"), Settings{[]string{}, new(""), new("")}, []plan.Change{{Field: issuerField, Before: `"https://a"`, After: ""}, {Field: roleField, Before: `"r"`, After: ""}, {Field: algsField, Before: `["EdDSA"]`, After: ""}}, map[string]any{algsField: []string{}, issuerField: "", roleField: ""}},
		"new mount":   {nil, stated, []plan.Change{{Field: issuerField, Before: "", After: `"https://a"`}, {Field: algsField, Before: "", After: `["EdDSA","RS256"]`}}, nil},
		"zero":        {map[string]any{keysField: []any{trust("a", "k1")}, issuerField: 0.0}, Settings{BoundIssuer: new("")}, []plan.Change{{Field: issuerField, Before: "0", After: ""}}, nil},
		"odd values":  {map[string]any{keysField: []any{trust("a", "k1")}, algsField: "RS256", issuerField: 7.0, roleField: nil}, stated, []plan.Change{{Field: issuerField, Before: "7", After: `"https://a"`}, {Field: algsField, Before: `"RS256"`, After: `["EdDSA","RS256"]`}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(t, mountconfig.New(test.fields), desired(publish("a", "k1")), Options{Now: now, Settings: test.stated})
			assert.Equal(t, test.want, p.Settings)
			assert.Equal(t, len(test.want) > 0 || test.fields == nil, p.Changed)
			assert.Empty(t, p.Failed)
			assert.Empty(t, p.Warnings)
			body := bodyOf(t, mountconfig.New(test.fields), p)
			for field, value := range test.body {
				assert.Equal(t, value, body[field], field)
			}
			if test.fields["x"] != nil {
				assert.Equal(t, "y", body["x"], "what isn't harvest's")
			}
			if !p.Changed {
				return
			}
			again := planOf(t, mountconfig.New(body), desired(publish("a", "k1")), Options{Now: now, Settings: test.stated})
			assert.False(t, again.Changed, "%+v", again.Settings)
		})
	}

	p := planOf(t, mountconfig.Config{}, plan.Desired{Clusters: []string{"a"}}, Options{Now: now, Settings: stated})
	assert.False(t, p.Changed, "Vault takes no configuration without a key")

	p = planOf(t, mountconfig.New(fields(nil, "", "r")), desired(publish("a", "k1")), Options{Now: now, DefaultRole: "mine", Settings: Settings{DefaultRole: new("theirs")}})
	assert.Equal(t, []plan.Change{{Field: roleField, Before: `"r"`, After: `"theirs"`}}, p.Settings, "what is stated counts")
	assert.Empty(t, p.Warnings)
}

func TestSettingsCheck(t *testing.T) {
	for name, test := range map[string]struct {
		s    Settings
		want string
	}{
		"nothing":    {Settings{}, ""},
		"empty":      {Settings{[]string{}, new(""), new("")}, ""},
		"good":       {Settings{[]string{"EdDSA", "PS256"}, new("https://a b"), new("r")}, ""},
		"RFC 9864":   {Settings{Algorithms: []string{"Ed25519"}}, "Vault calls Ed25519 EdDSA"},
		"secret":     {Settings{Algorithms: []string{"HS256"}}, `"HS256" is none that Vault takes`},
		"twice":      {Settings{Algorithms: []string{"RS256", "RS256"}}, "names RS256 twice"},
		"not shown":  {Settings{BoundIssuer: new("https://a\u202e")}, "bound_issuer: want printable text"},
		"blanks":     {Settings{DefaultRole: new(" r")}, "default_role: want printable text"},
		"longest":    {Settings{DefaultRole: new(strings.Repeat("r", mountconfig.MaxSetting))}, ""},
		"long":       {Settings{DefaultRole: new(strings.Repeat("r", mountconfig.MaxSetting+1))}, "default_role: want printable text"},
		"not an alg": {Settings{Algorithms: []string{"\x1b[31m"}}, "none that Vault takes"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.s.check()
			_, planned := newPlan(config(), desired(publish("a", "k1")), Options{Now: now, Settings: test.s}, circumstances{})
			if test.want == "" {
				require.NoError(t, err)
				require.NoError(t, planned)
				return
			}
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, planned, test.want)
			assert.NotContains(t, err.Error(), "\x1b")
		})
	}
}

// A list that nobody stated is no reason to leave a key out, and none to be content.
func TestPlanLockedOut(t *testing.T) {
	listed := func(algs ...any) mountconfig.Config {
		c := config(trust("a", "k1"), trust("b", "k4", signs("RS256")))
		c.Fields[algsField] = algs
		return c
	}
	want := desired(publish("a", "k1", "k2"), publishAs("b", "k4", "PS256", "RS256"), publish("c", "k3"))
	p := planOf(t, listed("RS256", "ES999"), want, Options{Now: now})
	assert.Len(t, p.Add, 2, "trusted, so that to state the list is all that is left to do")
	assert.Empty(t, p.Settings, "no list is widened unless that is stated")
	assert.Empty(t, p.Warnings)
	require.Len(t, p.Failed, 2, "b logs in with one of its algorithms")
	assert.Equal(t, "a", p.Failed[0].Cluster)
	assert.Equal(t, 2, p.Failed[0].Kept)
	var mends *AlgorithmError
	require.ErrorAs(t, p.Failed[0].Err, &mends)
	assert.Equal(t, []string{"EdDSA", "RS256"}, mends.Mends)
	assert.Equal(t, `logins are refused for their algorithm: it signs with EdDSA (kid k1), and jwt_supported_algs is [RS256, ES999]`, p.Failed[0].Err.Error())
	assert.Equal(t, `logins are refused for their algorithm: it signs with EdDSA (kid k3), and jwt_supported_algs is [RS256, ES999]`, p.Failed[1].Err.Error())

	report := &MountReport{Plan: p}
	assert.False(t, report.InSync())
	require.ErrorIs(t, (&Report{Mounts: []*MountReport{report}}).Err(), ErrAlgorithm)

	p = planOf(t, listed("RS256"), want, Options{Now: now, Settings: Settings{Algorithms: []string{"EdDSA", "RS256"}}})
	assert.Empty(t, p.Failed, "what the error says mends it")

	p = planOf(t, listed(), want, Options{Now: now})
	assert.Empty(t, p.Failed)
}

// What a stated list leaves out is left out and named. A trusted key stays, and it is said
// what becomes of its logins.
func TestPlanLeftOut(t *testing.T) {
	o := Options{Now: now, Settings: Settings{Algorithms: []string{"RS256"}}}
	want := desired(publish("a", "k1", "k2"), publishAs("b", "k3", "PS256", "RS256"))
	p := planOf(t, config(trust("a", "k1"), trust("b", "k4")), want, o)
	require.Len(t, p.Keep, 2)
	assert.Equal(t, "k1", p.Keep[0].KeyID, "trusted and published: it never goes for its algorithm")
	require.Len(t, p.Failed, 1)
	require.ErrorIs(t, p.Failed[0].Err, plan.ErrTurnover, "as ever: k3 is another key than k4")
	require.Len(t, p.Skipped, 1)
	assert.Equal(t, "k2", p.Skipped[0].KeyID)
	assert.Equal(t, "left out: jwt_supported_algs is stated as [RS256]", p.Skipped[0].Reason)
	assert.Equal(t, []string{"jwt_supported_algs is stated as [RS256], and a signs with EdDSA (kid k1): these logins of it are refused once that is written"}, p.Warnings)

	p = planOf(t, config(trust("b", "k3", signs("PS256", "RS256"))), want, o)
	assert.Empty(t, p.Failed, "left out is no failure")
	assert.Empty(t, p.Warnings)
	assert.Len(t, p.Skipped, 2)
	assert.True(t, (&MountReport{Plan: p}).Plan.Changed, "the list itself")

	// One of its two clusters signs with an algorithm of the list.
	shared := []jwks.Result{publishAs("a", "k1", "PS256"), publishAs("b", "k1", "RS256")}
	p = planOf(t, config(), desired(shared...), o)
	assert.Len(t, p.Add, 1)
	assert.Empty(t, p.Skipped)
}

// What somebody changes is put back, with one write, and told.
func TestSyncSettingsDrift(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		var told []string
		o := Options{Settings: Settings{DefaultRole: new("mine")}, OnEvent: func(e Event) { told = append(told, string(e.Kind)+" "+e.Set.Field+e.Key.KeyID) }}
		synced(t, m, desired(publish("a", "k1")), o)
		config := v.Config("", "jwt-nomad")
		assert.Equal(t, "mine", config[roleField])
		require.NoError(t, v.WriteConfig("", "jwt-nomad", fixture.Changed(config, object{roleField: "theirs", issuerField: "https://x"})))

		told = nil
		report := synced(t, m, desired(publish("a", "k1")), o)
		assert.True(t, report.InSync())
		assert.Equal(t, 1, report.Written)
		assert.Equal(t, []string{"set default_role", "synced "}, told)
		assert.Equal(t, "mine", v.Config("", "jwt-nomad")[roleField])
		assert.Equal(t, "https://x", v.Config("", "jwt-nomad")[issuerField], "not stated")
	})
}

// Another writer that insists on its own setting is a conflict, and keeps no key from being
// trusted and none from being denied.
func TestSyncSettingsConflict(t *testing.T) {
	for _, writes := range []int{0, 1} {
		inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
			require.NoError(t, v.WriteConfig("", "jwt-nomad", map[string]any{keysField: []string{trust("a", "k1"), trust("z", "k9")}, roleField: "theirs"}))
			conflicts := 0
			o := Options{Writes: writes, Deny: []pem.Fingerprint{fingerprint("k9")}, Settings: Settings{DefaultRole: new("mine")}, OnEvent: func(e Event) {
				switch e.Kind {
				case EventSet: // just after our write
					assert.NoError(t, v.WriteConfig("", "jwt-nomad", fixture.Changed(v.Config("", "jwt-nomad"), object{roleField: "theirs"})))
				case EventConflict:
					conflicts++
				}
			}}
			report, err := m.Sync(t.Context(), desired(publish("a", "k1", "k2")), o)
			require.ErrorIs(t, err, ErrConflict)
			require.ErrorContains(t, err, `settings are left to another writer until the next sync: `)
			require.ErrorContains(t, err, `default_role is "theirs", and stated as "mine"`)
			assert.False(t, report.InSync())
			assert.Equal(t, mostUndone, report.Written)
			assert.Equal(t, mostUndone, conflicts)
			assert.Equal(t, "theirs", v.Config("", "jwt-nomad")[roleField])
			assert.ElementsMatch(t, []string{"a k1", "a k2"}, trustedNames(v))
		})
	}
}

// Another writer that undoes a key together with a setting costs tries.
func TestSyncKeysUndoneWithSettings(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		o := Options{Writes: 2, Settings: Settings{DefaultRole: new("mine")}, OnEvent: func(e Event) {
			if e.Kind == EventSet {
				theirs := object{keysField: []string{trust("z", "k9")}, roleField: "theirs"}
				assert.NoError(t, v.WriteConfig("", "jwt-nomad", fixture.Changed(v.Config("", "jwt-nomad"), theirs)))
			}
		}}
		report, err := m.Sync(t.Context(), desired(publish("a", "k1")), o)
		require.ErrorIs(t, err, ErrConflict)
		require.ErrorContains(t, err, "gave up after 2 tries")
		assert.Equal(t, 2, report.Written)
	})
}

// A key that comes after the settings were left is written all the same.
func TestSyncSettingsConflictAndKeys(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		want := desired(publish("a", "k1"))
		sets := 0
		o := Options{Settings: Settings{DefaultRole: new("mine")}, OnEvent: func(e Event) {
			if e.Kind != EventSet {
				return
			}
			config := fixture.Changed(v.Config("", "jwt-nomad"), object{roleField: "theirs"})
			if sets++; sets == mostUndone { // and our key with it
				config[keysField] = []string{trust("z", "k9")}
			}
			assert.NoError(t, v.WriteConfig("", "jwt-nomad", config))
		}}
		_, err := m.Sync(t.Context(), want, o)
		require.ErrorIs(t, err, ErrConflict)
		assert.ElementsMatch(t, []string{"a k1", "z k9"}, trustedNames(v))
	})
}

// Another writer that goes on to undo keys, after the settings were left to it, is a conflict like
// any other.
func TestSyncKeysUndoneAfterTheSettingsWereLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *Mount) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		conflicts := 0
		o := Options{Settings: Settings{DefaultRole: new("mine")}, OnEvent: func(e Event) {
			theirs := fixture.Changed(v.Config("", "jwt-nomad"), object{roleField: "theirs"})
			switch e.Kind {
			case EventSet:
				assert.NoError(t, v.WriteConfig("", "jwt-nomad", theirs))
			case EventConflict:
				conflicts++
				if conflicts == mostUndone {
					theirs[keysField] = []string{trust("z", "k9")}
					time.AfterFunc(defaultSettle/2, func() { assert.NoError(t, v.WriteConfig("", "jwt-nomad", theirs)) })
				}
				if conflicts == 100 {
					cancel() // a sync without end
				}
			}
		}}
		report, err := m.Sync(ctx, desired(publish("a", "k1")), o)
		require.ErrorIs(t, err, ErrConflict)
		assert.ErrorContains(t, err, "settings are left to another writer")
		assert.Equal(t, mostUndone+1, report.Conflicts)
		assert.Equal(t, mostUndone+1, report.Written)
		assert.ElementsMatch(t, []string{"a k1", "z k9"}, trustedNames(v))
	})
}

func TestPlanDefaultRole(t *testing.T) {
	want, o := desired(publish("a", "k1")), Options{Now: now, DefaultRole: "r"}
	for name, test := range map[string]struct {
		fields map[string]any
		sets   string
		warns  string
	}{
		"no config":    {nil, "r", ""},
		"no role":      {map[string]any{keysField: []any{trust("a", "k1")}, roleField: ""}, "r", ""},
		"the role":     {map[string]any{keysField: []any{trust("a", "k1")}, roleField: "r"}, "", ""},
		"another role": {map[string]any{keysField: []any{trust("a", "k1")}, roleField: "theirs"}, "", `default_role is "theirs" and stays`},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(t, mountconfig.New(test.fields), want, o)
			if test.sets == "" {
				assert.Empty(t, p.Settings)
			} else {
				assert.Equal(t, []plan.Change{{Field: roleField, Before: "", After: `"` + test.sets + `"`}}, p.Settings)
			}
			assert.Equal(t, test.sets != "", p.Changed)
			body := bodyOf(t, mountconfig.New(test.fields), p)
			if test.warns == "" {
				assert.Equal(t, "r", body[roleField])
				assert.Empty(t, p.Warnings)
			} else {
				assert.Equal(t, "theirs", body[roleField])
				require.Len(t, p.Warnings, 1)
				assert.Contains(t, p.Warnings[0], test.warns)
			}
		})
	}
	p := planOf(t, mountconfig.New(nil), plan.Desired{Clusters: []string{"a"}, Results: nil}, o)
	assert.False(t, p.Changed, "without a key there is nothing to write")
}

type object = fixture.Object

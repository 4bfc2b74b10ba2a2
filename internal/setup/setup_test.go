package setup

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakekeys"
	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// actions returns the steps of a plan, as "kind name: action".
func actions(p *Plan) []string {
	var out []string
	for _, s := range p.Steps {
		out = append(out, string(s.Kind)+" "+s.Name+": "+string(s.Action))
	}
	return out
}

func setUp(t *testing.T, m *vaultsync.Mount, want Setup) *Plan {
	t.Helper()
	plan, err := NewPlan(t.Context(), m, want)
	require.NoError(t, err)
	done, err := Apply(t.Context(), m, plan)
	require.NoError(t, err)
	return done
}

func TestSetup(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *vaultsync.Mount) {
		m.Path = "jwt-new"
		plan, err := NewPlan(t.Context(), m, Setup{})
		require.NoError(t, err)
		assert.Equal(t, []string{"mount jwt-new: create", "policy nomad-workloads.jwt-new: create", "role nomad-workloads: create"}, actions(plan))
		assert.True(t, plan.Changed())
		assert.Contains(t, plan.Steps[1].Body["policy"], PendingAccessor)
		assert.Zero(t, v.Count("PUT", ""), "a plan changes nothing")

		done, err := Apply(t.Context(), m, plan)
		require.NoError(t, err)
		require.NotEmpty(t, done.Accessor)
		assert.Contains(t, done.Steps[1].Body["policy"], "aliases."+done.Accessor+".metadata.nomad_job_id")
		assert.NotContains(t, done.Steps[1].Body["policy"], PendingAccessor)
		assert.Contains(t, plan.Steps[1].Body["policy"], PendingAccessor, "the plan itself isn't changed")

		_, err = m.Sync(t.Context(), desired, vaultsync.Options{DefaultRole: Setup{}.DefaultRole()})
		require.NoError(t, err)
		config, err := m.Read(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "nomad-workloads", config.DefaultRole())
		assert.Empty(t, config.Algorithms(), "every cluster that joins may sign with its own")

		again, err := NewPlan(t.Context(), m, Setup{})
		require.NoError(t, err)
		assert.Equal(t, []string{"mount jwt-new: keep", "policy nomad-workloads.jwt-new: keep", "role nomad-workloads: keep"}, actions(again))
		assert.False(t, again.Changed())
	})
}

// A type's name doesn't make a JWT mount: what it can be configured with does, and people's
// sign-in is never taken for one.
func TestSetupOnOtherTypes(t *testing.T) {
	for kind, refused := range map[string]string{
		"jwt-today":  "",
		"oidc":       "the one at auth/jwt-nomad is of type oidc, where people sign in",
		"kubernetes": "the one at auth/jwt-nomad is of type kubernetes, whose configuration has no jwt_validation_pubkeys",
	} {
		inBubble(t, func(t *testing.T, v *fakevault.Server, m *vaultsync.Mount) {
			v.Enable("", m.Path, kind)
			plan, err := NewPlan(t.Context(), m, Setup{})
			assert.Zero(t, v.Count("PUT", ""), kind)
			if refused != "" {
				require.ErrorIs(t, err, vaultsync.ErrNoMount, kind)
				require.ErrorContains(t, err, refused)
				return
			}
			require.NoError(t, err, kind)
			assert.Equal(t, []string{"mount jwt-nomad: keep", "policy nomad-workloads.jwt-nomad: create", "role nomad-workloads: create"}, actions(plan))
			_, err = Apply(t.Context(), m, plan)
			require.NoError(t, err)
			_, err = m.Sync(t.Context(), desired, vaultsync.Options{})
			require.NoError(t, err)
		})
	}
}

// What keeps jobs from their secrets is told, and nothing is refused for it.
func TestSetupLooksForTheEngine(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *vaultsync.Mount) {
		v.EnableSecrets("", "old", "kv", "")
		v.EnableSecrets("", "older", "kv", "1")
		v.EnableSecrets("", "team/kv", "kv", "2")
		for kv, warning := range map[string]string{
			"":            "",
			"team/kv":     "",
			"none":        "there is no secrets engine at none/: enable it with `vault secrets enable -path=none -version=2 kv`, or name another; until then jobs read no secrets",
			"old":         "the KV engine at old/ is of version 1, and the policy is for version 2: `vault kv enable-versioning old`, or name another; until then jobs read no secrets",
			"older":       "the KV engine at older/ is of version 1",
			"cubbyhole":   "the secrets engine at cubbyhole/ is of type cubbyhole: name a KV engine of version 2",
			"secret/team": "secret/team is no secrets engine but a path in the one at secret/: name the engine, and what follows as prefix",
		} {
			plan, err := NewPlan(t.Context(), m, Setup{Access: []Access{{KV: kv}, {Role: "b", KV: kv}}})
			require.NoError(t, err, kv)
			if warning == "" {
				assert.Empty(t, plan.Warnings, kv)
				continue
			}
			require.Len(t, plan.Warnings, 1, kv)
			assert.True(t, strings.HasPrefix(plan.Warnings[0], warning), plan.Warnings[0])
		}
		blind := vaultsync.NewMount(v.ClientWith(v.Token("", fakevault.Grants{"sys/auth/*": {"read"}, "sys/policies/*": {"read"}, "auth/*": {"read"}})), m.Path)
		plan, err := NewPlan(t.Context(), blind, Setup{})
		require.NoError(t, err)
		assert.Equal(t, []string{"whether there is a KV engine of version 2 at secret/ was not checked: that needs \"read\" on sys/mounts"}, plan.Warnings)
	})
}

func TestSetupRepairs(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakevault.Server, m *vaultsync.Mount) {
		setUp(t, m, Setup{})
		_, err := m.Client.Logical().Write("auth/jwt-nomad/role/nomad-workloads", map[string]any{
			"role_type": "jwt", "bound_audiences": []string{"other"}, "token_period": 7200,
		})
		require.NoError(t, err)
		planned, err := NewPlan(t.Context(), m, Setup{})
		require.NoError(t, err)
		assert.Equal(t, []string{"mount jwt-nomad: keep", "policy nomad-workloads.jwt-nomad: keep", "role nomad-workloads: change"}, actions(planned))
		assert.Equal(t, []plan.Change{
			{Field: "bound_audiences", Before: `["other"]`, After: `["vault.io"]`}, {Field: "token_period", Before: "7200", After: "1800"},
		}, planned.Steps[2].Changes)
		setUp(t, m, Setup{})
		planned, err = NewPlan(t.Context(), m, Setup{})
		require.NoError(t, err)
		assert.False(t, planned.Changed())

		planned = setUp(t, m, Setup{Access: []Access{{KV: "kv"}}})
		assert.Equal(t, ActionChange, planned.Steps[1].Action, "a policy that harvest made is harvest's to change")
	})
}

// What widens a role is put right. What narrows it stays and is shown, until it is stated or reset.
func TestSetupRepairsWhatWidens(t *testing.T) {
	const role = "auth/jwt-nomad/role/nomad-workloads"
	bound := map[string]string{"nomad_namespace": "prod"}
	for name, test := range map[string]struct {
		written  map[string]any // over what a setup made
		want     Access
		changes  []string // fields
		narrower []string
	}{
		"leeways": {
			map[string]any{"expiration_leeway": 3600, "not_before_leeway": 151, "clock_skew_leeway": 61}, Access{},
			[]string{"clock_skew_leeway", "expiration_leeway", "not_before_leeway"}, nil,
		},
		"less leeway": {
			map[string]any{"expiration_leeway": -1, "not_before_leeway": 150, "clock_skew_leeway": 10}, Access{},
			nil, []string{"clock_skew_leeway", "expiration_leeway", "not_before_leeway"},
		},
		"groups":                   {map[string]any{"groups_claim": "groups"}, Access{}, []string{"groups_claim"}, nil},
		"more policies":            {map[string]any{"token_policies": []string{"nomad-workloads.jwt-nomad", "admin"}}, Access{}, []string{"token_policies"}, nil},
		"more audiences":           {map[string]any{"bound_audiences": []string{"vault.io", "other"}}, Access{}, []string{"bound_audiences"}, nil},
		"bounds that are gone":     {map[string]any{"bound_claims": map[string]any{}}, Access{Bound: bound}, []string{"bound_claims"}, nil},
		"other bounds":             {map[string]any{"bound_claims": map[string]any{"nomad_namespace": "sandbox", "x": "y"}}, Access{Bound: bound}, []string{"bound_claims"}, nil},
		"a list for a bound":       {map[string]any{"bound_claims": map[string]any{"nomad_namespace": []any{"prod", "sandbox"}, "x": "y"}}, Access{Bound: bound}, []string{"bound_claims"}, nil},
		"more bounds":              {map[string]any{"bound_claims": map[string]any{"nomad_namespace": "prod", "x": "y"}}, Access{Bound: bound}, nil, []string{"bound_claims"}},
		"bounds of another type":   {map[string]any{"bound_claims": map[string]any{"sub": "a:*"}, "bound_claims_type": "glob"}, Access{}, nil, []string{"bound_claims"}},
		"no period":                {map[string]any{"token_period": 0}, Access{}, []string{"token_period"}, nil},
		"a longer period":          {map[string]any{"token_period": 3600}, Access{}, []string{"token_period"}, nil},
		"a shorter period":         {map[string]any{"token_period": 60}, Access{}, nil, []string{"token_period"}},
		"a shorter period, stated": {map[string]any{"token_period": 60}, Access{Period: defaultPeriod}, []string{"token_period"}, nil},
		"an end":                   {map[string]any{"token_explicit_max_ttl": 60}, Access{}, nil, []string{"token_explicit_max_ttl"}},
		"another end, stated":      {map[string]any{"token_explicit_max_ttl": 60}, Access{MaxTTL: time.Hour}, []string{"token_explicit_max_ttl"}, nil},
		"times that mean nothing beside a period": {map[string]any{"token_ttl": 3600, "token_max_ttl": 7200}, Access{}, nil, nil},
		"shorter times":   {map[string]any{"token_ttl": 60, "token_max_ttl": 120}, Access{}, nil, []string{"token_max_ttl", "token_ttl"}},
		"a subject":       {map[string]any{"bound_subject": "x"}, Access{}, nil, []string{"bound_subject"}},
		"another subject": {map[string]any{"bound_subject": "x"}, Access{BoundSubject: "y"}, []string{"bound_subject"}, nil},
		"networks":        {map[string]any{"token_bound_cidrs": []string{"10.0.0.0/8"}}, Access{}, nil, []string{"token_bound_cidrs"}},
		"networks, stated": {
			map[string]any{"token_bound_cidrs": []string{"10.0.0.0/8"}}, Access{BoundCIDRs: []string{"10.0.0.0/8"}}, nil, nil,
		},
		"uses":                       {map[string]any{"token_num_uses": 1}, Access{}, nil, []string{"token_num_uses"}},
		"uses, stated":               {map[string]any{"token_num_uses": 1}, Access{NumUses: 1}, nil, nil},
		"no default policy":          {map[string]any{"token_no_default_policy": true}, Access{}, nil, []string{"token_no_default_policy"}},
		"no default policy, missing": {nil, Access{NoDefaultPolicy: true}, []string{"token_no_default_policy"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ *fakevault.Server, m *vaultsync.Mount) {
				before := test.want
				if len(test.written) == 0 {
					before = Access{}
				}
				setUp(t, m, Setup{Access: []Access{before}})
				logical := m.Client.Logical()
				body := map[string]any{"role_type": "jwt"}
				maps.Copy(body, test.written)
				_, err := logical.Write(role, body)
				require.NoError(t, err)
				fields := func(changes []plan.Change) (names []string) {
					for _, c := range changes {
						names = append(names, c.Field)
					}
					return names
				}
				want := Setup{Access: []Access{test.want}}
				plan := setUp(t, m, want)
				require.NoError(t, plan.Err())
				assert.Equal(t, test.changes, fields(plan.Steps[2].Changes))
				assert.Equal(t, test.narrower, fields(plan.Steps[2].Narrower))
				for _, c := range plan.Steps[2].Narrower {
					assert.NotEmpty(t, Breaks(c.Field))
				}
				plan, err = NewPlan(t.Context(), m, want)
				require.NoError(t, err)
				assert.False(t, plan.Changed())
				assert.Equal(t, test.narrower, fields(plan.Steps[2].Narrower), "what is narrower stayed")

				want.Overwrite = true
				setUp(t, m, want)
				plan, err = NewPlan(t.Context(), m, want)
				require.NoError(t, err)
				assert.False(t, plan.Changed())
				assert.Empty(t, plan.Steps[2].Narrower)
			})
		})
	}
}

func TestSetupLeavesWhatOthersMade(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakevault.Server, m *vaultsync.Mount) {
		logical := m.Client.Logical()
		_, err := logical.Write("sys/policies/acl/nomad-workloads", map[string]any{"policy": `path "secret/*" { capabilities = ["read"] }`})
		require.NoError(t, err)
		_, err = logical.Write("auth/jwt-nomad/role/nomad-workloads", map[string]any{
			"role_type": "jwt", "bound_audiences": []string{"other"}, "user_claim": "sub",
		})
		require.NoError(t, err)
		own := Setup{Access: []Access{{Policy: "nomad-workloads"}}}
		plan := setUp(t, m, own)
		assert.Equal(t, []string{"mount jwt-nomad: keep", "policy nomad-workloads: refuse", "role nomad-workloads: refuse"}, actions(plan))
		require.ErrorIs(t, plan.Err(), ErrNotOurs)
		require.ErrorContains(t, plan.Err(), `role "nomad-workloads" was made by somebody else and differs in bound_audiences, `)
		assert.True(t, plan.Overwritable())
		role, err := logical.Read("auth/jwt-nomad/role/nomad-workloads")
		require.NoError(t, err)
		assert.Equal(t, "sub", role.Data["user_claim"])

		own.Overwrite = true
		plan = setUp(t, m, own)
		assert.Equal(t, []string{"mount jwt-nomad: keep", "policy nomad-workloads: change", "role nomad-workloads: change"}, actions(plan))
		assert.Equal(t, "made by somebody else", plan.Steps[1].Foreign)
		require.NoError(t, plan.Err())
	})
}

// A role that isn't there yet doesn't get a policy that somebody wrote for others.
func TestSetupGivesNoForeignPolicy(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakevault.Server, m *vaultsync.Mount) {
		_, err := m.Client.Logical().Write("sys/policies/acl/admin", map[string]any{"policy": `path "*" { capabilities = ["sudo"] }`})
		require.NoError(t, err)
		plan := setUp(t, m, Setup{Access: []Access{{Policy: "admin"}}})
		assert.Equal(t, []string{"mount jwt-nomad: keep", "policy admin: refuse", "role nomad-workloads: refuse"}, actions(plan))
		require.ErrorContains(t, plan.Err(), `role "nomad-workloads" gives the policy "admin", which is somebody else's`)
		role, err := m.Client.Logical().Read("auth/jwt-nomad/role/nomad-workloads")
		require.NoError(t, err)
		assert.Nil(t, role)
	})
}

// A policy that no role would give isn't made.
func TestSetupMakesNoUnusedPolicy(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakevault.Server, m *vaultsync.Mount) {
		_, err := m.Client.Logical().Write("auth/jwt-nomad/role/nomad-workloads", map[string]any{
			"role_type": "jwt", "bound_audiences": []string{"other"}, "user_claim": "sub",
		})
		require.NoError(t, err)
		plan := setUp(t, m, Setup{})
		assert.Equal(t, []string{"policy nomad-workloads.jwt-nomad: refuse", "role nomad-workloads: refuse"}, actions(plan)[1:])
		require.ErrorContains(t, plan.Err(), `policy "nomad-workloads.jwt-nomad" wasn't made: role "nomad-workloads", which would give it, is somebody else's`)
		assert.True(t, plan.Overwritable())
		policy, err := m.Client.Logical().Read("sys/policies/acl/nomad-workloads.jwt-nomad")
		require.NoError(t, err)
		assert.Nil(t, policy)

		plan = setUp(t, m, Setup{Overwrite: true})
		assert.Equal(t, []string{"policy nomad-workloads.jwt-nomad: create", "role nomad-workloads: change"}, actions(plan)[1:])
	})
}

// The policy goes by three claims' names: what renames one, or gives another claim its name, is
// refused.
func TestAccessKeepsThePolicysClaims(t *testing.T) {
	for _, claims := range []map[string]string{
		{"nomad_namespace": "x"}, {"nomad_job_id": "job"}, {"nomad_task": "task"},
		{"nomad_namespace": "nomad_task", "nomad_task": "nomad_namespace"},
		{"sub": "nomad_namespace"}, {"/nomad_job_id": "nomad_job_id"},
	} {
		require.ErrorContains(t, Access{Claims: claims}.check(), "the policy goes by", claims)
	}
	require.NoError(t, Access{Claims: map[string]string{
		"nomad_namespace": "nomad_namespace", "/nomad_namespace": "ns", "sub": "subject",
	}}.check())
}

// A policy is templated on one mount's accessor: two mounts have two, and another mount's setup
// doesn't take it away, whatever it is told.
func TestSetupLeavesOtherMounts(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *vaultsync.Mount) {
		setUp(t, m, Setup{})
		other := vaultsync.NewMount(m.Client, "jwt-other")
		for _, exists := range []bool{false, true} {
			if exists {
				v.Enable("", "jwt-other", "jwt")
			}
			plan, err := NewPlan(t.Context(), other, Setup{Overwrite: true, Access: []Access{{Policy: "nomad-workloads.jwt-nomad"}}})
			require.NoError(t, err)
			assert.Equal(t, []string{"policy nomad-workloads.jwt-nomad: refuse", "role nomad-workloads: refuse"}, actions(plan)[1:])
			require.ErrorContains(t, plan.Err(), `policy "nomad-workloads.jwt-nomad" was made for mount auth/jwt-nomad and differs in policy; it was left as it is; give`)
			assert.False(t, plan.Overwritable())
		}
		plan := setUp(t, other, Setup{})
		assert.Equal(t, []string{"policy nomad-workloads.jwt-other: create", "role nomad-workloads: create"}, actions(plan)[1:])
		require.NoError(t, plan.Err())
		for _, mount := range []*vaultsync.Mount{m, other} {
			again, err := NewPlan(t.Context(), mount, Setup{})
			require.NoError(t, err)
			assert.False(t, again.Changed())
		}

		// A token that may not list the mounts can't tell that the other one is gone.
		require.NoError(t, m.Client.Sys().DisableAuth("jwt-other"))
		reuse := Setup{Access: []Access{{Policy: "nomad-workloads.jwt-other"}}}
		root := m.Client.Token()
		m.Client.SetToken(v.Token("", fakevault.Grants{"sys/auth/jwt-nomad": {"read"}, "sys/policies/acl/*": {"read"}, "auth/jwt-nomad/role/*": {"read"}}))
		plan, err := NewPlan(t.Context(), m, reuse)
		require.NoError(t, err)
		require.ErrorContains(t, plan.Err(), "was made for another mount")
		assert.False(t, plan.Overwritable())
		m.Client.SetToken(root)
		plan, err = NewPlan(t.Context(), m, reuse)
		require.NoError(t, err)
		require.ErrorContains(t, plan.Err(), "was made for a mount that is gone")
		assert.True(t, plan.Overwritable())
	})
}

// A policy that an earlier setup of this mount made keeps its name, whatever is made beside it.
func TestSetupKeepsPolicyName(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakevault.Server, m *vaultsync.Mount) {
		setUp(t, m, Setup{Access: []Access{{Policy: "nomad-workloads"}}})
		plan, err := NewPlan(t.Context(), m, Setup{})
		require.NoError(t, err)
		assert.Equal(t, []string{"mount jwt-nomad: keep", "policy nomad-workloads: keep", "role nomad-workloads: keep"}, actions(plan))
		plan = setUp(t, m, Setup{Access: []Access{{KV: "kv"}}})
		assert.Equal(t, []string{"mount jwt-nomad: keep", "policy nomad-workloads: change", "role nomad-workloads: keep"}, actions(plan))

		plan = setUp(t, m, Setup{Access: []Access{{Policy: "renamed"}}})
		assert.Equal(t, []string{"mount jwt-nomad: keep", "policy renamed: create", "role nomad-workloads: change"}, actions(plan), "it is this mount's role")
	})
}

func TestDefaultPolicy(t *testing.T) {
	assert.Equal(t, "nomad-workloads.jwt-nomad", defaultPolicy(DefaultRole, "jwt-nomad"))
	seen := map[string][2]string{}
	long := strings.Repeat("x", 120)
	for _, role := range []string{"a", "a-b", "a.b", "a.b.c", "a_b", long, long + "y"} {
		for _, path := range []string{"a", "A", "b-c", "b/c", "b.c", "c", "c-", "b_c", "b c", "ü", long} {
			name := defaultPolicy(role, path)
			require.NoError(t, Access{Policy: name}.check(), name)
			assert.NotContains(t, seen, name, "%v", seen[name])
			seen[name] = [2]string{role, path}
		}
	}
}

// What `nomad setup vault` makes mixes namespaces: it is shown as different, and stays until it may
// be overwritten.
func TestSetupOverNomads(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakevault.Server, m *vaultsync.Mount) {
		planned, err := NewPlan(t.Context(), m, Setup{})
		require.NoError(t, err)
		text := strings.ReplaceAll(nomadsPolicy, "auth_jwt_X", planned.Accessor)
		_, err = m.Client.Logical().Write("sys/policies/acl/nomad-workloads", map[string]any{"policy": text})
		require.NoError(t, err)
		_, err = m.Client.Logical().Write("auth/jwt-nomad/role/nomad-workloads", map[string]any{
			"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "/nomad_job_id", "user_claim_json_pointer": true,
			"claim_mappings": map[string]string{"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id", "nomad_task": "nomad_task"},
			"token_type":     "service", "token_period": "30m", "token_policies": []string{"nomad-workloads"},
		})
		require.NoError(t, err)
		planned, err = NewPlan(t.Context(), m, Setup{})
		require.NoError(t, err)
		require.ErrorIs(t, planned.Err(), ErrNotOurs)
		require.Len(t, planned.Steps, 3)
		assert.Equal(t, ActionRefuse, planned.Steps[2].Action)
		assert.Equal(t, []plan.Change{{Field: "token_policies", Before: `["nomad-workloads"]`, After: `["nomad-workloads.jwt-nomad"]`}, {Field: "user_claim", Before: `"/nomad_job_id"`, After: `"sub"`}, {Field: "user_claim_json_pointer", Before: "true", After: ""}}, planned.Steps[2].Changes)
		setUp(t, m, Setup{Overwrite: true})
		planned, err = NewPlan(t.Context(), m, Setup{})
		require.NoError(t, err)
		assert.False(t, planned.Changed(), actions(planned))
		require.NoError(t, planned.Err())
	})
}

// A role that is bound to one namespace reads that namespace's secrets, whatever its alias says.
func TestSetupNamespaceInPlainText(t *testing.T) {
	const template = "{{identity.entity.aliases.acc.metadata.nomad_namespace}}"
	for name, test := range map[string]struct {
		bound map[string]string
		want  string
	}{
		"by name":     {map[string]string{"nomad_namespace": "prod"}, "prod"},
		"by pointer":  {map[string]string{"/nomad_namespace": "prod", "sub": "us-east-1:*"}, "prod"},
		"by a glob":   {map[string]string{"nomad_namespace": "prod*"}, template},
		"by both":     {map[string]string{"nomad_namespace": "*", "/nomad_namespace": "prod"}, "prod"},
		"by the rest": {map[string]string{"sub": "us-east-1:prod:*"}, template},
		"not":         {nil, template},
	} {
		t.Run(name, func(t *testing.T) {
			a := Access{Bound: test.bound, Prefix: "x"}
			require.NoError(t, a.check())
			text := a.PolicyText("acc")
			assert.Contains(t, text, `path "secret/data/x/`+test.want+"/{{identity.entity.aliases.acc.metadata.nomad_job_id}}\"")
			assert.Contains(t, text, `path "secret/metadata/x/`+test.want+`/*"`)
			assert.Equal(t, 1, strings.Count(text, "metadata/x/"), "names are listed in the job's own namespace alone")
		})
	}
}

// With a prefix each name stands twice in what is allowed and once in what is denied.
func TestJobPrefix(t *testing.T) {
	a := Access{JobPrefix: "job-", Bound: map[string]string{"nomad_namespace": "prod"}}
	require.NoError(t, a.check())
	const job = "job-{{identity.entity.aliases.acc.metadata.nomad_job_id}}"
	assert.Equal(t, madeByHarvest+`

path "secret/data/prod/`+job+`/*" {
  capabilities = ["deny"]
}

path "secret/data/prod/`+job+`/`+job+`/*" {
  capabilities = ["read"]
}

path "secret/metadata/prod/*" {
  capabilities = ["list"]
}
`, a.PolicyText("acc"))
	assert.Equal(t, "secret/data/prod/job-<job>/job-<job>/<name>", a.Secrets())
	assert.Equal(t, "kv/data/x/<namespace>/<job>", Access{KV: "kv", Prefix: "x"}.Secrets())
}

func TestAccessUserClaim(t *testing.T) {
	for claim, want := range map[string]struct {
		claim   string
		pointer bool
	}{
		"": {"sub", false}, "sub": {"sub", false}, "/nomad_job_id": {"/nomad_job_id", true}, "/extra_claims/unique_id": {"/extra_claims/unique_id", true},
	} {
		a := Access{UserClaim: claim}
		require.NoError(t, a.check())
		body := a.RoleBody()
		assert.Equal(t, want.claim, body["user_claim"])
		assert.Equal(t, want.pointer, body["user_claim_json_pointer"])
	}
}

// nomadsPolicy says what that of Nomad 1.11 does, in another order.
const nomadsPolicy = `path "secret/data/{{identity.entity.aliases.auth_jwt_X.metadata.nomad_namespace}}/{{identity.entity.aliases.auth_jwt_X.metadata.nomad_job_id}}/*" { capabilities = ["read"] }

# its own
path "secret/data/{{identity.entity.aliases.auth_jwt_X.metadata.nomad_namespace}}/{{identity.entity.aliases.auth_jwt_X.metadata.nomad_job_id}}" {
    capabilities = [ "read" ] // nothing else
}
path "secret/metadata/*" {
  capabilities = ["list"]
}
path "secret/metadata/{{identity.entity.aliases.auth_jwt_X.metadata.nomad_namespace}}/*" {
  capabilities = ["list"]
}`

func TestSetupByCluster(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakevault.Server, m *vaultsync.Mount) {
		want := Setup{Access: []Access{
			{Role: "nomad-us-east", Prefix: "us-east", Bound: map[string]string{"sub": "us-east-1:*"}},
			{Role: "nomad-eu-west", Prefix: "eu-west", Bound: map[string]string{"iss": "https://nomad.eu-west.example.com"}, MaxTTL: time.Hour},
		}}
		setUp(t, m, want)
		role, err := m.Client.Logical().Read("auth/jwt-nomad/role/nomad-us-east")
		require.NoError(t, err)
		assert.Equal(t, "glob", role.Data["bound_claims_type"])
		policy, err := m.Client.Logical().Read("sys/policies/acl/nomad-eu-west.jwt-nomad")
		require.NoError(t, err)
		assert.Contains(t, policy.Data["policy"], `path "secret/data/eu-west/{{identity`)
		plan, err := NewPlan(t.Context(), m, want)
		require.NoError(t, err)
		assert.False(t, plan.Changed())
		assert.Equal(t, "nomad-us-east", want.DefaultRole())
	})
}

func TestSetupErrors(t *testing.T) {
	for name, test := range map[string]struct {
		want    Setup
		prepare func(*fakevault.Server, *vaultsync.Mount)
		says    string
	}{
		"role":                {want: Setup{Access: []Access{{Role: "Upper"}}}, says: "role \"Upper\""},
		"policy root":         {want: Setup{Access: []Access{{Policy: "root"}}}, says: "neither root nor default"},
		"KV template":         {want: Setup{Access: []Access{{KV: "{{identity}}"}}}, says: "KV path"},
		"KV wildcard":         {want: Setup{Access: []Access{{KV: "*"}}}, says: "KV path"},
		"dots for a KV path":  {want: Setup{Access: []Access{{KV: "a/../b"}}}, says: "KV path"},
		"dots for a prefix":   {want: Setup{Access: []Access{{Prefix: ".."}}}, says: "no part that is . or .."},
		"a dot in a prefix":   {want: Setup{Access: []Access{{Prefix: "a/."}}}, says: "no part that is . or .."},
		"a namespace of +":    {want: Setup{Access: []Access{{Bound: map[string]string{"nomad_namespace": "+"}}}}, says: "letters, digits and dashes"},
		"no user claim":       {want: Setup{Access: []Access{{UserClaim: "/"}}}, says: "user claim \"/\""},
		"a broken user claim": {want: Setup{Access: []Access{{UserClaim: "a\nb"}}}, says: "user claim"},
		"prefix":              {want: Setup{Access: []Access{{Prefix: `a" {`}}}, says: "prefix"},
		"no network":          {want: Setup{Access: []Access{{BoundCIDRs: []string{"10.0.0.0/8", "x"}}}}, says: "bound CIDR \"x\""},
		"a job prefix of two": {want: Setup{Access: []Access{{JobPrefix: "a/b"}}}, says: "job prefix"},
		"a job prefix of +":   {want: Setup{Access: []Access{{JobPrefix: "+"}}}, says: "job prefix"},
		"uses below zero":     {want: Setup{Access: []Access{{NumUses: -1}}}, says: "uses of a token"},
		"part of a second":    {want: Setup{Access: []Access{{Period: time.Millisecond}}}, says: "whole seconds"},
		"reserved claim":      {want: Setup{Access: []Access{{Claims: map[string]string{"x": "role"}}}}, says: "another name than role"},
		"one name, two":       {want: Setup{Access: []Access{{Claims: map[string]string{"x": "y", "z": "y"}}}}, says: "two claims"},
		"bound to nothing":    {want: Setup{Access: []Access{{Bound: map[string]string{"iss": ""}}}}, says: "bound claim"},
		"empty audience":      {want: Setup{Access: []Access{{Audiences: []string{""}}}}, says: "audience"},
		"two of one role":     {want: Setup{Access: []Access{{}, {}}}, says: "another role"},
		"two of one policy's": {want: Setup{Access: []Access{{Policy: "p"}, {Role: "other", Policy: "p"}}}, says: "another role"},
		"two of one policy":   {want: Setup{Access: []Access{{}, {Role: "other", Policy: "nomad-workloads.jwt-nomad"}}}, says: "another role"},
		"another method":      {prepare: func(v *fakevault.Server, m *vaultsync.Mount) { v.Enable("", "x", "approle"); m.Path = "x" }, says: "type approle"},
		"unknown token":       {prepare: func(_ *fakevault.Server, m *vaultsync.Mount) { m.Client.SetToken("nonsense") }, says: "Vault knows no such token"},
		"forbidden":           {prepare: func(v *fakevault.Server, m *vaultsync.Mount) { m.Client.SetToken(v.Token("", fakevault.Grants{})) }, says: "sys/auth/jwt-nomad"},
		"Vault sealed":        {prepare: func(v *fakevault.Server, _ *vaultsync.Mount) { v.Seal() }, says: "sealed"},
		"namespace, and none": {prepare: func(v *fakevault.Server, m *vaultsync.Mount) { v.SetCommunity(true); m.Namespace = "a" }, says: "no namespaces"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, v *fakevault.Server, m *vaultsync.Mount) {
				if test.prepare != nil {
					test.prepare(v, m)
				}
				_, err := NewPlan(t.Context(), m, test.want)
				require.ErrorContains(t, err, test.says)
				require.ErrorContains(t, err, "mount "+m.Path)
				assert.Zero(t, v.Count("PUT", ""))
			})
		})
	}
}

// What fails halfway is gone on with from there.
func TestSetupGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, v *fakevault.Server, m *vaultsync.Mount) {
		m.Path = "jwt-new"
		plan, err := NewPlan(t.Context(), m, Setup{})
		require.NoError(t, err)
		root := m.Client.Token()
		m.Client.SetToken(v.Token("", fakevault.Grants{"sys/auth/jwt-new": {"create", "read", "update"}}))
		_, err = Apply(t.Context(), m, plan)
		require.ErrorIs(t, err, vaultsync.ErrForbidden)
		require.ErrorContains(t, err, `policy "nomad-workloads.jwt-new"`)

		m.Client.SetToken(root)
		plan = setUp(t, m, Setup{})
		assert.Equal(t, []string{"mount jwt-new: keep", "policy nomad-workloads.jwt-new: create", "role nomad-workloads: create"}, actions(plan))
	})
}

var desired = plan.Desired{Clusters: []string{"a"}, Results: []jwks.Result{fakekeys.Publish("a", "k1")}}

// inBubble runs a test where time stands still, with a mount of a Vault.
func inBubble(t *testing.T, test func(t *testing.T, v *fakevault.Server, m *vaultsync.Mount)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := fakevault.NewInProcess()
		defer v.Close()
		v.Enable("", "jwt-nomad", "jwt")
		test(t, v, vaultsync.NewMount(v.Client(), "auth/jwt-nomad/"))
	})
}

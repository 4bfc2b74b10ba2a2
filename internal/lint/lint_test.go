package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/discover"
	"github.com/jwksharvest/harvest/internal/fixture"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/vaultsync"
)

// says is what a Nomad says of its tokens; region is its owner's, or name as Nomad has it.
func says(owner, issuer string, name ...string) discover.Discovery {
	cluster, region, _ := strings.Cut(owner, "/")
	d := discover.Discovery{Cluster: cluster, Region: region, Nomad: true, RegionName: region, Metadata: jwks.Metadata{Issuer: issuer}}
	if len(name) > 0 {
		d.RegionName = name[0]
	}
	return d
}

// wellKept is a shared mount of which nothing is to be said.
func wellKept() Inspection {
	return Inspection{
		Now: now, Path: "jwt-nomad", Clusters: []string{"a", "b"},
		Config:     config(trust("a", "k1"), trust("b", "k2")),
		Results:    []jwks.Result{publish("a", "k1"), publish("b", "k2")},
		Discovered: []discover.Discovery{says("a", "https://a", "east"), says("b", "https://b", "west")},
		Roles:      []*jwtrole.Role{nomadRole(object{"bound_claims": object{"iss": "https://a"}})},
		Accessor:   "auth_jwt_1", Policies: map[string]string{},
	}
}

func withField(c mountconfig.Config, field string, value any) mountconfig.Config {
	have := fixture.Mount(c.Keys()...)
	have["bound_issuer"], have["jwt_supported_algs"] = c.BoundIssuer(), c.Algorithms()
	return mountconfig.New(fixture.Changed(have, object{field: value}))
}

// aliased makes a role what nomad setup vault does, with a policy that is templated.
var aliased = object{
	"token_policies": []any{"p"}, "claim_mappings": object{"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id"},
}

const templated = `path "secret/data/{{identity.entity.aliases.auth_jwt_1.metadata.nomad_namespace}}/*" { capabilities = ["read"] }`

func TestInspect(t *testing.T) {
	month := added(now.Add(-32 * 24 * time.Hour))
	tests := map[string]struct {
		change func(*Inspection)
		want   []string // "lint severity cluster/region role: a part of the message"
	}{
		"nothing to say": {func(*Inspection) {}, nil},
		"an algorithm that isn't allowed": {
			func(in *Inspection) { in.Config = withField(in.Config, "jwt_supported_algs", []any{"RS256"}) },
			[]string{
				"algorithm error a/ : a signs with EdDSA (kid k1), and jwt_supported_algs is [RS256]",
				"algorithm error b/ : b signs with EdDSA",
			},
		},
		"some of a key's algorithms": {
			func(in *Inspection) {
				in.Config = withField(config(trust("a", "k1", signs("PS256", "RS256", "RS512"))), "jwt_supported_algs", []any{"PS256"})
			},
			[]string{"algorithm warning a/ : a signs with RS256, RS512 (kid k1), and jwt_supported_algs is [PS256]"},
		},
		"a list that is stated": {
			func(in *Inspection) {
				in.Config = withField(config(trust("a", "k1", signs("PS256", "RS256")), trust("b", "k2")), "jwt_supported_algs", []any{"PS256"})
				in.Settings.Algorithms = []string{"PS256"}
			},
			[]string{"algorithm note b/ : b signs with EdDSA (kid k2), and jwt_supported_algs is [PS256]"},
		},
		"an algorithm of a foreign key": {
			func(in *Inspection) {
				in.Config = withField(config(paste("x")), "jwt_supported_algs", []any{"RS256"})
			},
			[]string{"algorithm error / : a foreign key signs with EdDSA"},
		},
		"bound_issuer of one of two": {
			func(in *Inspection) { in.Config = withField(in.Config, "bound_issuer", "https://a") },
			[]string{`bound_issuer error b/ : the tokens of b are issued by "https://b": their logins are refused`},
		},
		"bound_issuer without oidc_issuer": {
			func(in *Inspection) {
				in.Config, in.Clusters = withField(config(trust("a", "k1")), "bound_issuer", "https://a"), []string{"a"}
				in.Discovered = []discover.Discovery{says("a", "")}
			},
			[]string{"bound_issuer error a/ : a has no oidc_issuer"},
		},
		"bound_issuer beside a file": {
			func(in *Inspection) {
				in.Config = withField(in.Config, "bound_issuer", "https://a")
				in.Discovered = in.Discovered[:1]
			},
			[]string{"bound_issuer warning b/ : which issuer the tokens of b name isn't known"},
		},
		"bound_issuer of the one cluster": {
			func(in *Inspection) {
				in.Config, in.Clusters = withField(config(trust("a", "k1")), "bound_issuer", "https://a"), []string{"a"}
				in.Roles = []*jwtrole.Role{nomadRole(nil)}
			},
			nil,
		},
		"a relay's issuer, of one of two": {
			func(in *Inspection) { in.Issuer = "https://a" },
			[]string{`relay_issuer error b/ : the tokens of b name ["https://b"]: who finds the key set by its issuer refuses them`},
		},
		"a relay's issuer without oidc_issuer": {
			func(in *Inspection) {
				in.Config, in.Clusters, in.Roles, in.Issuer = config(trust("a", "k1")), []string{"a"}, nil, "https://a"
				in.Discovered = []discover.Discovery{says("a", "")}
			},
			[]string{"relay_issuer error a/ : a has no oidc_issuer: its tokens name none", "no_issuer note a/ : a has no oidc_issuer"},
		},
		"a role for every cluster": {
			func(in *Inspection) { in.Roles = []*jwtrole.Role{nomadRole(nil)} },
			[]string{"role_issuer warning / workloads: takes tokens of every cluster on this mount (a, b)"},
		},
		"a role for every cluster, another harvester's among them": {
			func(in *Inspection) {
				in.Clusters, in.Roles = []string{"a"}, []*jwtrole.Role{nomadRole(nil)}
			},
			[]string{"role_issuer warning / workloads: (a, b)", "unconfigured warning b/ : 1 key of cluster b"},
		},
		"a role for every job of one cluster": {
			func(in *Inspection) {
				in.Config, in.Clusters, in.Roles = config(trust("a", "k1")), []string{"a"}, []*jwtrole.Role{nomadRole(nil)}
			},
			nil,
		},
		"a role bound on the region": {
			func(in *Inspection) {
				in.Roles = []*jwtrole.Role{nomadRole(object{"bound_claims": object{"sub": []any{"east:*"}}, "bound_claims_type": "glob"})}
			},
			nil,
		},
		"a role bound on the iss by pointer": {
			func(in *Inspection) {
				in.Roles = []*jwtrole.Role{nomadRole(object{"bound_claims": object{"/iss": "https://a"}})}
			},
			nil,
		},
		"a role bound on the subject": {
			func(in *Inspection) { in.Roles = []*jwtrole.Role{nomadRole(object{"bound_subject": "east:default:x"})} },
			nil,
		},
		"a role bound on any region": {
			func(in *Inspection) {
				in.Roles = []*jwtrole.Role{nomadRole(object{"bound_claims": object{"sub": []any{"east:*", "*:default:*"}}, "bound_claims_type": "glob"})}
			},
			[]string{"role_issuer warning / workloads: "},
		},
		"a role bound on something else": {
			func(in *Inspection) {
				in.Roles = []*jwtrole.Role{nomadRole(object{"bound_claims": object{"nomad_namespace": "x"}})}
			},
			[]string{"role_issuer warning / workloads: "},
		},
		"a role for people": {
			func(in *Inspection) {
				in.Roles = []*jwtrole.Role{nomadRole(object{"role_type": "oidc", "bound_audiences": nil})}
			},
			nil,
		},
		"a role without audiences": {
			func(in *Inspection) {
				in.Roles = []*jwtrole.Role{nomadRole(object{"bound_audiences": []any{}, "bound_claims": object{"iss": "https://a"}})}
			},
			[]string{"role_audience error / workloads: no bound_audiences"},
		},
		"roles that can't be read": {
			func(in *Inspection) { in.Roles, in.RolesErr = nil, fmt.Errorf("list: %w", vaultsync.ErrForbidden) },
			[]string{"roles warning / : could not all be read"},
		},
		"a Nomad without oidc_issuer among two": {
			func(in *Inspection) { in.Discovered[1] = says("b", "", "west") },
			[]string{"no_issuer error b/ : every role of the mount asks for one: its logins are refused"},
		},
		"a Nomad without oidc_issuer among two, and a role that doesn't ask": {
			func(in *Inspection) {
				in.Discovered[1] = says("b", "", "west")
				in.Roles = append(in.Roles, nomadRole(object{"bound_claims": object{"sub": "west:*"}, "bound_claims_type": "glob"}))
			},
			[]string{"no_issuer warning b/ : a role can't tell its jobs from those of another cluster"},
		},
		"a Nomad without oidc_issuer, and roles that can't all be read": {
			func(in *Inspection) { in.Discovered[1], in.RolesErr = says("b", "", "west"), vaultsync.ErrForbidden },
			[]string{"no_issuer warning b/ : ", "roles warning / : "},
		},
		"a Nomad without oidc_issuer, and a role that asks": {
			func(in *Inspection) {
				in.Config, in.Clusters = config(trust("a", "k1")), []string{"a"}
				in.Discovered = []discover.Discovery{says("a", "")}
			},
			[]string{"no_issuer error a/ : its logins are refused"},
		},
		"a role bound on an iss that nobody has": {
			func(in *Inspection) { in.Roles[0] = nomadRole(object{"bound_claims": object{"iss": "https://a/"}}) },
			[]string{`role_nobody error / workloads: asks for an iss of "https://a/"`},
		},
		"a role bound on an iss that nobody says": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(object{"bound_claims": object{"iss": "https://a/"}})
				in.Discovered = in.Discovered[:1] // b is a file
			},
			nil,
		},
		"a role bound on an iss while one can't be asked": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(object{"bound_claims": object{"iss": "https://b"}})
				in.Discovered[1].Err, in.Discovered[1].Metadata = errDown, jwks.Metadata{}
			},
			[]string{"discovery warning b/ : "},
		},
		"a role bound on any iss": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(object{"bound_claims": object{"iss": "*"}, "bound_claims_type": "glob"})
				in.Discovered = nil
			},
			[]string{"role_issuer warning / workloads: "},
		},
		"a role bound on a star": {
			func(in *Inspection) { in.Roles[0] = nomadRole(object{"bound_claims": object{"iss": "*"}}) },
			[]string{"role_nobody error / workloads: ", `role_star error / workloads: is bound to "*" of iss, and Vault compares that * as it stands`},
		},
		"a role bound on a region as if it were a pattern": {
			func(in *Inspection) {
				in.Roles = []*jwtrole.Role{nomadRole(object{"bound_claims": object{"sub": []any{"east:default:x", "east:*"}, "/a": "*", "iss": "https://a"}})}
			},
			[]string{
				`role_star error / workloads: is bound to "*" of /a`,
				`role_star error / workloads: is bound to ["east:default:x", "east:*"] of sub`,
			},
		},
		"a role bound on a pattern beside what is no text": {
			func(in *Inspection) {
				in.Roles = []*jwtrole.Role{nomadRole(object{"bound_claims": object{"sub": "east:*", "a": true, "b": object{"c": "*"}}})}
			},
			[]string{"role_star error / workloads: of sub"},
		},
		"a role bound on a subject as if it were a pattern": {
			func(in *Inspection) {
				in.Roles = []*jwtrole.Role{nomadRole(object{"bound_subject": "east:*", "bound_claims_type": "glob"})}
			},
			[]string{`role_star error / workloads: has the bound_subject "east:*"`},
		},
		"a role for people, with a star": {
			func(in *Inspection) {
				in.Roles = []*jwtrole.Role{nomadRole(object{"role_type": "oidc", "bound_claims": object{"sub": "east:*"}})}
			},
			nil,
		},
		"a role bound on a pattern of both": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(object{"bound_claims": object{"iss": "https://*"}, "bound_claims_type": "glob"})
			},
			[]string{"role_issuer warning / workloads: "},
		},
		"a role bound on a pattern of one": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(object{"bound_claims": object{"iss": "https://a*"}, "bound_claims_type": "glob"})
			},
			nil,
		},
		"a Nomad without oidc_issuer": {
			func(in *Inspection) {
				in.Config, in.Clusters, in.Roles = config(trust("a", "k1")), []string{"a"}, nil
				in.Discovered = []discover.Discovery{says("a", "")}
			},
			[]string{"no_issuer note a/ : no role can be bound on it"},
		},
		"one issuer for two": {
			func(in *Inspection) { in.Discovered[1] = says("b", "https://a", "west") },
			[]string{`same_issuer warning b/ : the tokens of a and b have one iss, "https://a"`},
		},
		"one issuer for the regions of one": {
			func(in *Inspection) {
				in.Config, in.Clusters = config(trust("a/r1", "k1"), trust("a/r2", "k2")), []string{"a"}
				in.Discovered = []discover.Discovery{says("a/r1", "https://a"), says("a/r2", "https://a")}
			},
			nil,
		},
		"one region's name for two": {
			func(in *Inspection) { in.Discovered[1] = says("b", "https://b", "east") },
			[]string{`same_region warning b/ : a and b both have a region "east"`},
		},
		"a region whose name isn't known": {
			func(in *Inspection) {
				in.Discovered = []discover.Discovery{says("a", "https://a"), says("b", "https://b")}
			},
			nil,
		},
		"a cluster that isn't the mount's": {
			func(in *Inspection) { in.Discovered = append(in.Discovered, says("c", "https://a", "east")) },
			nil,
		},
		"a document that can't be read": {
			func(in *Inspection) { in.Discovered[1].Err, in.Discovered[1].Metadata = errDown, jwks.Metadata{} },
			[]string{"discovery warning b/ : i/o timeout"},
		},
		"no rotation": {
			func(in *Inspection) { in.Config = config(trust("a", "k1", month), trust("b", "k2")) },
			[]string{"rotation warning a/ : trusted for 32 days, and Nomad rotates after 30 days: the cluster still publishes it"},
		},
		"no rotation here": {
			func(in *Inspection) {
				in.Config = config(trust("a", "k1", month), trust("b", "k2"))
				in.Results[0] = publish("a", "k3")
			},
			[]string{"rotation warning a/ : harvest has not brought a newer one since"},
		},
		"no rotation of what can't be read": {
			func(in *Inspection) {
				in.Config = config(trust("a", "k1", month), trust("b", "k2"))
				in.Results[0] = down("a")
			},
			[]string{"rotation warning a/ : whether there is a newer one could not be read"},
		},
		"a file that is no longer brought": {
			func(in *Inspection) {
				in.Config, in.Discovered = config(trust("a", "k1", month), trust("b", "k2")), in.Discovered[1:]
			},
			[]string{"rotation warning a/ : its file or URL still holds it, and no newer one"},
		},
		"an old key of a cluster that isn't the mount's": {
			func(in *Inspection) { in.Config = config(trust("a", "k1"), trust("b", "k2"), trust("c", "k3", month)) },
			[]string{"unconfigured warning c/ : "},
		},
		"an old key beside a newer one": {
			func(in *Inspection) { in.Config = config(trust("a", "k1", month), trust("a", "k3"), trust("b", "k2")) },
			nil,
		},
		"a key in the hours after its day": {
			func(in *Inspection) {
				in.Config = config(trust("a", "k1", added(now.Add(-30*24*time.Hour-23*time.Hour))), trust("b", "k2"))
			},
			nil,
		},
		"a rotation that is said to take longer": {
			func(in *Inspection) {
				in.Config, in.Rotation = config(trust("a", "k1", month), trust("b", "k2")), 2160*time.Hour
			},
			nil,
		},
		"an issuer that doesn't rotate": {
			func(in *Inspection) {
				in.Config = config(trust("a", "k1", month), trust("b", "k2"))
				in.Discovered[0].Nomad = false
			},
			nil,
		},
		"keys of a cluster that is gone": {
			func(in *Inspection) {
				in.Config = config(trust("a", "k1"), trust("b", "k2"), trust("old", "k3"), trust("old/r", "k4"))
			},
			[]string{"unconfigured warning old/ : 2 keys of cluster old, which isn't configured for this mount, may log in"},
		},
		"namespaces on one alias": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(fixture.Changed(aliased, object{"bound_claims": object{"iss": "https://a"}}))
				in.Policies["p"] = templated
			},
			[]string{"role_alias warning / workloads: its policy p goes by nomad_namespace of that"},
		},
		"namespaces on one alias, and policies that can't be read": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(fixture.Changed(aliased, object{"bound_claims": object{"iss": "https://a"}}))
			},
			[]string{"role_alias warning / workloads: (the role's policies could not all be read)"},
		},
		"namespaces on one alias, and a policy of plain text": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(fixture.Changed(aliased, object{"bound_claims": object{"iss": "https://a"}}))
				in.Policies["p"] = `path "secret/data/prod/*" { capabilities = ["read"] }`
			},
			nil,
		},
		"namespaces on one alias, and a policy of what it tells": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(fixture.Changed(aliased, object{"bound_claims": object{"iss": "https://a"}}))
				in.Policies["p"] = strings.ReplaceAll(templated, "nomad_namespace", "nomad_job_id")
			},
			nil,
		},
		"one namespace on its alias": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(fixture.Changed(aliased, object{"bound_claims": object{"iss": "https://a", "/nomad_namespace": []any{"prod"}}}))
				in.Policies["p"] = templated
			},
			nil,
		},
		"two roles of one namespace each, on one alias": {
			func(in *Inspection) {
				in.Roles = nil
				for _, namespace := range []string{"prod", "sandbox"} {
					in.Roles = append(in.Roles, nomadRole(fixture.Changed(aliased, object{"bound_claims": object{"iss": "https://a", "nomad_namespace": namespace}})))
				}
				in.Policies["p"] = templated
			},
			[]string{"role_alias warning / workloads: ", "role_alias warning / workloads: "},
		},
		"namespaces apart": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(fixture.Changed(aliased, object{"bound_claims": object{"iss": "https://a"}, "user_claim": "sub"}))
				in.Policies["p"] = templated
			},
			nil,
		},
		"a user claim that Nomad's tokens don't have by themselves": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(fixture.Changed(aliased, object{"bound_claims": object{"iss": "https://a"}, "user_claim": "/extra_claims/unique_id"}))
				in.Policies["p"] = templated
			},
			nil,
		},
		"a policy of another mount": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(fixture.Changed(aliased, object{"bound_claims": object{"iss": "https://a"}, "user_claim": "sub"}))
				in.Policies["p"] = strings.ReplaceAll(templated, "auth_jwt_1", "auth_jwt_2")
			},
			[]string{"role_policy error / workloads: gives the policy p, which is templated on the mount with the accessor auth_jwt_2, and this one has auth_jwt_1"},
		},
		"leeways of minutes": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(object{"bound_claims": object{"iss": "https://a"}, "expiration_leeway": json.Number("301"), "clock_skew_leeway": json.Number("300")})
			},
			[]string{"role_leeway warning / workloads: grants expiration_leeway 5m1s"},
		},
		"a groups claim": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(object{"bound_claims": object{"iss": "https://a"}, "groups_claim": "g"})
			},
			[]string{`role_groups warning / workloads: has the groups_claim "g"`},
		},
		"a root policy": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(object{"bound_claims": object{"iss": "https://a"}, "user_claim": "sub", "token_policies": []any{"x", "root"}})
			},
			[]string{"role_root error / workloads: gives the policy root"},
		},
		"a policy of two mounts": {
			func(in *Inspection) {
				in.Roles[0] = nomadRole(fixture.Changed(aliased, object{"bound_claims": object{"iss": "https://a"}, "user_claim": "sub"}))
				in.Policies["p"] = templated + strings.ReplaceAll(templated, "auth_jwt_1", "auth_jwt_2")
			},
			nil,
		},
		"no clusters named": {
			func(in *Inspection) { in.Clusters, in.Roles = nil, []*jwtrole.Role{nomadRole(nil)} },
			[]string{"role_issuer warning / workloads: (a, b)"},
		},
		"errors come first": {
			func(in *Inspection) {
				in.Config = withField(config(trust("a", "k1"), trust("b", "k2"), trust("old", "k3")), "jwt_supported_algs", []any{"ES256", "EdDSA"})
				in.Roles = []*jwtrole.Role{nomadRole(nil), nomadRole(object{"bound_audiences": nil})}
			},
			[]string{"role_audience error / workloads: ", "role_issuer warning / workloads: ", "role_issuer warning / workloads: ", "unconfigured warning old/ : "},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := wellKept()
			test.change(&in)
			found, err := Inspect(in)
			require.NoError(t, err)
			require.Len(t, found, len(test.want), "%+v", found)
			for i, want := range test.want {
				head, part, _ := strings.Cut(want, ": ")
				p := found[i]
				assert.Equal(t, head, fmt.Sprintf("%s %s %s/%s %s", p.Lint, p.Severity, p.Cluster, p.Region, p.Role))
				assert.Contains(t, p.Message, part)
				assert.NotEmpty(t, p.Fix)
				if p.Lint == LintRoleAudience {
					assert.Contains(t, p.Fix, "vault write auth/jwt-nomad/role/workloads role_type=jwt bound_audiences=AUDIENCE")
				}
				if p.Lint == LintRoleIssuer && len(in.Discovered) > 0 && len(in.Clusters) > 1 {
					assert.Contains(t, p.Fix, `sub = "REGION:*" (east of a, west of b) with a role for each`)
				}
				if p.Lint == LintRoleAlias {
					assert.Contains(t, p.Fix, "vault write auth/jwt-nomad/role/workloads role_type=jwt user_claim=sub user_claim_json_pointer=false")
				}
				if p.Lint == LintRoleStar {
					assert.Contains(t, p.Fix, "bound_claims_type=glob")
				}
				assert.Contains(t, Lints, p.Lint)
			}
		})
	}
}

// What comes from a remote or from Vault is on one line, and can do nothing to a terminal.
func TestInspectHostile(t *testing.T) {
	in := wellKept()
	in.Config = withField(in.Config, "bound_issuer", "\x1b[2J\nhttps://a\u202e")
	in.Config = withField(in.Config, "jwt_supported_algs", []any{"\x1b[31mRS256\n"})
	in.RolesErr = errors.New("a\nb\x00")
	found, err := Inspect(in)
	require.NoError(t, err)
	require.NotEmpty(t, found)
	for _, p := range found {
		assert.Equal(t, text.Blank(p.Message), p.Message)
		assert.NotContains(t, p.Message+p.Fix, "\n")
	}
}

func TestInspectRefuses(t *testing.T) {
	in := wellKept()
	in.Now = time.Time{}
	_, err := Inspect(in)
	require.ErrorContains(t, err, "needs the time")

	in = wellKept()
	in.Config = mountconfig.New(object{"jwks_url": "https://x"})
	_, err = Inspect(in)
	require.ErrorIs(t, err, vaultsync.ErrNotStaticKeys)
}

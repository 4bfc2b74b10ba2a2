// Package verify tells whether Vault would take a token, and what is in the way.
package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/hint"
	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/mountconfig"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/vaultsync"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// Outcome is what came of comparing one thing.
type Outcome string

// Outcomes. The values are part of the JSON and don't change.
const (
	OutcomeOK   Outcome = "ok"   // Vault would let it pass
	OutcomeFail Outcome = "fail" // Vault would refuse the login
	OutcomeNote Outcome = "note" // a remark, or what wasn't compared
)

// Finding is one thing that Vault compares in a login.
type Finding struct {
	// Check is "mount", "role", "clock", "form", "key", "alg", "iss", "sub", "aud", "time",
	// "user_claim", "claim_mappings", "groups_claim", "bound_claims", "bound_cidrs", "entity" or
	// "policies".
	Check   string  `json:"check"`
	Outcome Outcome `json:"outcome"`
	Detail  string  `json:"detail"`        // what was compared; printable
	Fix     string  `json:"fix,omitempty"` // what to do about a fail
}

// Miss says why no trusted key verifies a token's signature.
type Miss string

// Misses. The values are part of the JSON and don't change.
const (
	MissNotTrusted Miss = "not_trusted" // a published key did that a sync would add
	MissTurnover   Miss = "turnover"    // a published key did, and a sync waits for the turnover to be allowed
	MissRefused    Miss = "refused"     // a published key did, or seems to have, that is denied, not pinned, retired or too weak
	MissElsewhere  Miss = "elsewhere"   // a published key did, of a cluster that the mount doesn't trust
	MissForged     Miss = "forged"      // the key that it names didn't: changed, cut off, forged, or two keys under one kid
	MissService    Miss = "service"     // its issuer made it for a service of its own, which alone can verify it
	MissUnknown    Miss = "unknown"     // nobody is known to have a key of that kid
)

// Verdict is whether Vault would take a token, and why.
type Verdict struct {
	// Accepted: nothing failed of what could be compared.
	Accepted bool `json:"accepted"`
	// Role is the name of the role; "" where there is none.
	Role string `json:"role"`
	// RoleChecked: the role's fields were compared too.
	RoleChecked bool `json:"role_checked"`
	// Key is the key that verifies the signature, the first in Vault's order; nil where none
	// does. Of a miss it is the published key that does, where there is one.
	Key *plan.Key `json:"key"`
	// Miss says why no trusted key does; "" where one does.
	Miss Miss `json:"miss,omitempty"`
	// Findings are in the order in which Vault compares.
	Findings []Finding `json:"findings"`
}

// Verification is a token and what it is to be compared with.
type Verification struct {
	Token *Token
	// Now is this machine's time. It must be set.
	Now time.Time
	// Skew is how far Vault's clock is ahead of this machine's: see [vaultapi.Session.Clock].
	// Vault's is judged by; less than two seconds aren't told from none.
	Skew time.Duration

	// Offline: there is no mount. The keys of Want.Results stand for the trusted ones, and
	// Config, Path and Role aren't used.
	Offline bool

	Config mountconfig.Config
	// Path is that of the mount, for the commands in a Fix.
	Path string
	// RoleName is the role that the login names; "" is the mount's default_role.
	RoleName string
	// Role is that role as it was read; nil where it could not be, and RoleErr says why.
	Role    *jwtrole.Role
	RoleErr error

	// Want is what the mount should trust, and may hold results of other clusters as well.
	// Without results the nearest miss is not looked for among published keys.
	Want plan.Desired
	// Issuers are what the tokens of clusters have as their iss, as far as it is known, by cluster.
	Issuers map[string]string
	// Options are the mount's rules, and Plan is what a sync would do by them; nil: nothing is said
	// of that.
	Options vaultsync.Options
	Plan    *plan.Plan
}

// effectiveRole returns the role of a login that names name, or none where it is "".
func effectiveRole(c mountconfig.Config, name string) string {
	if name == "" {
		name = c.DefaultRole()
	}
	return strings.ToLower(name)
}

// Verify says what Vault would answer to a login with a token, as its JWT method decides
// since 1.18 (vault-plugin-auth-jwt: path_login.go; cap: jwt.Validator). It goes on after a
// failure, so that all of them are on the list. It reads no clock and no network.
//
// Nothing in a Verdict quotes the token but its kid, alg and the values of claims that
// were compared, cleaned and cut. The error wraps [vaultsync.ErrNotStaticKeys], or says what is
// missing.
func Verify(v Verification) (*Verdict, error) {
	switch mode := v.Config.Mode(); {
	case v.Token == nil || v.Now.IsZero():
		return nil, errors.New("a verification needs a token and the time")
	case mode != "" && !v.Offline:
		return nil, fmt.Errorf("%w: %s is set, so that Vault looks for the key elsewhere", vaultsync.ErrNotStaticKeys, mode)
	}
	c := &verifier{Verification: v, out: &Verdict{Findings: []Finding{}}}
	if v.Offline {
		c.Config, c.Role = mountconfig.Config{}, nil
	} else {
		c.checkMount()
		c.checkClock()
		c.checkRole()
	}
	c.checkForm()
	c.checkKey()
	c.checkAlgorithm()
	c.checkIssuer()
	c.noteOtherIssuer()
	c.checkSubject()
	c.checkAudience()
	c.checkTimes()
	if c.Role != nil {
		c.checkUserClaim()
		c.noteAlias()
		c.checkMappings()
		c.checkGroups()
		c.checkBoundClaims()
		c.checkAddresses()
		c.checkEntity()
		c.checkPolicies()
	}
	c.out.Accepted = !slices.ContainsFunc(c.out.Findings, func(f Finding) bool { return f.Outcome == OutcomeFail })
	return c.out, nil
}

// verifier makes one Verdict.
type verifier struct {
	Verification
	out *Verdict
}

func (c *verifier) add(check string, outcome Outcome, fix, format string, args ...any) {
	c.out.Findings = append(c.out.Findings, Finding{check, outcome, fmt.Sprintf(format, args...), fix})
}

func (c *verifier) ok(check, format string, args ...any) {
	c.add(check, OutcomeOK, "", format, args...)
}

func (c *verifier) note(check, format string, args ...any) {
	c.add(check, OutcomeNote, "", format, args...)
}

func (c *verifier) fail(check, fix, format string, args ...any) {
	c.add(check, OutcomeFail, fix, format, args...)
}

func (c *verifier) checkMount() {
	if c.Config.IsZero() {
		c.fail("mount", "run harvest sync", "the mount was never configured: it trusts nobody")
	}
}

// measurable is what Session.Clock can tell from no difference.
const measurable = 2 * time.Second

func (c *verifier) checkClock() {
	if c.Skew.Abs() < measurable {
		return
	}
	way := "ahead of"
	if c.Skew < 0 {
		way = "behind"
	}
	c.Now = c.Now.Add(c.Skew)
	c.note("clock", "Vault's clock is %s %s this machine's; tokens are judged by Vault's", span(c.Skew.Abs()), way)
}

func (c *verifier) checkRole() {
	name := effectiveRole(c.Config, c.RoleName)
	c.out.Role = name
	switch {
	case name == "":
		c.fail("role", "name the login's role (-role NAME); Nomad's is that of the job's vault block, or create_from_role of the agents",
			"no role: the mount has no default_role, and Vault refuses a login that names none")
	case errors.Is(c.RoleErr, jwtrole.ErrNoRole):
		c.fail("role", fmt.Sprintf("`vault list auth/%s/role` shows those that there are", c.Path), "the mount has no role %s", vaultapi.Quote(name))
	case errors.Is(c.RoleErr, vaultsync.ErrForbidden):
		c.note("role", "role %q was not checked: Vault forbids it; that needs \"read\" on auth/%s/role/%s", name, c.Path, name)
	case c.RoleErr != nil:
		c.note("role", "role %q was not checked: %s", name, vaultapi.Clean(c.RoleErr.Error()))
	case c.Role == nil:
		c.note("role", "role %q was not checked", name)
	case c.Role.Text("role_type") == "oidc":
		c.out.RoleChecked = true
		c.fail("role", fmt.Sprintf("set role_type=jwt on auth/%s/role/%s", c.Path, name), "role %q is of role_type oidc, which takes no JWT", name)
	default:
		c.out.RoleChecked = true
		c.ok("role", "%s", name)
	}
}

func (c *verifier) checkForm() {
	if form := c.Token.Form; form != "" {
		c.note("form", "the token has %s: Vault 1.21 takes that, and another version may not; three parts with dots between them are safe", form)
	}
}

func (c *verifier) checkAlgorithm() {
	supported, alg := c.Config.Algorithms(), c.Token.Algorithm
	switch {
	case len(supported) == 0 && slices.Contains(vaultapi.Algorithms, alg):
		c.ok("alg", "%s", alg)
	case slices.Contains(supported, alg):
		c.ok("alg", "%s, one of jwt_supported_algs", alg)
	default:
		c.fail("alg", hint.StateAlgorithms(append(supported, alg)),
			"signed with %s, and jwt_supported_algs is [%s]", alg, vaultapi.Clean(strings.Join(supported, ", ")))
	}
}

// noteOtherIssuer tells of a token whose iss isn't that of the cluster whose key signed it. Vault
// compares it with bound_issuer alone.
func (c *verifier) noteOtherIssuer() {
	if c.out.Key == nil {
		return
	}
	known, have := c.Issuers[c.out.Key.Cluster], c.Token.Issuer
	if known == "" || have == known || slices.Contains(jwtrole.Alternatives(known), have) {
		return
	}
	said := "the token has no iss"
	if have != "" {
		said = "iss is " + vaultapi.Quote(have)
	}
	c.note("iss", "%s, and the issuer of %s, whose key signed it, is %s in the configuration: one of them is wrong, or two issuers share the key",
		said, vaultapi.Quote(c.out.Key.Cluster), vaultapi.Quote(known))
}

func (c *verifier) checkIssuer() {
	switch want, have := c.Config.BoundIssuer(), c.Token.Issuer; {
	case want == "" && have == "":
		c.ok("iss", "none, and none is asked for")
	case want == "" && c.Offline:
		c.note("iss", "%s", vaultapi.Quote(have))
	case want == "":
		c.ok("iss", "%s; bound_issuer isn't set", vaultapi.Quote(have))
	case want == have:
		c.ok("iss", "%s, which is bound_issuer", vaultapi.Quote(have))
	case have == "":
		fix := hint.ClearBoundIssuer
		if c.ofNomad() {
			fix = "set oidc_issuer in the server block of every server of the cluster, or " + fix
		}
		c.fail("iss", fix, "the token has no iss, and bound_issuer is %s", vaultapi.Quote(want))
	default:
		c.fail("iss", "a mount with bound_issuer takes one issuer: log in at this issuer's own mount, or "+hint.ClearBoundIssuer,
			"iss is %s, and bound_issuer is %s", vaultapi.Quote(have), vaultapi.Quote(want))
	}
}

package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jwksharvest/harvest/internal/jwtrole"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
)

func (c *verifier) checkSubject() {
	have, want := c.Token.Subject, ""
	if c.Role != nil {
		want = c.Role.Text("bound_subject")
	}
	switch {
	case want == "" && have != "":
		c.note("sub", "%s%s", vaultapi.Quote(have), c.regionHint())
	case want == "":
	case want == have:
		c.ok("sub", "%s, which is bound_subject", vaultapi.Quote(have))
	default:
		c.fail("sub", "bound_subject takes one subject: log in with that role from that workload alone, or change the role",
			"sub is %s, and bound_subject is %s", vaultapi.Quote(have), vaultapi.Quote(want))
	}
}

func (c *verifier) checkAudience() {
	have := c.Token.Audience
	if c.Role == nil {
		c.note("aud", "%s; not compared without the role", vaultapi.QuoteList(have))
		return
	}
	bound := c.Role.List("bound_audiences")
	fix := c.Role.Command(c.Path, "bound_audiences="+audiences(append(slices.Clone(bound), have...)))
	switch {
	case slices.ContainsFunc(bound, func(b string) bool { return slices.Contains(have, b) }):
		c.ok("aud", "%s, of bound_audiences %s", vaultapi.QuoteList(have), vaultapi.QuoteList(bound))
	case len(bound) > 0:
		where := "where the token is asked for"
		if c.ofNomad() {
			where = "aud in the job's identity block, or default_identity of the agents"
		}
		c.fail("aud", fmt.Sprintf("sign it for %s (%s), or take it: %s", vaultapi.Quote(bound[0]), where, fix),
			"aud is %s, and bound_audiences is %s", vaultapi.QuoteList(have), vaultapi.QuoteList(bound))
	case c.hasAudience():
		c.fail("aud", fix, "aud is %s, and the role has no bound_audiences: Vault takes a token with an audience only where it is bound (before 1.17 anywhere)", vaultapi.QuoteList(have))
	default:
		c.ok("aud", "none, and none is bound")
	}
}

// hasAudience is Vault's test for a role without bound_audiences, which reads "aud" by its
// very name.
func (c *verifier) hasAudience() bool {
	switch aud := c.Token.Claims["aud"].(type) {
	case []any:
		return len(aud) > 0
	case string:
		return aud != ""
	}
	return false
}

// plainWord is what may stand in a command for somebody to copy: anyone
// may have written the claims of a token.
var plainWord = text.Pattern(`^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$`)

// audiences returns a comma-separated list without repetitions.
func audiences(list []string) string {
	var words []string
	for _, word := range list {
		if !plainWord().MatchString(word) {
			word = "AUDIENCE"
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ",")
}

// leeway returns a role's leeway: 0 is the default, and a negative one is none.
func (c *verifier) leeway(field string, usual time.Duration) time.Duration {
	if c.Role == nil {
		return usual
	}
	switch d := c.Role.Seconds(field); {
	case d == 0:
		return usual
	case d < 0:
		return 0
	default:
		return d
	}
}

// checkTimes does as cap's Validator does. The leeways for exp and nbf only fill in for a
// claim that is missing; to those that are there, the clocks' alone is granted.
func (c *verifier) checkTimes() {
	exp, nbf, iat := c.Token.Expiry, c.Token.NotBefore, c.Token.IssuedAt
	if exp.IsZero() && nbf.IsZero() && iat.IsZero() {
		c.fail("time", "the issuer must set exp", "the token has none of exp, nbf and iat, and Vault wants one")
		return
	}
	given := exp
	if exp.IsZero() {
		latest := numeric(iat)
		if numeric(nbf) > latest {
			latest = numeric(nbf)
		}
		exp = time.Unix(latest+int64(c.leeway("expiration_leeway", jwtrole.DefaultTimeLeeway).Seconds()), 0)
	}
	switch {
	case !nbf.IsZero():
	case !iat.IsZero():
		nbf = iat
	default:
		nbf = time.Unix(exp.Unix()-int64(c.leeway("not_before_leeway", jwtrole.DefaultTimeLeeway).Seconds()), 0)
	}
	skew := c.leeway("clock_skew_leeway", jwtrole.DefaultClockLeeway)
	const clocks = "compare the clocks of the signer and of Vault (NTP), or raise the role's clock_skew_leeway"
	before := len(c.out.Findings)
	if c.Now.Add(skew).Before(nbf) {
		c.fail("time", clocks, "not valid before %s, %s from now, beyond the %s that are allowed for clocks", stamp(nbf), span(nbf.Sub(c.Now)), span(skew))
	}
	if c.Now.Add(-skew).After(exp) {
		fix := "log in with a fresh one"
		if c.ofNomad() {
			fix += ": Nomad renews the file before it expires, so look for a copy of it, or a task that no longer runs"
		}
		text := fmt.Sprintf("expired at %s, %s ago, beyond the %s that are allowed for clocks", stamp(exp), span(c.Now.Sub(exp)), span(skew))
		if given.IsZero() {
			fix, text = "the issuer must set exp, or raise the role's expiration_leeway", "it has no exp, and so "+text
		}
		c.fail("time", fix, "%s", text)
	}
	if c.Now.Add(skew).Before(iat) && !iat.Equal(nbf) {
		c.fail("time", clocks, "issued at %s, %s from now, beyond the %s that are allowed for clocks", stamp(iat), span(iat.Sub(c.Now)), span(skew))
	}
	if len(c.out.Findings) > before {
		return
	}
	switch {
	case c.Now.After(exp):
		c.ok("time", "expired %s ago, within the %s that are allowed for clocks", span(c.Now.Sub(exp)), span(skew))
	case given.IsZero():
		c.ok("time", "it has no exp; it counts as expired at %s, in %s", stamp(exp), span(exp.Sub(c.Now)))
	default:
		c.ok("time", "expires at %s, in %s", stamp(exp), span(exp.Sub(c.Now)))
	}
}

// numeric returns a claim's number, 0 where there is none.
func numeric(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// span returns a duration in whole seconds.
func span(d time.Duration) string { return d.Round(time.Second).String() }

// checkUserClaim is createIdentity's: the claim that becomes the name of the entity's alias.
func (c *verifier) checkUserClaim() {
	name := c.Role.Text("user_claim")
	value := c.Token.Claims[name]
	if c.Role.Flag("user_claim_json_pointer") {
		value = findClaim(c.Token, name)
	}
	fix := c.Role.Command(c.Path, "user_claim=CLAIM")
	if !c.Role.Flag("user_claim_json_pointer") && findClaim(c.Token, name) != nil {
		fix = c.Role.Command(c.Path, "user_claim_json_pointer=true")
	}
	switch text, ok := value.(string); {
	case value == nil:
		c.fail("user_claim", fix, "the token has no claim %s, which user_claim asks for", vaultapi.Quote(name))
	case !ok:
		c.fail("user_claim", fix, "claim %s, which user_claim asks for, is no text", vaultapi.Quote(name))
	case text == "":
		c.fail("user_claim", fix, "claim %s, which user_claim asks for, is empty", vaultapi.Quote(name))
	default:
		c.ok("user_claim", "%s is %s", vaultapi.Clean(name), vaultapi.Quote(text))
	}
}

func (c *verifier) checkMappings() {
	mappings := c.Role.Map("claim_mappings")
	for _, name := range slices.Sorted(maps.Keys(mappings)) {
		if value := findClaim(c.Token, name); value != nil {
			if _, ok := value.(string); !ok {
				c.fail("claim_mappings", "take it off claim_mappings", "claim %s is no text, and claim_mappings copies texts alone", vaultapi.Quote(name))
			}
		}
	}
}

func (c *verifier) checkGroups() {
	if c.Role.Text("groups_claim") == "" {
		return
	}
	name := c.Role.Text("groups_claim")
	value := findClaim(c.Token, name)
	groups, ok := jwtrole.ListOf(value)
	isText := func(v any) bool { _, ok := v.(string); return ok }
	switch {
	case value == nil:
		c.fail("groups_claim", c.Role.Command(c.Path, "groups_claim="), "the token has no claim %s, which groups_claim asks for", vaultapi.Quote(name))
	case !ok || slices.ContainsFunc(groups, func(v any) bool { return !isText(v) }):
		c.fail("groups_claim", c.Role.Command(c.Path, "groups_claim="), "claim %s, which groups_claim asks for, is no list of texts", vaultapi.Quote(name))
	default:
		c.ok("groups_claim", "%s, of %d", vaultapi.Clean(name), len(groups))
	}
}

func (c *verifier) checkBoundClaims() {
	bound := c.Role.Map("bound_claims")
	useGlobs := c.Role.UsesGlobs()
	const fix = "log in from a workload that it is bound to, or change the role's bound_claims"
	for _, name := range slices.Sorted(maps.Keys(bound)) {
		value := findClaim(c.Token, name)
		have, haveOK := jwtrole.ListOf(value)
		want, wantOK := jwtrole.ListOf(bound[name])
		switch {
		case value == nil:
			c.fail("bound_claims", fix, "the token has no claim %s, and it is bound to %s", vaultapi.Quote(name), vaultapi.QuoteValues(want))
		case !haveOK || !wantOK:
			c.fail("bound_claims", fix, "claim %s: neither text, boolean, number nor a list on both sides", vaultapi.Quote(name))
		case jwtrole.Matches(want, have, useGlobs):
			c.ok("bound_claims", "%s is %s, bound to %s", vaultapi.Clean(name), vaultapi.QuoteValues(have), vaultapi.QuoteValues(want))
		default:
			fix, text := fix, fmt.Sprintf("claim %s is %s, and it is bound to %s", vaultapi.Quote(name), vaultapi.QuoteValues(have), vaultapi.QuoteValues(want))
			if why, mend := unlike(have, want, useGlobs); why != "" {
				text, fix = text+": "+why, mend
			}
			c.fail("bound_claims", fix, "%s", text)
		}
	}
}

// unlike tells why values that look alike don't match, and what to do: "" where none do.
func unlike(have, want []any, useGlobs bool) (why, fix string) {
	const again = "write the role again, with JSON whose bound_claims have what the token has: "
	for _, h := range have {
		for _, w := range want {
			switch {
			case fmt.Sprint(h) != fmt.Sprint(w):
			case kindOf(h) != kindOf(w):
				return fmt.Sprintf("the token has %s, the role %s, and Vault compares kinds too", kindOf(h), kindOf(w)), again + vaultapi.QuoteValues([]any{h})
			case useGlobs:
				return "under bound_claims_type=glob Vault compares texts alone", "write the role again with bound_claims_type=string"
			default:
				return "Vault never matches a number in a list", "bind another claim, or have the issuer write a text or no list"
			}
		}
	}
	return "", ""
}

func (c *verifier) checkAddresses() {
	if list := c.Role.List("token_bound_cidrs"); len(list) > 0 {
		c.note("bound_cidrs", "the login must come from one of %s", vaultapi.QuoteList(list))
	}
}

// checkEntity tells of what a login depends on and can't be seen by the mount's paths.
func (c *verifier) checkEntity() {
	c.note("entity", "not seen: Vault also refuses the login where the entity of this name is disabled, or has the policy root, by itself or by a group")
}

// unassignable are the policies that no login gets (LoginCreateToken in Vault's core).
var unassignable = []string{"root", "response-wrapping", "control-group"}

func (c *verifier) checkPolicies() {
	for _, policy := range c.Role.List("token_policies") {
		if policy = strings.ToLower(strings.TrimSpace(policy)); slices.Contains(unassignable, policy) {
			c.fail("policies", fmt.Sprintf("take it off token_policies of auth/%s/role/%s", c.Path, c.Role.Name),
				"the role has the policy %s, with which Vault lets no auth method issue a token", policy)
		}
	}
}

package verify

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/jwksharvest/harvest/internal/rule"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/internal/vaultapi"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync/plan"
)

// checkKey looks for the key as Vault does: each trusted key in turn, whatever its kid.
func (c *verifier) checkKey() {
	if c.Offline {
		c.checkPublished()
		return
	}
	elements := c.Config.Elements()
	for _, t := range elements {
		if t.Opaque || !c.Token.verifiedBy(t.Block.Public) {
			continue
		}
		key := t.Key("")
		c.out.Key = &key
		c.ok("key", "signed by %s, trusted", keyName(key))
		c.remarkOn(t)
		return
	}
	if n := c.unreadable(elements); n > 0 {
		c.note("key", "%d of the trusted elements %s no key that can be read here, and could not be tried", n, text.Form(n, "holds", "hold"))
	}
	c.nearestMiss(elements)
}

func (c *verifier) unreadable(elements []plan.Element) (n int) {
	for _, t := range elements {
		if t.Opaque {
			n++
		}
	}
	return n
}

// remarkOn says what may be wrong with a key all the same.
func (c *verifier) remarkOn(t plan.Element) {
	a := t.Block.Annotation
	if a.KeyID != "" && a.KeyID != c.Token.KeyID {
		c.note("key", "the token names kid %s; Vault passes over that", c.kid())
	}
	switch {
	case t.Foreign():
		c.note("key", "the key is foreign: no cluster is known to have published it")
	case c.denies(t.Fingerprint):
		c.note("key", "the key is denied: the next sync removes it")
	case !a.Missing.IsZero():
		c.note("key", "no longer published since %s; in its retention period", stamp(a.Missing))
	}
	if c.Plan != nil && !c.denies(t.Fingerprint) && hasKey(c.Plan.Remove, t.Fingerprint) {
		c.note("key", "no longer published: the next sync removes it")
	}
}

// denies reports whether the next sync removes a key wherever it is.
func (c *verifier) denies(f pem.Fingerprint) bool { return slices.Contains(c.Options.Deny, f) }

func hasKey(keys []plan.Key, f pem.Fingerprint) bool {
	return slices.ContainsFunc(keys, func(k plan.Key) bool { return k.Fingerprint == f })
}

// keyName returns a key as people are told of it.
func keyName(k plan.Key) string {
	name := "kid " + vaultapi.KeyID(k.KeyID)
	if k.KeyID == "" {
		name = "a key without a kid"
	}
	if k.Cluster != "" {
		name += " of " + k.Owner.String()
	}
	return name + " (" + k.Fingerprint.Short() + ")"
}

// kid returns the one that the token names.
func (c *verifier) kid() string {
	if c.Token.KeyID == "" {
		return "(none)"
	}
	return vaultapi.KeyID(c.Token.KeyID)
}

// checkPublished looks for the key in a key set alone.
func (c *verifier) checkPublished() {
	key, ok, refusal := c.signer()
	switch {
	case !ok:
		c.missed(nil)
		return
	case refusal != nil:
		c.out.Miss = MissRefused
		c.fail("key", fixWeak, "signed by %s, published, and not to be trusted: %s", keyName(key), vaultapi.Clean(refusal.Error()))
	default:
		c.ok("key", "signed by %s, published", keyName(key))
	}
	c.out.Key = &key
}

// fixWeak is what to do about a key that is published and must not be trusted.
const fixWeak = "let the cluster rotate its keys; this one must not be trusted"

// signer returns the published key that signed the token, if there is one, and why it must not be
// trusted, if so.
func (c *verifier) signer() (key plan.Key, ok bool, refusal error) {
	for _, r := range c.Want.Results {
		if r.Set == nil {
			continue
		}
		for _, k := range r.Set.Keys {
			if c.Token.verifiedBy(k.Public) {
				return publishedAs(r, k), true, jwks.Judge(k)
			}
		}
	}
	return plan.Key{}, false, nil
}

func publishedAs(r jwks.Result, k jwks.Key) plan.Key {
	f, _ := pem.FingerprintOf(k.Public) // that of a key that verified a signature exists
	a := pem.Annotation{Cluster: r.Cluster, Region: r.Region, KeyID: k.KeyID, Algorithms: k.Algorithms}
	return plan.Element{Block: pem.Block{Public: k.Public, Annotation: a}, Fingerprint: f}.Key("")
}

// nearestMiss says which published key signed the token, and what keeps it from being
// trusted.
func (c *verifier) nearestMiss(elements []plan.Element) {
	key, ok, refusal := c.signer()
	if !ok {
		c.missed(elements)
		return
	}
	c.out.Key = &key
	published := fmt.Sprintf("signed by kid %s, published by %s", vaultapi.KeyID(key.KeyID), key.Owner)
	miss := func(m Miss, fix, why string) {
		c.out.Miss = m
		c.fail("key", fix, "%s, %s", published, why)
	}
	switch {
	case !slices.Contains(c.Want.Clusters, key.Cluster):
		miss(MissElsewhere, "if it may log in here, add it to the mount's clusters and run harvest sync", "a cluster that this mount isn't to trust")
	case rule.Names(c.Options.Retired, key.Owner):
		miss(MissRefused, "take it off retired, if it is in use again, and run harvest sync", "which is retired on this mount")
	case c.denies(key.Fingerprint):
		miss(MissRefused, "log in with a token of another key; this one may have been denied for a reason", "and denied")
	case !rule.Pins(c.Options.Pin, key.Cluster, key.Fingerprint):
		miss(MissRefused, fmt.Sprintf("if it is the cluster's own, add %s to its pins and run harvest sync", key.Fingerprint), "and not one of the keys that it is pinned to")
	case refusal != nil:
		miss(MissRefused, fixWeak, "and not to be trusted: "+vaultapi.Clean(refusal.Error()))
	case c.Plan != nil && turnedOver(c.Plan, key):
		miss(MissTurnover, "if these are the cluster's new keys, run harvest sync -allow-turnover="+key.Cluster,
			"not yet trusted: all of its keys are others than those that the mount trusts for it")
	case c.Plan != nil && waits(c.Plan, key):
		miss(MissNotTrusted, "make room: harvest plan says what takes it", "which waits, because the mount has no room for it")
	default:
		miss(MissNotTrusted, "run harvest sync", "not yet trusted")
	}
}

func turnedOver(planned *plan.Plan, key plan.Key) bool {
	return slices.ContainsFunc(planned.Failed, func(f plan.Failure) bool {
		return f.Cluster == key.Cluster && f.Region == key.Region && errors.Is(f.Err, plan.ErrTurnover)
	})
}

func waits(planned *plan.Plan, key plan.Key) bool {
	return slices.ContainsFunc(planned.Skipped, func(k plan.Key) bool { return k.Fingerprint == key.Fingerprint && k.Reason == plan.ReasonNoRoom })
}

// missed deals with a token that no known key signed: the kid is all that is left to go by.
func (c *verifier) missed(elements []plan.Element) {
	c.out.Miss = MissUnknown
	for _, r := range c.Want.Results {
		owner := pem.Owner{Cluster: r.Cluster, Region: r.Region}
		for _, k := range skippedKeys(r) {
			if c.Token.KeyID != "" && k.KeyID == c.Token.KeyID {
				c.out.Miss = MissRefused
				c.fail("key", fixWeak,
					"it names kid %s, which %s publishes, and which is refused: %s: %s", c.kid(), ownerName(owner), k.Reason, k.Detail)
				return
			}
		}
	}
	if c.Token.Nonce && ofMicrosoft(c.Token.Issuer) {
		c.out.Miss = MissService
		c.fail("key", "ask for a token for an application of your own (a scope of api://…), not for Microsoft Graph",
			"made for a service of Microsoft's own: its header has a nonce, which is hashed before the token is signed, and nobody else can verify it")
		return
	}
	if name, ok := c.named(elements); ok {
		c.out.Miss = MissForged
		c.fail("key", "log in with the token as the cluster gave it; if it is, two keys have one kid, or somebody forges tokens",
			"it names %s, which didn't sign it: it was changed or cut off, or is forged", name)
		return
	}
	fix := "it is of another cluster, or its key was dropped: log in with a fresh token"
	said := "no key that is trusted signed it; it names kid " + c.kid()
	switch {
	case c.Offline:
		said = "no key that is published signed it; it names kid " + c.kid()
	case len(c.Want.Results) > 0:
		said = fmt.Sprintf("no key that is trusted signed it, and kid %s isn't published by a cluster that was read", c.kid())
	default:
		fix = "name its cluster (-cluster and its address, or -config FILE) to learn whether it publishes the key"
	}
	c.fail("key", fix, "%s%s", said, c.regionHint())
	for _, r := range c.Want.Results {
		if r.Err != nil {
			c.note("key", "could not be read: %s", vaultapi.Clean(r.Err.Error()))
		}
	}
}

func skippedKeys(r jwks.Result) []*jwks.KeyError {
	if r.Set != nil {
		return r.Set.Skipped
	}
	if none, ok := errors.AsType[*jwks.NoKeysError](r.Err); ok {
		return none.Skipped
	}
	return nil
}

// named returns the known key of the token's kid.
func (c *verifier) named(elements []plan.Element) (string, bool) {
	if c.Token.KeyID == "" {
		return "", false
	}
	for _, t := range elements {
		if t.Block.Annotation.KeyID == c.Token.KeyID {
			return keyName(t.Key("")) + ", trusted", true
		}
	}
	for _, r := range c.Want.Results {
		if r.Set == nil {
			continue
		}
		for _, k := range r.Set.Keys {
			if k.KeyID == c.Token.KeyID {
				return keyName(publishedAs(r, k)) + ", published", true
			}
		}
	}
	return "", false
}

func ownerName(o pem.Owner) string {
	if o.Cluster == "" {
		return "the key set"
	}
	return o.String()
}

// ofMicrosoft reports whether an issuer is Entra, in one of its clouds and either version of its
// tokens.
func ofMicrosoft(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && slices.Contains([]string{
		"sts.windows.net", "login.microsoftonline.com", "login.microsoftonline.us", "sts.chinacloudapi.cn", "login.partner.microsoftonline.cn",
	}, u.Host)
}

// ofNomad reports whether a token says that a Nomad made it.
func (c *verifier) ofNomad() bool {
	_, inNamespace := c.Token.Claims["nomad_namespace"].(string)
	_, inJob := c.Token.Claims["nomad_job_id"].(string)
	return inNamespace && inJob
}

// regionHint says which Nomad region a token is of, by what it says of itself: the subject of
// a workload identity is region:namespace:job:group:task:identity.
func (c *verifier) regionHint() string {
	parts := strings.Split(c.Token.Subject, ":")
	if len(parts) < 6 || parts[0] == "" || !c.ofNomad() {
		return ""
	}
	return fmt.Sprintf(" (by its sub, of Nomad region %s)", vaultapi.Quote(parts[0]))
}

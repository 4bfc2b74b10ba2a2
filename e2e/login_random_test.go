//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakenomad"
	"github.com/jwksharvest/harvest/pem"
)

// TestVerdictsAgreeOnRandomPairs: 250 tokens and roles that were put together at random, each field
// from values at the edges of what Vault takes.
func TestVerdictsAgreeOnRandomPairs(t *testing.T) {
	const pairs, path = 250, "jwt-random"
	key := fakenomad.NewKey("RS256")
	element, err := pem.Encode(key.Public())
	require.NoError(t, err)
	c := enable(t, vault, path, nil)
	random := rand.New(rand.NewPCG(14, 13))
	now := time.Now().Unix()
	strange := []any{nil, "prod", "Prod", "", "*", "pr*", "p?od", "a,b", " prod", "prod\n", "ünï", 0, 1, 1.5, 1e21, -1, true, false,
		[]any{}, []any{"prod"}, []any{"x", "prod"}, []any{1, true}, []any{nil}, object{}, object{"a": "prod", "0": "z"}, object{"a/b": "prod"}}
	names := []string{"nomad_namespace", "/nomad_namespace", "x", "/x", "/x/0", "/x/a", "/x/a~1b", "/x/-", "/x/01", "x/a", "/", "//x", "aud", "iss", "sub", "exp", "/aud/0"}
	times := []any{nil, now, now - 10, now + 10, now - 149, now - 151, now + 59, now + 61, now - 3600, now + 3600, 0, -1, 1e12, float64(now) + 0.5}
	auds := []any{nil, "vault.io", "Vault.io", "other", "", []any{}, []any{"vault.io"}, []any{"other", "vault.io"}, []any{""}}
	one := func(values []any) any { return values[random.IntN(len(values))] }
	rarely := func(n int, do func()) {
		if random.IntN(n) == 0 {
			do()
		}
	}
	name := func() string { return names[random.IntN(len(names))] }
	in, out, refused := 0, 0, 0
	for i := range pairs {
		claims := object{"aud": "vault.io", "iat": now, "nbf": now, "exp": now + 3600, "sub": "a:b", "nomad_namespace": "prod", "x": one(strange)}
		role := object{"role_type": "jwt", "bound_audiences": []string{"vault.io"}, "user_claim": "sub", "token_policies": "default"}
		config := object{"jwt_validation_pubkeys": []string{string(element)}}
		for _, claim := range []string{"exp", "nbf", "iat"} {
			rarely(6, func() { claims[claim] = one(times) })
		}
		rarely(5, func() { claims["aud"] = one(auds) })
		rarely(6, func() { claims["sub"] = one(strange) })
		rarely(6, func() { claims["iss"] = one([]any{"https://a", "https://A", "https://a/", "", 1}) })
		rarely(5, func() { claims["nomad_namespace"] = one(strange) })
		rarely(5, func() {
			role["bound_audiences"] = one([]any{[]string{}, []string{"other"}, []string{"vault.io", "other"}, []string{" vault.io "}})
		})
		rarely(6, func() { role["bound_subject"] = one([]any{"a:b", "A:b", "a:*", "prod"}) })
		rarely(2, func() {
			bound := object{name(): one(strange[1:])}
			rarely(3, func() { bound[name()] = one(strange[1:]) })
			role["bound_claims"], role["bound_claims_type"] = bound, one([]any{"string", "glob"})
		})
		rarely(3, func() { role["claim_mappings"] = object{name(): "a", name(): "b"} })
		rarely(4, func() { role["groups_claim"] = name() })
		rarely(4, func() { role["user_claim"], role["user_claim_json_pointer"] = name(), random.IntN(2) == 0 })
		for _, leeway := range []string{"expiration_leeway", "not_before_leeway", "clock_skew_leeway"} {
			rarely(6, func() { role[leeway] = one([]any{-1, 0, 1, 3600}) })
		}
		rarely(6, func() { config["bound_issuer"] = one([]any{"https://a", ""}) })
		rarely(6, func() { config["jwt_supported_algs"] = one([]any{[]string{"RS256"}, []string{"ES256"}, []string{}}) })
		for claim, value := range claims {
			if value == nil && random.IntN(2) == 0 {
				delete(claims, claim)
			}
		}
		writeConfig(t, c, path, config)
		roleName := fmt.Sprint("r", i)
		if _, err := c.Logical().Write("auth/"+path+"/role/"+roleName, role); err != nil {
			refused++
			continue
		}
		token := fakenomad.Sign(key, claims)
		_, err := c.Logical().Write("auth/"+path+"/login", object{"role": roleName, "jwt": token})
		code, failed := verdictOf(t, token, "-mount", path, "-role", roleName)
		if err == nil {
			in++
		} else {
			out++
		}
		assert.Equal(t, err == nil, code == 0, "pair %d: Vault: %v; failed: %v\nclaims %v\nrole %v\nconfig %v", i, err, failed, claims, role, config["bound_issuer"])
	}
	t.Logf("%d let in, %d refused, %d roles not taken", in, out, refused)
}

package main

import (
	"crypto/sha256"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// examplePage is the page that the documentation shows: every state there is.
func examplePage() facts {
	const vault, eu = "https://vault.example.com:8200", "https://vault.eu.example.com:8200"
	added := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	key := func(state keyState, cluster, region, kid string, age time.Duration, reason string) shownKey {
		return shownKey{
			source: sourceID{cluster, region}, kid: kid, alg: "RS256", reason: reason, added: added(age), state: state,
			fingerprint: sha256.Sum256([]byte(kid)), trusted: state != statePending && state != stateSkipped && state != stateDenied,
		}
	}
	unannotated := key(stateForeign, "", "", "", 0, `nobody's; kept, because foreign = "warn"`)
	unannotated.added = time.Time{}
	pending := key(statePending, "eu-west", "", "0d4f7c52-8a1b-4b0e-9c55-1f2e8d7a6b3c", 0, "published, not yet trusted")
	pending.added = time.Time{}
	skipped := key(stateSkipped, "us-east", "us-east-2", "ed7f0c11-53a9-47d8-8e64-0c9b1a2d3e4f", 0, "weak: RSA modulus of 1024 bits")
	skipped.added = time.Time{}
	denied := key(stateDenied, "eu-west", "", "77b0e5d3-2c6a-4f18-a9e1-5d4c3b2a1908", 0, "denied")
	denied.added = time.Time{}
	edge := []shownKey{key(stateTrusted, "edge", "", "b45c9a02-6d3e-4e7f-8a9b-0c1d2e3f4a5b", 26*day, "kept: edge could not be read")}
	refused := lastError{"GET https://nomad.edge.example.com:4646/.well-known/jwks.json: dial tcp 198.51.100.7:4646: i/o timeout", added(4 * time.Minute)}
	return facts{
		watching: true,
		clusters: []clusterFacts{
			{source: sourceID{"us-east", "us-east-1"}, kind: kindNomad, read: added(12 * time.Second), published: 2},
			{source: sourceID{"us-east", "us-east-2"}, kind: kindNomad, read: added(31 * time.Second), published: 1, skipped: 1},
			{source: sourceID{cluster: "eu-west"}, kind: kindNomad, read: added(8 * time.Second), published: 3, last: lastError{"503 no cluster leader", added(5 * time.Hour)}},
			{source: sourceID{cluster: "edge"}, kind: kindNomad, read: added(47 * time.Minute), published: 1, failing: true, last: refused},
			{source: sourceID{cluster: "eks"}, kind: kindIssuer, read: added(44 * time.Second), published: 1},
		},
		mounts: []mountFacts{
			{
				id: mountID{vault, "", "jwt-nomad"}, clusters: []string{"us-east", "edge"}, synced: added(47 * time.Minute), known: true, partial: true,
				repaired: 1, warnings: []string{"1 of the trusted keys is no cluster's: whoever holds a private half of one can log in"},
				keys: shownKeys{list: append(edge,
					key(stateTrusted, "us-east", "us-east-1", "80ef5b3f-1c2d-4a5b-9e8f-7a6b5c4d3e2f", 3*time.Hour, ""),
					key(stateTrusted, "us-east", "us-east-1", "3f0fccd0-9b8a-4c7d-8e6f-5a4b3c2d1e0f", 18*day, ""),
					key(stateTrusted, "us-east", "us-east-2", "a04326cf-7e6d-4f5c-8b4a-392817065f4e", 33*day, ""),
					key(stateRetained, "us-east", "us-east-2", "fd33f64f-0a1b-4c2d-9e3f-4a5b6c7d8e9f", 63*day, "no longer published; retained until 2026-11-22T12:40:00Z"),
					key(stateClaimed, "ap-south", "", "5e6f7a8b-9c0d-4e1f-a2b3-c4d5e6f7a8b9", 9*day, "of a cluster that isn't this mount's here"),
					skipped, unannotated,
				)},
			},
			{
				id: mountID{eu, "team-a", "jwt-nomad"}, clusters: []string{"eu-west"}, synced: added(20 * time.Minute), known: true, failing: true,
				last: lastError{"writing the configuration: 503 Vault is sealed", added(90 * time.Second)},
				keys: shownKeys{list: []shownKey{
					key(stateTrusted, "eu-west", "", "1b2c9f40-5d6e-4f7a-8b9c-0d1e2f3a4b5c", 30*time.Minute, ""),
					key(stateOutgoing, "eu-west", "", "c0ffee12-3456-4789-abcd-ef0123456789", 45*day, "no longer published"), pending, denied,
				}},
			},
			{
				id: mountID{eu, "team-b", "jwt-eks"}, clusters: []string{"eks"}, synced: added(2 * time.Minute), known: true, inSync: true,
				keys: shownKeys{list: []shownKey{key(stateTrusted, "eks", "", "9d8c7b6a-5f4e-4d3c-b2a1-908f7e6d5c4b", 100*day, "")}},
			},
		},
	}
}

// goldenPage compares a page with a file, less what changes with each build.
func goldenPage(t *testing.T, name string, body []byte, vault string) {
	t.Helper()
	version := regexp.QuoteMeta("harvest " + buildInfo().Version)
	golden(t, name, regexp.MustCompile(version+"</p>").ReplaceAllLiteralString(string(body), "harvest 0.1.0</p>"), vault)
}

func TestPageGolden(t *testing.T) {
	p := newPage(examplePage(), now)
	p.Refresh = refresh
	body, err := p.html()
	require.NoError(t, err)
	goldenPage(t, "page.html", body, "$VAULT")
}

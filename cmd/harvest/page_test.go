package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/fakevault"
	"github.com/jwksharvest/harvest/jwks"
	"github.com/jwksharvest/harvest/pem"
	"github.com/jwksharvest/harvest/vaultsync"
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

// status -format html writes what the text says, in one document.
func TestPageOfStatus(t *testing.T) {
	noVault(t)
	vault := fakevault.New(t)
	t.Setenv("VAULT_ADDR", vault.URL)
	t.Setenv("VAULT_TOKEN", fakevault.RootToken)
	upgraded, mixed := keysOf(t, "../../jwks/testdata/nomad-upgraded.json"), keysOf(t, "../../jwks/testdata/mixed.json")
	foreign := keysOf(t, "../../jwks/testdata/rfc7517-a1.json")
	denied, err := pem.FingerprintOf(mixed["p521"].Public)
	require.NoError(t, err)
	require.NoError(t, vault.WriteConfig("", "jwt-nomad", map[string]any{
		"jwt_validation_pubkeys": []string{
			element(t, upgraded["3f0f"], "us-east", now.Add(-3*time.Hour)),
			element(t, foreign["2011"], "", now),
			element(t, mixed["p256"], "another\x1b[2J\u202e", now.Add(-90*24*time.Hour)),
			element(t, mixed["p384"], "edge", now.Add(-5*time.Minute)),
			element(t, mixed["p521"], "us-east", now.Add(-time.Hour)),
		},
	}))
	config := file(t, `
deny = ["`+denied.String()+`"]
cluster "us-east" { jwks_file = "`+filepath.Join(wd(t), "testdata/us-east.json")+`" }
cluster "edge"    { jwks_file = "missing.json" }
mount "jwt-nomad" { clusters = ["us-east", "edge"] }
`)
	code, stdout, _ := harvest(t, nil, "status", "-config", config, "-format", "html")
	assert.Equal(t, exitPartial, code)
	goldenPage(t, "status.html", []byte(strings.ReplaceAll(stdout, filepath.Dir(config), "$DIR")), vault.URL)
	assert.NotContains(t, stdout, "refresh", "a file doesn't change")

	// What -lint finds is shown with what to do about it.
	_, stdout, _ = harvest(t, nil, "status", "-config", config, "-lint", "-format", "json")
	var found struct {
		Mounts []struct{ Lint []vaultsync.Problem }
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &found))
	require.NotEmpty(t, found.Mounts[0].Lint)
	_, stdout, _ = harvest(t, nil, "status", "-config", config, "-lint", "-format", "html")
	for _, problem := range found.Mounts[0].Lint {
		assert.Contains(t, html.UnescapeString(stdout), printable(problem.Message))
		assert.Contains(t, html.UnescapeString(stdout), printable(problem.Fix))
	}

	code, stdout, _ = harvest(t, nil, "status", "-mount", "jwt-nomad", "-format", "html")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, stdout, "compared with no cluster")
	assert.Equal(t, 5, strings.Count(stdout, `data-label="Key id"`))
}

// The next key is expected when -rotation says, where it is given.
func TestPageRotation(t *testing.T) {
	f := func(rotation time.Duration) facts {
		source := sourceID{cluster: "us-east"}
		return facts{
			rotation: rotation, clusters: []clusterFacts{{source: source, kind: kindNomad, read: now}},
			mounts: []mountFacts{{known: true, clusters: []string{"us-east"}, keys: shownKeys{list: []shownKey{
				{source: source, kid: "k", added: now.Add(-40 * 24 * time.Hour), state: stateTrusted, trusted: true},
			}}}},
		}
	}
	for rotation, want := range map[time.Duration][]string{
		0: {
			"2026-11-12", "that is past: the cluster rotates less often",
			"30 days after the newest was added: the default of <code>root_key_rotation_threshold</code>.",
		},
		2160 * time.Hour: {
			"2027-01-11", "",
			"90 days after the newest was added: <code>root_key_rotation_threshold</code>, as <code>-rotation</code> has it.",
		},
		90 * time.Minute: {"2026-10-13", "that is past: the cluster rotates less often", "1h30m0s after"},
	} {
		p := newPage(f(rotation), now)
		body, err := p.html()
		require.NoError(t, err)
		shown := p.Mounts[0].Keys[0]
		assert.Equal(t, want[0], shown.Next.Text, rotation)
		assert.Equal(t, want[1], shown.NextNote, rotation)
		assert.Contains(t, string(body), want[2])
	}
}

func wd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	return dir
}

// What a page may do is said in its header, and in the document.
func TestPageHeaders(t *testing.T) {
	b := newBoard(slog.New(slog.DiscardHandler), func(error) string { return "" })
	handler := pages(b, newRegistry(b), func() time.Time { return now }, time.Minute)
	get := func(method, path string) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(method, path, nil))
		return recorder
	}
	page := get("GET", "/")
	require.Equal(t, http.StatusOK, page.Code)
	body := page.Body.String()
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)
	require.NotNil(t, style)
	sum := sha256.Sum256([]byte(style[1]))
	hash := base64.StdEncoding.EncodeToString(sum[:])
	assert.Equal(t, map[string][]string{
		"Content-Type":                 {"text/html; charset=utf-8"},
		"Content-Security-Policy":      {"default-src 'none'; style-src 'sha256-" + hash + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		"X-Content-Type-Options":       {"nosniff"},
		"X-Frame-Options":              {"DENY"},
		"Referrer-Policy":              {"no-referrer"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Cache-Control":                {"no-store"},
	}, map[string][]string(page.Header()))
	assert.Contains(t, body, `http-equiv="refresh" content="30"`)
	assert.NotRegexp(t, `(?i)<script|<link|<img|<iframe|<form|javascript:|\sstyle=|\son[a-z]+=|\ssrc=|url\(`, body)

	assert.Equal(t, http.StatusOK, get("HEAD", "/").Code)
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"} {
		refused := get(method, "/")
		assert.Equal(t, http.StatusMethodNotAllowed, refused.Code, method)
		assert.Equal(t, "GET, HEAD", refused.Header().Get("Allow"))
	}
	for _, path := range []string{"/index.html", "/status", "//x"} {
		assert.NotEqual(t, http.StatusOK, get("GET", path).Code, path)
	}
}

// hostile is what a cluster, an annotation or an error could say.
const hostile = `</title></style></code><script>alert(1)</script><img src=x onerror=alert(2)>"' onload=alert(3) {{.}}` + "\x1b[2J\u202egnp\x00\u2028"

// Whatever comes from outside is text on the page, and steers neither it nor its reader.
func TestPageHostile(t *testing.T) {
	source := sourceID{hostile, hostile}
	body, err := newPage(facts{
		problems: []pageProblem{{severityError, printable(hostile), printable(hostile), printable(hostile)}},
		clusters: []clusterFacts{{source: source, kind: kindNomad, failing: true, last: lastError{hostile, now}, read: now}},
		mounts: []mountFacts{{
			id: mountID{hostile, hostile, hostile}, clusters: []string{hostile}, known: true, failing: true, last: lastError{hostile, now},
			keys: shownKeys{list: []shownKey{
				{source: source, kid: hostile, alg: hostile, reason: hostile, added: now, state: stateTrusted, trusted: true},
				{source: sourceID{hostile + "2", hostile}, kid: hostile, alg: hostile, reason: hostile, added: now, state: stateClaimed, trusted: true},
			}},
			failures: []pageProblem{{severityError, "", hostile, hostile}}, problems: []pageProblem{{severityWarning, "", hostile, hostile}},
			warnings: []string{hostile},
		}},
	}, now).html()
	require.NoError(t, err)
	page := string(body)
	assert.NotRegexp(t, `(?i)<script|<img`, page)
	assert.Equal(t, 1, strings.Count(page, "</style>"))
	assert.Equal(t, 1, strings.Count(page, "</title></style>")+strings.Count(page, "</title>\n<style>"), "the document's own title")
	assert.NotContains(t, page, "\x1b")
	assert.NotContains(t, page, "\u202e")
	assert.NotContains(t, page, "\u2028")
	assert.NotContains(t, page, "\x00")
	assert.Contains(t, page, `&lt;script&gt;alert(1)&lt;/script&gt;`)
	assert.Contains(t, page, `\x1b[2J\u202egnp\x00\u2028`)
	assert.Empty(t, regexp.MustCompile(`<[^>]*"[^>="]*onload=`).FindString(page), "no attribute is broken out of")
}

// A watch's page follows what becomes of a plan.
func TestPageOfWatch(t *testing.T) {
	keys := keysOf(t, "../../jwks/testdata/nomad-upgraded.json")
	fresh := keysOf(t, "testdata/us-east.json")["80ef"]
	config := func(elements ...string) vaultsync.Config {
		var list []any
		for _, e := range elements {
			list = append(list, e)
		}
		return vaultsync.NewConfig(map[string]any{"jwt_validation_pubkeys": list})
	}
	old, gone := element(t, keys["3f0f"], "us-east", now.Add(-time.Hour)), element(t, keys["fd33"], "us-east", now.Add(-2*time.Hour))
	want := vaultsync.Desired{Clusters: []string{"us-east"}, Results: []jwks.Result{{Cluster: "us-east", Set: &jwks.Set{Keys: []jwks.Key{keys["3f0f"], fresh}}}}}
	plan := func(current vaultsync.Config) *vaultsync.Plan {
		p, err := vaultsync.NewPlan(current, want, vaultsync.Options{Now: now, Retain: time.Hour})
		require.NoError(t, err)
		return p
	}
	id := mountID{"https://vault:8200", "", "jwt-nomad"}
	b := newBoard(slog.New(slog.DiscardHandler), func(error) string { return "" })
	b.expect(map[mountID]expected{id: {[]string{"us-east"}, ""}})
	b.describe([]clusterConfig{{name: "us-east", address: "https://nomad:4646"}})
	look := func() (state string, keys []string) {
		p := newPage(b.facts(now), now)
		require.Len(t, p.Mounts, 1)
		for _, k := range p.Mounts[0].Keys {
			line := string(k.State) + " " + k.KeyID[:4]
			if k.Since.ISO != "" {
				line += " since"
			}
			if k.Next.ISO != "" {
				line += " next"
			}
			keys = append(keys, line)
		}
		return p.Mounts[0].State.Text, keys
	}
	state, shown := look()
	assert.Equal(t, "not read yet", state)
	assert.Empty(t, shown)

	b.result(want.Results[0], now)
	first := plan(config(old, gone))
	b.report(&vaultsync.MountReport{Vault: id.vault, Path: id.path, Plan: first, Err: errors.New("sealed")}, now)
	state, shown = look()
	assert.Equal(t, "not in sync", state)
	assert.Equal(t, []string{"pending 80ef", "trusted 3f0f since next", "retained fd33 since"}, shown)

	b.event(id, vaultsync.Event{Kind: vaultsync.EventAdded, Key: first.Add[0]}, now)
	_, shown = look()
	assert.Equal(t, []string{"trusted 80ef since next", "trusted 3f0f since", "retained fd33 since"}, shown)

	b.report(&vaultsync.MountReport{Vault: id.vault, Path: id.path, Plan: first}, now) // superseded, as far as its report says
	state, shown = look()
	assert.Equal(t, "changes pending", state)
	assert.Equal(t, []string{"trusted 80ef since next", "trusted 3f0f since", "retained fd33 since"}, shown)

	b.report(&vaultsync.MountReport{Vault: id.vault, Path: id.path, Plan: plan(config(old, element(t, fresh, "us-east", now)))}, now)
	state, shown = look()
	assert.Equal(t, "in sync", state)
	assert.Equal(t, []string{"trusted 80ef since next", "trusted 3f0f since"}, shown)
	p := newPage(b.facts(now), now)
	assert.Equal(t, "Everything is in sync", p.Verdict.Text)
	assert.Equal(t, "sealed", p.Mounts[0].Error, "the last error stays")
	assert.Equal(t, kindNomad, p.Clusters[0].Kind)
}

// What a watch remembers for its page is bounded, whatever it hears.
func TestPageIsBounded(t *testing.T) {
	b := newBoard(slog.New(slog.DiscardHandler), func(error) string { return "" })
	id := mountID{"https://vault:8200", "", "jwt-nomad"}
	b.expect(map[mountID]expected{id: {[]string{"us-east"}, ""}})
	plan := &vaultsync.Plan{}
	for i := range maxShownRows {
		if i > 0 {
			plan.Keep = append(plan.Keep, vaultsync.Key{Cluster: "us-east", KeyID: strings.Repeat("k", 256), Reason: "published"})
		}
		plan.Skipped = append(plan.Skipped, vaultsync.Key{Cluster: "us-east", Reason: strings.Repeat("r", 4000)})
		plan.Warnings = append(plan.Warnings, fmt.Sprint(i, strings.Repeat("w", 4000)))
	}
	b.report(&vaultsync.MountReport{Vault: id.vault, Path: id.path, Plan: plan}, now)
	b.result(jwks.Result{Cluster: "us-east", Err: errors.New(strings.Repeat("e", 4000))}, now)
	f := b.facts(now)
	require.Len(t, f.mounts, 1)
	assert.Len(t, f.mounts[0].keys.list, maxShownRows)
	assert.Equal(t, map[standingKey]int{{stateSkipped, false}: maxShownRows - 1}, f.mounts[0].keys.more)
	for _, k := range f.mounts[0].keys.list {
		assert.LessOrEqual(t, len(k.reason), maxShownText+len("…"))
	}
	require.Len(t, f.clusters, 1)
	assert.LessOrEqual(t, len(f.clusters[0].last.text), maxShownText+len("…"))
	assert.NotContains(t, f.mounts[0].keys.list[0].reason, "published", "the state says it")
	problems := newPage(f, now).Problems
	assert.Len(t, problems, 1+maxShownRemarks+1, "the cluster, remarks, and how many more")
	for _, p := range problems {
		assert.LessOrEqual(t, len(p.Message), maxShownText+len("…"))
	}
	assert.Equal(t, fmt.Sprintf("and %d more remarks: harvest plan -format json has them all", maxShownRows-maxShownRemarks), problems[len(problems)-1].Message)
}

// What changes on a mount is shown, however many keys stay as they are; what isn't shown is
// counted, in the figures too.
func TestPageShowsChangesFirst(t *testing.T) {
	fingerprint := func(i int) pem.Fingerprint { return sha256.Sum256([]byte(fmt.Sprint(i))) }
	list := func(from, n int, cluster, reason string) (keys []vaultsync.Key) {
		for i := range n {
			keys = append(keys, vaultsync.Key{Cluster: cluster, KeyID: fmt.Sprint(cluster, from+i), Reason: reason, Fingerprint: fingerprint(from + i)})
		}
		return keys
	}
	plan := &vaultsync.Plan{
		Keep: list(10_000, maxShownRows+5, "kept", "published"), Add: list(0, 3, "added", ""), Changed: true,
		Remove:  append(list(100, 2, "removed", ""), list(200, 1, "refused", vaultsync.ReasonDenied)...),
		Claimed: list(300, 1, "claimed", ""), Foreign: list(400, 2, "", ""),
		Skipped: append(list(500, 4, "skipped", "weak"), list(600, 1, "refused", vaultsync.ReasonDenied)...),
	}
	id := mountID{"https://vault:8200", "", "jwt-nomad"}
	b := newBoard(slog.New(slog.DiscardHandler), func(error) string { return "" })
	b.expect(map[mountID]expected{id: {[]string{"kept"}, ""}})
	b.result(jwks.Result{Cluster: "kept", Set: &jwks.Set{Keys: []jwks.Key{keysOf(t, "testdata/us-east.json")["80ef"]}}}, now)
	b.report(&vaultsync.MountReport{Vault: id.vault, Path: id.path, Plan: plan, Err: errors.New("sealed")}, now)
	look := func() (p *statusPage, shown map[string]int) {
		p, shown = newPage(b.facts(now), now), map[string]int{}
		for _, k := range p.Mounts[0].Keys {
			shown[k.Cluster+" "+string(k.State)]++
		}
		return p, shown
	}
	p, shown := look()
	assert.Equal(t, map[string]int{
		"added pending": 3, "removed outgoing": 2, "refused denied": 1, "kept trusted": maxShownRows - 6,
	}, shown)
	assert.Equal(t, "19 more keys aren't shown: 11 trusted, 1 claimed, 2 foreign, 1 denied, 4 skipped.", p.Mounts[0].More)
	assert.Equal(t, "3 to add, 3 to remove", p.Mounts[0].Drift)
	assert.Equal(t, figure{fmt.Sprint(maxShownRows + 5 + 3 + 1 + 2), "keys trusted", "none"}, p.Figures[2])
	assert.Equal(t, figure{"6", "changes pending", "wait"}, p.Figures[3])
	assert.Len(t, p.Legend, 7, "also of what isn't shown")
	body, err := p.html()
	require.NoError(t, err)
	assert.Contains(t, string(body), "<p class=\"more\">19 more keys aren&#39;t shown: 11 trusted")

	// What happens to keys then keeps the sums.
	for kind, k := range map[vaultsync.EventKind]vaultsync.Key{
		vaultsync.EventAdded: plan.Add[0], vaultsync.EventRemoved: plan.Remove[0], vaultsync.EventAdopted: plan.Keep[maxShownRows],
	} {
		b.event(id, vaultsync.Event{Kind: kind, Key: k}, now)
	}
	p, _ = look()
	assert.Equal(t, "2 to add, 2 to remove", p.Mounts[0].Drift)
	assert.Equal(t, fmt.Sprint(maxShownRows+5+3+1+2), p.Figures[2].Value, "one came, one went")
	b.report(&vaultsync.MountReport{Vault: id.vault, Path: id.path, Plan: plan}, now)
	p, shown = look()
	assert.Equal(t, "none", p.Mounts[0].Drift)
	assert.Equal(t, 3, shown["added trusted"])
	assert.Equal(t, fmt.Sprint(maxShownRows+5+3+1+2), p.Figures[2].Value)
}

// A drawing of a thousand clusters shows some, and says so.
func TestPageOfManyClusters(t *testing.T) {
	var f facts
	m := mountFacts{id: mountID{path: "jwt-nomad"}, known: true}
	for i := range 1000 {
		source := sourceID{cluster: "c" + strings.Repeat("0", 3) + string(rune('a'+i%26)) + time.Duration(i).String()}
		f.clusters = append(f.clusters, clusterFacts{source: source, read: now, published: 1, failing: i == 999})
		m.clusters = append(m.clusters, source.cluster)
		m.keys.list = append(m.keys.list, shownKey{source: source, state: stateTrusted, trusted: true})
	}
	f.mounts = []mountFacts{m}
	p := newPage(f, now)
	assert.Len(t, p.Graph.Left, maxNodes)
	assert.Equal(t, 1000-maxNodes, p.Graph.LeftMore)
	assert.Len(t, p.Graph.Lines, maxNodes)
	assert.Equal(t, maxNodes*rowHeight, p.Graph.Height)
	failing := 0
	for _, n := range p.Graph.Left {
		if n.Class == "bad" {
			failing++
		}
	}
	assert.Equal(t, 1, failing, "what fails is drawn, whatever is left out")
	assert.Len(t, p.Clusters, 1000)
	body, err := p.html()
	require.NoError(t, err)
	assert.Contains(t, string(body), "Not drawn: 960 more clusters")
}
